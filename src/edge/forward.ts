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
import { CONDITIONS, type Validators } from "../policy/validation.ts";
import type { Ports } from "../ports.ts";
import type { Call } from "./identify.ts";
import type { Signer } from "./sign.ts";
import { type Departed, type UnderWay, WOKEN } from "./under-way.ts";

/** The origin's answer, or why there is none; `gone`: its client left before there was one. */
export type Forwarded = { readonly response: Response } | { readonly denial: Denial } | { readonly gone: true };

/** On whose behalf the origin is called. */
export interface Errand {
  /** Others wait for the answer too: the call does not end with the client that began it. */
  readonly isShared: boolean;
  /** Asks this in place of the client's own preconditions and range; null: asks as the client did. */
  readonly validators: Validators | null;
}

/**
 * Names a client must not send on: `X-Levqor-*`, `X-Forwarded-*`, `Forwarded`, `X-Real-IP`, `True-Client-IP`,
 * `X-Client-IP`. `_` counts as `-`, since many origins merge the two.
 */
const CLAIMED =
  /^(?:x[-_](?:levqor[-_].*|forwarded(?:[-_].*)?|real[-_]ip|client[-_]ip)|forwarded|true[-_]client[-_]ip)$/;

/** Statuses that Cloudflare answers itself when it gets no answer from an origin. */
const UNREACHABLE_STATUS: ReadonlySet<number> = new Set([520, 521, 523, 525, 526, 527, 530]);
const TIMEOUT_STATUS: ReadonlySet<number> = new Set([522, 524]);

/** Whether the origin failed, to a circuit breaker: no answer, or one of 5xx. */
export function hasFailed(forwarded: Exclude<Forwarded, { gone: true }>): boolean {
  return "denial" in forwarded || forwarded.response.status >= 500;
}

/**
 * Sends `call` to the origin. Never rejects: an origin that fails is an answer.
 *
 * @param validators conditions in place of the client's own; null: the client's own.
 * @param departed the request as it was begun in `underWay`, which bounds the wait for response headers.
 * @param signal ends the call. It costs a request 3 % of a proxy, so it is only for where the platform does not do it.
 */
export async function forward(
  call: Call,
  tier: Tier,
  validators: Validators | null,
  signal: AbortSignal | null,
  underWay: UnderWay,
  departed: Departed,
  sign: Signer,
  config: Config,
  ports: Ports,
): Promise<Forwarded> {
  const { request } = call;
  const url = config.originUrl === null ? request.url : config.originUrl + call.target;
  const headers = forwardedHeaders(call, tier);
  if (validators !== null) setConditions(headers, validators);
  if (sign !== null) headers.set("x-levqor-signature", await sign(request.method, url, headers, call.arrivedMs));
  try {
    const { method, body } = request;
    // Bodies stay as they are encoded, also where the cache reads them.
    const init = { method, headers, body, redirect: "manual", encodeResponseBody: "manual" } as const;
    // The platform does not hear a client's own signal in a call, but one made of it.
    const answer = ports.origin.fetch(url, signal === null ? init : { ...init, signal: AbortSignal.any([signal]) });
    const first = await underWay.first(departed, answer);
    const response = first === WOKEN ? await underWay.rest(departed, answer) : first;
    if (response === null)
      return failed("origin-timeout", call, `no headers within ${config.originTimeoutMs} ms`, ports);
    const { status } = response;
    // Beyond 599 there is no response that could be passed on.
    if (UNREACHABLE_STATUS.has(status) || status > 599)
      return failed("origin-unreachable", call, `status ${status}`, ports);
    if (TIMEOUT_STATUS.has(status)) return failed("origin-timeout", call, `status ${status}`, ports);
    return { response };
  } catch (error) {
    if (signal?.aborted) return { gone: true };
    return failed("origin-unreachable", call, String(error), ports);
  }
}

function failed(reason: "origin-unreachable" | "origin-timeout", call: Call, error: string, ports: Ports): Forwarded {
  ports.log("warn", reason, { request_id: call.requestId, method: call.request.method, error });
  return { denial: { reason } };
}

function setConditions(headers: Headers, validators: Validators): void {
  for (const name of CONDITIONS) headers.delete(name);
  for (const [name, value] of validators) headers.set(name, value);
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
