/**
 * One HTTP exchange, as it stood on the wire: fields kept apart and in order, nothing followed, nothing decoded, and
 * the path sent as it is written. `fetch` would do all of these.
 */
import { type Agent, type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from "node:http";
import { connect } from "node:net";
import type { Readable } from "node:stream";
import { parseList } from "structured-headers";

/** What to send. */
export interface Ask {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Buffer | Readable;
  readonly agent?: Agent;
  /** Until the end of the response. */
  readonly timeoutMs?: number;
}

/** What came back, whole. */
export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  readonly json: <T>() => T;
  /** `RateLimit` and `RateLimit-Policy` as a strict parser of RFC 9651 reads them; null where both are absent. */
  readonly limit: () => Limit | null;
}

/** What a counted response says of its limit. */
export interface Limit {
  readonly profile: string;
  readonly tier: string;
  readonly q: number;
  readonly w: number;
  readonly r: number;
  /** Undefined where nothing is used. */
  readonly t: number | undefined;
}

/** The demo origin's echo of a request. */
export interface Echo {
  readonly method: string;
  readonly target: string;
  readonly path: string;
  readonly query: string;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: string | null;
  readonly body_bytes: number;
  readonly body_sha256: string;
}

const TIMEOUT_MS = 30_000;

/** Sends a request and reads the response to its end; rejects if the connection breaks before that. */
export function ask(url: string, { method = "GET", headers = {}, body, agent, timeoutMs = TIMEOUT_MS }: Ask = {}) {
  return new Promise<Reply>((resolve, reject) => {
    const { host, hostname, port } = new URL(url);
    const path = url.slice(url.indexOf(host) + host.length) || "/";
    const signal = AbortSignal.timeout(timeoutMs);
    const isWhole = typeof body === "string" || Buffer.isBuffer(body);
    // Node frames a body by itself only under some methods.
    const fields = isWhole ? { "Content-Length": Buffer.byteLength(body), ...headers } : headers;
    const options = { hostname, port, path, method, headers: fields, signal, ...(agent && { agent }) };
    const outgoing = request(options, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.once("error", reject);
      incoming.once("end", () => resolve(replyOf(incoming.statusCode ?? 0, incoming.headers, Buffer.concat(chunks))));
    });
    outgoing.once("error", reject);
    if (body === undefined || isWhole) outgoing.end(body);
    else body.once("error", reject).pipe(outgoing);
  });
}

/**
 * Sends octets as they are and reads until the other side closes. For what no HTTP client would send.
 *
 * @param text one character for each octet.
 */
export function askRaw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(text, "latin1"));
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error(`no end within ${TIMEOUT_MS} ms: ${answer}`)));
    socket.setEncoding("latin1");
    socket.on("data", (chunk) => {
      answer += chunk;
    });
    socket.once("error", reject);
    socket.once("close", () => resolve(answer));
  });
}

function replyOf(status: number, headers: IncomingHttpHeaders, body: Buffer): Reply {
  return {
    status,
    headers,
    body,
    text: body.toString("utf8"),
    json: () => JSON.parse(body.toString("utf8")),
    limit: () => limitOf(headers),
  };
}

function limitOf(headers: IncomingHttpHeaders): Limit | null {
  const { ratelimit, "ratelimit-policy": policy } = headers;
  if (ratelimit === undefined && policy === undefined) return null;
  const [profile, left] = onlyMember(String(ratelimit));
  const [named, rule] = onlyMember(String(policy));
  if (profile !== named) throw new Error(`RateLimit names ${profile}, RateLimit-Policy names ${named}`);
  return {
    profile,
    tier: String(rule.get("levqor-tier")),
    q: Number(rule.get("q")),
    w: Number(rule.get("w")),
    r: Number(left.get("r")),
    t: left.has("t") ? Number(left.get("t")) : undefined,
  };
}

function onlyMember(field: string): readonly [string, ReadonlyMap<string, unknown>] {
  const [member, ...others] = parseList(field);
  const [name, parameters] = member ?? [];
  if (typeof name !== "string" || parameters === undefined || others.length > 0)
    throw new Error(`expected one String with parameters, got ${field}`);
  return [name, parameters];
}
