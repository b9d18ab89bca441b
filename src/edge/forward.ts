/**
 * Passes an admitted request on to the origin and its answer back, both streamed and never buffered.
 *
 * The URL is the origin's base and the client's target, joined as text: a client's path is never resolved against
 * anything, so that `//elsewhere/` stays a path. What a client may not claim (who forwarded it, for whom, under which
 * tier) is taken off before the gateway says it itself.
 */
import type { Config } from "../config/vars.ts";
import type { Denial } from "../policy/denial.ts";
import type { Tier } from "../policy/tier.ts";
import type { Ports } from "../ports.ts";
import type { Call } from "./identify.ts";
import type { Signer } from "./sign.ts";

/** The origin's answer, or why there is none. */
export type Forwarded = { readonly response: Response } | { readonly denial: Denial };

/**
 * Names a client must not send on: `X-Levqor-*`, `X-Forwarded-*`, `Forwarded`, `X-Real-IP`, `True-Client-IP`,
 * `X-Client-IP`. `_` counts as `-`, since many origins merge the two.
 */
const CLAIMED =
  /^(?:x[-_](?:levqor[-_].*|forwarded(?:[-_].*)?|real[-_]ip|client[-_]ip)|forwarded|true[-_]client[-_]ip)$/;

/** Statuses that Cloudflare answers itself when it gets no answer from an origin. */
const UNREACHABLE_STATUS: ReadonlySet<number> = new Set([520, 521, 523, 525, 526, 527, 530]);
const TIMEOUT_STATUS: ReadonlySet<number> = new Set([522, 524]);

/** Sends `call` to the origin. Never rejects: an origin that fails is an answer. */
export async function forward(call: Call, tier: Tier, sign: Signer, config: Config, ports: Ports): Promise<Forwarded> {
  const { request } = call;
  const url = config.originUrl === null ? request.url : config.originUrl + call.target;
  const headers = forwardedHeaders(call, tier);
  if (sign !== null) headers.set("x-levqor-signature", await sign(request.method, url, headers, call.arrivedMs));
  try {
    const { method, body } = request;
    const answer = ports.origin.fetch(url, { method, headers, body, redirect: "manual" });
    const response = await headersWithin(answer, config.originTimeoutMs);
    if (response === null)
      return failed("origin-timeout", call, `no headers within ${config.originTimeoutMs} ms`, ports);
    const { status } = response;
    if (UNREACHABLE_STATUS.has(status)) return failed("origin-unreachable", call, `status ${status}`, ports);
    if (TIMEOUT_STATUS.has(status)) return failed("origin-timeout", call, `status ${status}`, ports);
    return { response };
  } catch (error) {
    return failed("origin-unreachable", call, String(error), ports);
  }
}

/**
 * The response, or null where its headers are not there after `ms`. The call is not aborted by a signal, which would
 * cost every request several percent: it ends with the request that made it, once that has been answered.
 */
function headersWithin(answer: Promise<Response>, ms: number): Promise<Response | null> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms, null);
    answer.then(
      (response) => {
        clearTimeout(timer);
        resolve(response);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}

function failed(reason: "origin-unreachable" | "origin-timeout", call: Call, error: string, ports: Ports): Forwarded {
  ports.log("warn", reason, { request_id: call.requestId, method: call.request.method, error });
  return { denial: { reason } };
}

function forwardedHeaders(call: Call, tier: Tier): Headers {
  const headers = new Headers(call.request.headers);
  for (const name of call.request.headers.keys()) if (CLAIMED.test(name)) headers.delete(name);
  headers.set("x-request-id", call.requestId);
  headers.set("x-forwarded-host", call.host);
  headers.set("x-forwarded-proto", call.scheme);
  headers.set("x-levqor-tier", tier);
  if (call.client.address !== null) {
    headers.set("x-forwarded-for", call.client.address);
    headers.set("x-real-ip", call.client.address);
  }
  return headers;
}
