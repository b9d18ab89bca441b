/**
 * What happened in a run, in numbers: by minute, by group of clients, and every change of tier.
 */
import type { Tier } from "../../src/policy/tier.ts";

/** Requests of one group in one minute. */
export interface Traffic {
  offered: number;
  admitted: number;
  /** By a limit. */
  refused: number;
  /** By the ceiling for the sum. */
  shed: number;
}

/** One minute of the run. */
export interface MinuteBook {
  readonly groups: readonly Traffic[];
  /** 0..1, at its end: the highest of what the meter measured and what others published. */
  load: number;
  /** In force at its end. */
  tier: Tier;
  /** Seconds in which the tier rested on nothing fresh. */
  fallbackSeconds: number;
}

/** A change of the tier that counters count by. */
export interface TierChange {
  /** Seconds since the start. */
  readonly second: number;
  readonly from: Tier;
  readonly to: Tier;
}

/** Everything that is known of a run. */
export interface Books {
  readonly minutes: readonly MinuteBook[];
  readonly changes: readonly TierChange[];
  /** The tier before the first request. */
  readonly startTier: Tier;
  /** Seconds at which the steep rise tightened, before the rate of a minute would have. */
  readonly steepSeconds: readonly number[];
  /** Documents written to KV, and writes that it refused. */
  readonly writes: { readonly taken: number; readonly refused: number };
  /** Flushes that the meter took. */
  readonly flushes: number;
}

/** The sum of some traffic. */
export function sumTraffic(parts: readonly Traffic[]): Traffic {
  const sum = noTraffic();
  for (const { offered, admitted, refused, shed } of parts) {
    sum.offered += offered;
    sum.admitted += admitted;
    sum.refused += refused;
    sum.shed += shed;
  }
  return sum;
}

/** Nothing yet. */
export function noTraffic(): Traffic {
  return { offered: 0, admitted: 0, refused: 0, shed: 0 };
}
