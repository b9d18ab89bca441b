/**
 * The field values that tell a client its limit: `RateLimit-Policy`, `RateLimit`, and seconds for the older ones.
 *
 * Syntax: draft-ietf-httpapi-ratelimit-headers-10, which is RFC 9651 (lists of Strings with parameters). It is the one
 * place that writes it, so that a later draft is one change. `r` and `t` come first and together, `q` before `w`:
 * clients in the field read them with regular expressions that want it so.
 *
 * Pure. Milliseconds in, whole seconds out, always rounded up: a client that waits as told is never early.
 */
import type { Tier } from "./tier.ts";

/** What a counted response says of its limit. */
export interface Quota {
  /** Name of the profile: lower-case letters, digits and hyphens, so that it needs no escaping in a String. */
  readonly profile: string;
  readonly tier: Tier;
  /** Units per window. */
  readonly limit: number;
  readonly windowMs: number;
  /** Units left, >= 0. */
  readonly remaining: number;
  /** Unix ms at which more units come; null where nothing is used. */
  readonly growsAtMs: number | null;
}

/** `RateLimit-Policy`: `"ai-chat";q=20;w=60;levqor-tier="high"`. */
export function rateLimitPolicy({ profile, limit, windowMs, tier }: Quota): string {
  return `"${profile}";q=${limit};w=${wholeSeconds(windowMs)};levqor-tier="${tier}"`;
}

/** `RateLimit`: `"ai-chat";r=13;t=42`, without `t` where nothing is used. */
export function rateLimit({ profile, remaining, growsAtMs }: Quota, nowMs: number): string {
  const rest = growsAtMs === null ? "" : `;t=${Math.max(0, wholeSeconds(growsAtMs - nowMs))}`;
  return `"${profile}";r=${remaining}${rest}`;
}

/** `X-RateLimit-Reset`: the same moment in Unix seconds; now, where nothing is used. */
export function rateLimitReset({ growsAtMs }: Quota, nowMs: number): string {
  return String(wholeSeconds(growsAtMs ?? nowMs));
}

/** `Retry-After`: whole seconds, at least 1. */
export function retryAfter(retryAfterMs: number): number {
  return Math.max(1, wholeSeconds(retryAfterMs));
}

function wholeSeconds(ms: number): number {
  return Math.ceil(ms / 1000);
}
