/**
 * What a shared cache may keep of an answer, for how long, and when it may give it out again: RFC 9111 and RFC 5861.
 *
 * Only what the origin marks is kept: `s-maxage`, `max-age` or `Expires`; no lifetime is ever guessed (section 4.2.2
 * allows it, an API forbids it). Where the standard leaves a choice, nobody gets what may not be theirs:
 * - an answer with `Set-Cookie` is never kept, and a qualified `private="x"` or `no-cache="x"` counts as unqualified;
 * - a request with `Authorization` or `Cookie` fills and reads only what is marked `public` or `s-maxage`. For
 *   `Authorization` that is section 3.5 without its `must-revalidate`, which frameworks put on personal answers too; for
 *   `Cookie` it is more than the standard asks, but personal answers with a bare `max-age` are common.
 * `must-revalidate`, `proxy-revalidate` and `no-cache` end both stale directives (section 4.2.4). `s-maxage` does not,
 * although it implies `proxy-revalidate`: whoever writes `s-maxage=60, stale-if-error=600` means it.
 * A client's `no-cache`, `no-store`, `max-age` and `min-fresh` are heard; `max-stale` and `only-if-cached` are not.
 *
 * Why not http-cache-semantics (4.3.0, 3 KiB, no dependencies): it compares directives with case, so that `No-Store` and
 * `Private` are kept and shared; with `must-revalidate` it never reuses at all; it leaves `Date` out of the age, takes
 * `Expires: 2030` for a date and the second of two `max-age`; and it reads the clock itself.
 *
 * Pure. Times are Unix ms of the gateway; `Date` of the origin only makes an answer older.
 */
import { type Directives, directivesOf, spanMsOf } from "./cache-control.ts";
import { httpDateMs } from "./http-date.ts";

/** Header fields; several of one name are joined by commas. */
export interface Fields {
  get(name: string): string | null;
}

/** A response, and when it was asked for and came. */
export interface Answered {
  readonly status: number;
  readonly fields: Fields;
  readonly requestedMs: number;
  readonly receivedMs: number;
}

/** What has to be remembered of an answer that is kept. Plain data. */
export interface Kept {
  readonly receivedMs: number;
  /** How old it was when it was received. */
  readonly initialAgeMs: number;
  /** Fresh while its age is below this. */
  readonly freshMs: number;
  /** Usable for so long after that while it is fetched anew. */
  readonly staleWhileRevalidateMs: number;
  /** Usable for so long after that when the origin fails. */
  readonly staleIfErrorMs: number;
  /** Marked for everybody, also for requests with credentials. */
  readonly isShared: boolean;
  /** Request fields it depends on, lower-case, sorted. */
  readonly varies: readonly string[];
  /** How long it is of any use from `receivedMs` on. */
  readonly keepMs: number;
}

/** Why an answer is not kept. */
export type Unkept =
  | "method"
  | "status"
  | "request-no-store"
  | "unkeyed"
  | "unmarked"
  | "forbidden"
  | "set-cookie"
  | "vary"
  | "credentials"
  | "expired";

/** Whether a cached answer may be given out: at once, at once while it is fetched anew, or only after the origin agreed. */
export type Reuse = "fresh" | "stale-while-revalidate" | "validate" | "never";

/** Statuses whose meaning does not depend on anything unkept (section 3). 206 and 304 are parts of other answers. */
const STATUSES: ReadonlySet<number> = new Set([200, 203, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414]);
/** Request fields that some origins let decide what is answered, though no key has them. */
const UNKEYED = ["x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url"];
/** What the gateway itself says to the origin: a dependency on it is one on something the client never sent. */
const OWN_FIELD = /^(?:x[-_](?:levqor[-_].*|forwarded(?:[-_].*)?|real[-_]ip|request[-_]id)|forwarded)$/;
/** A stale answer is kept this long for its validators. */
const VALIDATORS_MS = 3_600_000;
/** Section 5.2.2.6 and 5.2.2.7, or a name in quotes that looks like them: not worth parsing. */
const FORBIDS = /no-store|private/i;
const DAY_MS = 86_400_000;
const KEEP_MS_MAX = 365 * DAY_MS;

/** Whether an answer may be marked for keeping at all: what can be said of most answers at the price of two fields. */
export function isMarked(fields: Fields): boolean {
  const control = fields.get("cache-control");
  return control === null ? fields.get("expires") !== null : !FORBIDS.test(control);
}

/** What to remember of an answer to a GET or another method; a reason where nothing is kept. */
export function keepingOf(method: string, asked: Fields, answered: Answered): Kept | Unkept {
  const { fields, status } = answered;
  const control = fields.get("cache-control");
  if (!isMarked(fields)) return control === null ? "unmarked" : "forbidden";
  if (method !== "GET") return "method";
  if (!STATUSES.has(status)) return "status";
  if (fields.get("set-cookie") !== null) return "set-cookie";
  const varies = namesIn(fields.get("vary"));
  if (varies.some((name) => name === "*" || OWN_FIELD.test(name))) return "vary";
  if (directivesOf(asked.get("cache-control")).has("no-store")) return "request-no-store";
  if (UNKEYED.some((name) => asked.get(name) !== null)) return "unkeyed";

  const directives = directivesOf(control);
  const isShared = directives.has("public") || directives.has("s-maxage");
  if (!mayServe(asked, isShared, varies)) return "credentials";

  const isBound = ["no-cache", "must-revalidate", "proxy-revalidate"].some((name) => directives.has(name));
  const staleMs = (name: string) => (isBound ? 0 : (spanMsOf(directives, name) ?? 0));
  const freshMs = lifetimeMsOf(directives, answered);
  if (freshMs === null) return "unmarked";
  const initialAgeMs = initialAgeMsOf(answered);
  const staleWhileRevalidateMs = staleMs("stale-while-revalidate");
  const staleIfErrorMs = staleMs("stale-if-error");
  const hasValidator = fields.get("etag") !== null || fields.get("last-modified") !== null;
  const staleUseMs = Math.max(staleWhileRevalidateMs, staleIfErrorMs);
  // Without a lifetime only validators are of use, and only where the origin means shared caches at all.
  const isWorthValidating = hasValidator && (freshMs > 0 || isShared || staleUseMs > 0);
  const keepMs = freshMs - initialAgeMs + Math.max(staleUseMs, isWorthValidating ? VALIDATORS_MS : 0);
  if (keepMs <= 0) return "expired";
  return {
    receivedMs: answered.receivedMs,
    initialAgeMs,
    freshMs,
    staleWhileRevalidateMs,
    staleIfErrorMs,
    isShared,
    varies,
    keepMs: Math.min(keepMs, KEEP_MS_MAX),
  };
}

/** Whether a request may be answered from what was kept at all: section 3.5, and the same for cookies. */
export function mayServe(asked: Fields, isShared: boolean, varies: readonly string[]): boolean {
  if (isShared) return true;
  return asked.get("authorization") === null && (asked.get("cookie") === null || varies.includes("cookie"));
}

/** When a kept answer may be used for a request (sections 4, 4.2, 5.2.1; RFC 5861 section 3). */
export function reuseOf(kept: Kept, asked: Fields, nowMs: number): Reuse {
  if (!mayServe(asked, kept.isShared, kept.varies)) return "never";
  const control = asked.get("cache-control");
  const wishes = directivesOf(control);
  const isReload = control === null ? /\bno-cache\b/i.test(asked.get("pragma") ?? "") : wishes.has("no-cache");
  const leftMs = leftMsOf(kept, nowMs);
  const maxAgeMs = spanMsOf(wishes, "max-age") ?? Number.POSITIVE_INFINITY;
  if (isReload || ageMsOf(kept, nowMs) > maxAgeMs || leftMs < (spanMsOf(wishes, "min-fresh") ?? -Infinity))
    return "validate";
  if (leftMs > 0) return "fresh";
  return -leftMs < kept.staleWhileRevalidateMs ? "stale-while-revalidate" : "validate";
}

/** Whether a kept answer may be given where the origin fails (RFC 5861 section 4). */
export function mayStandIn(kept: Kept, nowMs: number): boolean {
  const leftMs = leftMsOf(kept, nowMs);
  return leftMs > 0 || -leftMs < Math.max(kept.staleIfErrorMs, kept.staleWhileRevalidateMs);
}

/** `current_age` of section 4.2.3. A clock that steps back makes nothing younger than it was. */
export function ageMsOf({ initialAgeMs, receivedMs }: Kept, nowMs: number): number {
  return initialAgeMs + Math.max(0, nowMs - receivedMs);
}

/** ms of freshness left; negative for how long it has been stale. */
export function leftMsOf(kept: Kept, nowMs: number): number {
  return kept.freshMs - ageMsOf(kept, nowMs);
}

/** Whether an answer to an unsafe request makes what is kept of its URL invalid (section 4.4). */
export function invalidates(method: string, status: number): boolean {
  const isSafe = method === "GET" || method === "HEAD" || method === "OPTIONS" || method === "TRACE";
  return !isSafe && status >= 200 && status < 400;
}

/** Names in a list field, lower-case, sorted, each once. */
export function namesIn(field: string | null): readonly string[] {
  if (field === null) return [];
  const names = field.split(",").map((name) => name.trim().toLowerCase());
  return [...new Set(names)].filter((name) => name !== "").sort();
}

function lifetimeMsOf(directives: Directives, { fields, receivedMs }: Answered): number | null {
  const givenMs = spanMsOf(directives, "s-maxage") ?? spanMsOf(directives, "max-age");
  const expires = fields.get("expires");
  if (givenMs === null && expires === null) return directives.has("no-cache") && directives.has("public") ? 0 : null;
  if (directives.has("no-cache")) return 0;
  if (givenMs !== null) return givenMs;
  const dateMs = httpDateMs(fields.get("date")) ?? receivedMs;
  return Math.max(0, (httpDateMs(expires) ?? Number.NEGATIVE_INFINITY) - dateMs);
}

/** `corrected_initial_age` of section 4.2.3. */
function initialAgeMsOf({ fields, requestedMs, receivedMs }: Answered): number {
  const apparentMs = Math.max(0, receivedMs - (httpDateMs(fields.get("date")) ?? receivedMs));
  const age = /^\s*(\d+)\s*(?:,|$)/.exec(fields.get("age") ?? "")?.[1];
  return Math.max(apparentMs, Number(age ?? 0) * 1000 + Math.max(0, receivedMs - requestedMs));
}
