/**
 * Writes what the gateway says onto a response: the fields of the limit, the request's identifier, and problems.
 */
import { type Denial, problemBody, problemFor } from "../policy/denial.ts";
import { type Quota, rateLimit, rateLimitPolicy, rateLimitReset } from "../policy/fields.ts";
import type { Call } from "./identify.ts";

/** As much of a call as a problem has to name. */
type Named = Pick<Call, "request" | "requestId" | "path">;

const LIMIT_FIELDS = [
  "RateLimit-Policy",
  "RateLimit",
  "X-RateLimit-Limit",
  "X-RateLimit-Remaining",
  "X-RateLimit-Reset",
] as const;
const EXPOSED = [...LIMIT_FIELDS, "Retry-After", "X-Request-Id"].join(", ");

/** The origin's answer as the client gets it. */
export function relay(response: Response, call: Named, quota: Quota | null, nowMs: number): Response {
  // A copy, because headers that came over the network cannot be changed; a WebSocket goes along with it.
  const relayed = new Response(response.body, response);
  const { headers } = relayed;
  setFields(headers, call, quota, nowMs);
  if (headers.has("access-control-allow-origin")) headers.append("Access-Control-Expose-Headers", EXPOSED);
  return relayed;
}

/** The problem a client sees for a denial. */
export function refuse(
  denial: Denial,
  call: Named,
  quota: Quota | null,
  corsAllowOrigins: ReadonlySet<string>,
  nowMs: number,
): Response {
  const problem = problemFor(denial);
  const { status, retryAfterSeconds } = problem;
  const response = new Response(problemBody(problem, call.path, call.requestId), { status });
  const { headers } = response;
  headers.set("Content-Type", "application/problem+json");
  headers.set("Cache-Control", "no-store");
  if (retryAfterSeconds !== null) headers.set("Retry-After", String(retryAfterSeconds));
  setFields(headers, call, quota, nowMs);
  if (corsAllowOrigins.size > 0) allowOrigin(headers, call, corsAllowOrigins);
  return response;
}

/** Lets a browser of a listed origin read the gateway's own answer; other origins get no word of it. */
function allowOrigin(headers: Headers, call: Named, allowed: ReadonlySet<string>): void {
  headers.append("Vary", "Origin");
  const origin = call.request.headers.get("origin");
  if (origin === null || !allowed.has(origin)) return;
  headers.set("Access-Control-Allow-Origin", origin);
  headers.append("Access-Control-Expose-Headers", EXPOSED);
}

function setFields(headers: Headers, call: Named, quota: Quota | null, nowMs: number): void {
  headers.set("X-Request-Id", call.requestId);
  if (quota === null) {
    for (const name of LIMIT_FIELDS) headers.delete(name);
  } else {
    headers.set("RateLimit-Policy", rateLimitPolicy(quota));
    headers.set("RateLimit", rateLimit(quota, nowMs));
    headers.set("X-RateLimit-Limit", String(quota.limit));
    headers.set("X-RateLimit-Remaining", String(quota.remaining));
    headers.set("X-RateLimit-Reset", rateLimitReset(quota, nowMs));
  }
}
