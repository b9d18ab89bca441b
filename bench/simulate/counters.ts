/**
 * The counters of all clients, exact: the window of each, and the tier they count by, the newest they have heard of.
 *
 * What an isolate remembers of a refusal is kept here too, since it changes only how often a counter is asked, never
 * what it says: until the retry time nobody asks again, unless the limit has been raised.
 */

import type { Profile } from "../../src/policy/limits.ts";
import { noRefusals, nthRefusal, type Refusals } from "../../src/policy/prediction.ts";
import type { EdgeSignal } from "../../src/policy/publication.ts";
import type { Tier } from "../../src/policy/tier.ts";
import { emptyWindow, take, type Window } from "../../src/policy/window.ts";

/** One client under one profile. */
export interface Counted {
  readonly key: string;
  window: Window | null;
  retryAtMs: number;
  /** The limit that refused. */
  refusedLimit: number;
  readonly refusals: Refusals;
}

/** What all counters believe. */
export interface InForce {
  tier: Tier;
  asOfMs: number;
  /** The freshest word of the meter that an asker has brought. */
  word: EdgeSignal | null;
}

/** A client that has not come yet. */
export function newCounted(key: string): Counted {
  return { key, window: null, retryAtMs: Number.NEGATIVE_INFINITY, refusedLimit: 0, refusals: noRefusals() };
}

/** Takes in what the asker believes, if that is newer. */
export function learn(inForce: InForce, tier: Tier, asOfMs: number): void {
  if (asOfMs < inForce.asOfMs) return;
  inForce.tier = tier;
  inForce.asOfMs = asOfMs;
}

/** Asks for one unit. @returns 0: granted; else how many of this client were refused within the window. */
export function count(client: Counted, { limits, windowMs }: Profile, tier: Tier, nowMs: number): number {
  const limit = limits[tier];
  if (nowMs >= client.retryAtMs || limit > client.refusedLimit) {
    const taken = take(client.window ?? emptyWindow(windowMs, nowMs), limit, 1, nowMs);
    client.window = taken.window;
    if (taken.granted) return 0;
    client.retryAtMs = nowMs + taken.retryAfterMs;
    client.refusedLimit = limit;
  }
  return nthRefusal(client.refusals, windowMs, nowMs);
}
