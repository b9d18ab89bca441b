/**
 * Every reason the gateway has for not passing a request on or an answer back, and the problem a client sees for it.
 *
 * One table for all of them, so that no refusal is worded twice. Format: RFC 9457; types of the two limits:
 * draft-ietf-httpapi-ratelimit-headers-10, section 6.
 *
 * Pure.
 */
import { retryAfter } from "./fields.ts";
import type { Tier } from "./tier.ts";

/** Why a request was not answered by the origin. */
export type Denial =
  | {
      readonly reason: "limit-exceeded";
      readonly profile: string;
      readonly tier: Tier;
      readonly limit: number;
      readonly windowMs: number;
      readonly retryAfterMs: number;
      /** true: what refuses is a limit that load has lowered, and the client is within the limit of low load. */
      readonly reduced: boolean;
    }
  | { readonly reason: "exempt-limit-exceeded"; readonly limit: number; readonly retryAfterMs: number }
  | { readonly reason: "counter-unavailable"; readonly profile: string }
  | { readonly reason: "origin-unreachable" }
  | { readonly reason: "origin-timeout" }
  | { readonly reason: "circuit-open"; readonly retryAfterMs: number }
  | { readonly reason: "overloaded"; readonly retryAfterMs: number }
  | { readonly reason: "not-found" }
  | { readonly reason: "unauthorized" }
  | { readonly reason: "too-many-wrong-tokens"; readonly retryAfterMs: number }
  /** What was sent is no such document; each fault names its place in it. */
  | { readonly reason: "unprocessable"; readonly detail: string }
  | { readonly reason: "too-large"; readonly bytesMax: number }
  /** A store or an object that the answer needs does not answer. */
  | { readonly reason: "unavailable"; readonly what: string }
  | { readonly reason: "internal" };

/** RFC 9457 members in the order they are written; `instance` and `request_id` are the request's own. */
export interface Problem {
  readonly status: number;
  readonly type: string;
  readonly title: string;
  readonly detail: string;
  /** Further members: numbers, and words of our own that need no escaping; a list is one of such words. */
  readonly members: Readonly<Record<string, number | string | readonly string[]>>;
  /** Seconds; null: the client is not told when to come back. */
  readonly retryAfterSeconds: number | null;
}

const IANA = "https://iana.org/assignments/http-problem-types#";
const OWN = "https://api.levqor.ai/problems/";
/** How long a client is asked to leave a counter alone that does not answer, ms. */
const COUNTER_PAUSE_MS = 2_000;
/** The same of what an operator asks. */
const UNAVAILABLE_MS = 5_000;

/** What a client is told about a denial. */
export function problemFor(denial: Denial): Problem {
  switch (denial.reason) {
    case "limit-exceeded":
      return limitExceeded(denial);
    case "exempt-limit-exceeded":
      return exemptLimitExceeded(denial.limit, denial.retryAfterMs);
    case "counter-unavailable":
      return own(503, denial.reason, "Limit cannot be checked", `The counter of ${denial.profile} does not answer.`, {
        retryAfterMs: COUNTER_PAUSE_MS,
      });
    case "origin-unreachable":
      return own(502, denial.reason, "Origin unreachable", "The origin could not be reached or broke the connection.");
    case "origin-timeout":
      return own(504, denial.reason, "Origin timed out", "The origin did not answer in time.");
    case "circuit-open":
      return own(503, denial.reason, "Origin is failing", "The origin fails, and is left alone for a while.", denial);
    case "overloaded":
      return own(503, denial.reason, "Overloaded", "More is asked of the origin than it can carry.", denial);
    case "not-found":
      return own(404, denial.reason, "Not found", "There is nothing here.");
    case "unauthorized":
      return own(401, denial.reason, "Unauthorized", "This needs a bearer token, and the right one.");
    case "too-many-wrong-tokens":
      return wrongTokens(denial.retryAfterMs);
    case "unprocessable":
      // Holds what was sent, unlike any other detail.
      return own(422, denial.reason, "Not such a document", `${JSON.stringify(denial.detail).slice(1, -1)}.`);
    case "too-large":
      return own(413, denial.reason, "Too large", `At most ${denial.bytesMax} bytes are read.`);
    case "unavailable":
      return own(503, denial.reason, "Unavailable", `${denial.what} does not answer.`, {
        retryAfterMs: UNAVAILABLE_MS,
      });
    case "internal":
      return own(500, denial.reason, "Internal error", "The gateway failed to handle this request.");
  }
}

/**
 * A problem as JSON. Joined rather than serialised, which costs a refusal several percent; only the path can hold what
 * needs escaping, because only the path is the client's.
 */
export function problemBody(
  { type, title, status, detail, members }: Problem,
  path: string,
  requestId: string,
): string {
  let violated = "";
  let rest = "";
  for (const name in members) {
    const value = members[name] ?? "";
    if (typeof value === "object") violated += `,"${name}":["${value.join('","')}"]`;
    else rest += typeof value === "number" ? `,"${name}":${value}` : `,"${name}":"${value}"`;
  }
  const instance = JSON.stringify(path);
  return `{"type":"${type}","title":"${title}","status":${status},"detail":"${detail}","instance":${instance}${violated},"request_id":"${requestId}"${rest}}\n`;
}

function limitExceeded(denial: Extract<Denial, { reason: "limit-exceeded" }>): Problem {
  const { profile, tier, limit, reduced } = denial;
  const seconds = retryAfter(denial.retryAfterMs);
  return {
    status: 429,
    type: `${IANA}${reduced ? "temporary-reduced-capacity" : "quota-exceeded"}`,
    title: reduced ? "Temporarily reduced capacity" : "Too many requests",
    detail: `${profile} allows ${limit} requests per ${span(denial.windowMs)} while load is ${tier}. Retry in ${seconds} s.`,
    members: { "violated-policies": [profile], profile, tier, limit, retry_after: seconds },
    retryAfterSeconds: seconds,
  };
}

function exemptLimitExceeded(limit: number, retryAfterMs: number): Problem {
  const seconds = retryAfter(retryAfterMs);
  return {
    status: 429,
    type: `${IANA}quota-exceeded`,
    title: "Too many requests",
    detail: `At most ${limit} requests per minute are let through uncounted. Retry in ${seconds} s.`,
    members: { "violated-policies": ["exempt"], profile: "exempt", limit, retry_after: seconds },
    retryAfterSeconds: seconds,
  };
}

function wrongTokens(retryAfterMs: number): Problem {
  const seconds = retryAfter(retryAfterMs);
  return {
    status: 429,
    type: `${IANA}quota-exceeded`,
    title: "Too many wrong tokens",
    detail: `Another wrong token is looked at in ${seconds} s.`,
    members: { retry_after: seconds },
    retryAfterSeconds: seconds,
  };
}

function own(
  status: number,
  name: string,
  title: string,
  detail: string,
  { retryAfterMs = null }: { readonly retryAfterMs?: number | null } = {},
): Problem {
  const retryAfterSeconds = retryAfterMs === null ? null : retryAfter(retryAfterMs);
  return { status, type: `${OWN}${name}`, title, detail, members: {}, retryAfterSeconds };
}

function span(windowMs: number): string {
  return windowMs === 60_000 ? "minute" : `${windowMs / 1000} s`;
}
