/**
 * What came in on the socket, read from Node's own request rather than from the parsed one.
 *
 * A `Request` has its URL resolved and its headers merged; a gateway's tests want to know what was really sent. Bodies
 * are read to their end, hashed on the way, and held only up to a bound, so an upload of any size costs 64 KiB here.
 */
import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { HttpBindings } from "@hono/node-server";

/** The Hono environment of every handler in the demo origin. */
export interface OriginEnv {
  readonly Bindings: HttpBindings;
}

/** No JSON body or echoed body is held beyond this; an AI chat message fits with room to spare. */
export const BODY_BYTES_MAX = 64 * 1024;

/** The request target as written, and split at its first `?`. */
export interface Target {
  readonly target: string;
  readonly path: string;
  /** Without the `?`; empty when there is none. */
  readonly query: string;
}

/** Path and query exactly as received: nothing decoded, nothing resolved. */
export function targetOf(incoming: IncomingMessage): Target {
  const target = incoming.url ?? "/";
  const mark = target.indexOf("?");
  return mark < 0
    ? { target, path: target, query: "" }
    : { target, path: target.slice(0, mark), query: target.slice(mark + 1) };
}

/** Header fields by lower-case name; a field that came more than once is a list, in order. */
export function headersOf(incoming: IncomingMessage): Record<string, string | readonly string[]> {
  const fields = new Map<string, string[]>();
  for (let i = 0; i + 1 < incoming.rawHeaders.length; i += 2) {
    const name = (incoming.rawHeaders[i] ?? "").toLowerCase();
    const values = fields.get(name) ?? [];
    values.push(incoming.rawHeaders[i + 1] ?? "");
    fields.set(name, values);
  }
  return Object.fromEntries(
    [...fields].map(([name, values]) => [name, values.length === 1 ? (values[0] ?? "") : values]),
  );
}

/** A body that has been read to its end. */
export interface ReadBody {
  /** Null when the body was longer than the bound. */
  readonly bytes: Buffer | null;
  readonly byteLength: number;
  readonly sha256: string;
}

/**
 * Reads the whole body, keeps at most `bytesMax` of it.
 *
 * What is over the bound is read and dropped rather than refused at once: closing a connection in the middle of an
 * upload would look to a gateway like an origin that broke.
 */
export async function readBody(incoming: IncomingMessage, bytesMax: number): Promise<ReadBody> {
  const hash = createHash("sha256");
  const chunks: AsyncIterable<Buffer> = incoming;
  let held: Buffer[] = [];
  let byteLength = 0;
  for await (const chunk of chunks) {
    hash.update(chunk);
    byteLength += chunk.byteLength;
    if (byteLength <= bytesMax) held.push(chunk);
    else held = [];
  }
  return { bytes: byteLength <= bytesMax ? Buffer.concat(held) : null, byteLength, sha256: hash.digest("hex") };
}

/** The text of some bytes, or null when they are not UTF-8. */
export function textOf(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** A JSON body, or the answer that refuses it. */
export type JsonBody =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly status: 400 | 413; readonly error: string };

/** Reads a bounded JSON body; an empty one is `{}`. */
export async function readJson(incoming: IncomingMessage): Promise<JsonBody> {
  const { bytes, byteLength } = await readBody(incoming, BODY_BYTES_MAX);
  if (bytes === null) {
    return { ok: false, status: 413, error: `body: expected at most ${BODY_BYTES_MAX} bytes, got ${byteLength}` };
  }
  if (byteLength === 0) return { ok: true, value: {} };
  try {
    return { ok: true, value: JSON.parse(textOf(bytes) ?? "") };
  } catch {
    return { ok: false, status: 400, error: "body: expected JSON" };
  }
}
