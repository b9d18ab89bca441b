/**
 * Rates as the meter can know them: what the last minute came to, fleet-wide and by profile.
 *
 * Isolates report every five seconds, so the last seconds are never complete. A rate is the higher of two sums over
 * equally many seconds: those up to now, as far as they were reported, and those up to six seconds ago, on which every
 * isolate has reported. So a rise counts as soon as it is told, a steady rate is exact, and a fall is believed six
 * seconds late.
 *
 * Pure: reads the meter and changes nothing.
 */
import { FLUSH_EVERY_MS } from "./flush.ts";
import { FLEET, type Meter, MINUTE_MS, PROFILE, SECOND_MS } from "./meter.ts";
import { type Ring, sumOf, valueAt } from "./ring.ts";
import { BUCKET_COUNT, BUCKETS_MS } from "./tally.ts";

/** The fleet in the last minute. */
export interface Rates {
  readonly offeredPerMinute: number;
  /** What reached the origin. */
  readonly admittedPerMinute: number;
  /** 0..1: 5xx, and what got no answer, in all answers; 0 without any. */
  readonly errorRate: number;
  /** Mean to response headers; 0 without any. */
  readonly avgResponseMs: number;
}

/** One profile, in requests per minute. */
export interface ProfileRates {
  readonly profile: string;
  readonly offered: number;
  readonly load: number;
  readonly cached: number;
  readonly refused: number;
  readonly shed: number;
  /** Refused, and let through by the limits one tier looser. */
  readonly withheld: number;
}

/** Admissions of a short stretch, beside what such a stretch came to before. */
export interface Surge {
  readonly count: number;
  /** The most in any stretch of the same length in the two minutes before. */
  readonly before: number;
}

/** A minute of the last hour. */
export interface MinuteSums {
  /** Unix ms of its start. */
  readonly startMs: number;
  readonly offered: number;
  readonly admitted: number;
}

const RATE_SECONDS = 60;
/** Seconds younger than this may not have been reported by everybody. */
export const LATE_SECONDS = FLUSH_EVERY_MS / SECOND_MS + 1;
/** Long enough to count, short enough to tighten within fifteen seconds. */
export const SURGE_SECONDS = 15;
const SURGE_LOOKS_BACK_SECONDS = 120;

/** The last minute of the fleet. */
export function ratesOf({ seconds }: Meter, nowMs: number): Rates {
  const now = Math.floor(nowMs / SECOND_MS);
  const sum = (column: number) => sumOf(seconds, column, now - RATE_SECONDS - LATE_SECONDS + 1, now);
  const answers = sum(FLEET.answers);
  const timed = sum(FLEET.timed);
  return {
    offeredPerMinute: recent(seconds, FLEET.offered, RATE_SECONDS, now),
    admittedPerMinute: recent(seconds, FLEET.load, RATE_SECONDS, now),
    errorRate: answers === 0 ? 0 : sum(FLEET.errors) / answers,
    avgResponseMs: timed === 0 ? 0 : sum(FLEET.responseMs) / timed,
  };
}

/**
 * Every profile that was asked for of late, in requests per minute.
 *
 * @param overSeconds 1..60: a shorter stretch follows faster and is noisier.
 */
export function profileRatesOf(meter: Meter, overSeconds: number, nowMs: number): ProfileRates[] {
  const now = Math.floor(nowMs / SECOND_MS);
  const rates: ProfileRates[] = [];
  for (const [profile, ring] of meter.profiles) {
    const told = sumOf(ring, PROFILE.offered, now - overSeconds + 1, now);
    const settled = sumOf(ring, PROFILE.offered, now - LATE_SECONDS - overSeconds + 1, now - LATE_SECONDS);
    const offered = Math.max(told, settled);
    if (offered === 0) continue;
    // All columns over the same stretch: what is read is how they stand to each other.
    const to = told > settled ? now : now - LATE_SECONDS;
    const rate = (column: number) => (sumOf(ring, column, to - overSeconds + 1, to) * RATE_SECONDS) / overSeconds;
    rates.push({
      profile,
      offered: (offered * RATE_SECONDS) / overSeconds,
      load: rate(PROFILE.load),
      cached: rate(PROFILE.cached),
      refused: rate(PROFILE.refused),
      shed: rate(PROFILE.shed),
      withheld: rate(PROFILE.withheld),
    });
  }
  return rates;
}

/**
 * Admissions of the last fifteen seconds, and the most before. Left out is what clients had that have since used up
 * their limit: it is over, and one greedy client must not look like a crowd that goes on.
 */
export function surgeOf({ seconds }: Meter, nowMs: number): Surge {
  const now = Math.floor(nowMs / SECOND_MS);
  const goingOn = (second: number) => valueAt(seconds, FLEET.load, second) - valueAt(seconds, FLEET.exhausted, second);
  const stretch = (to: number) =>
    sumOf(seconds, FLEET.load, to - SURGE_SECONDS + 1, to) -
    sumOf(seconds, FLEET.exhausted, to - SURGE_SECONDS + 1, to);
  const end = now - SURGE_SECONDS - LATE_SECONDS;
  const start = end - SURGE_LOOKS_BACK_SECONDS + 1;
  let sliding = stretch(start + SURGE_SECONDS - 1);
  let before = Math.max(0, sliding);
  for (let second = start + SURGE_SECONDS; second <= end; second++) {
    sliding += goingOn(second) - goingOn(second - SURGE_SECONDS);
    if (sliding > before) before = sliding;
  }
  return { count: Math.max(0, stretch(now), stretch(now - LATE_SECONDS)), before };
}

/**
 * The response time, ms, that a share of the answers of the last seconds stayed under; null without any. Within a bucket
 * the times are taken to be spread evenly; above the last it is the last bound.
 *
 * @param share 0..1.
 */
export function responseMsAt({ seconds }: Meter, share: number, overSeconds: number, nowMs: number): number | null {
  const now = Math.floor(nowMs / SECOND_MS);
  const buckets = bucketsOf(seconds, now - overSeconds + 1, now);
  const rank = share * buckets.reduce((a, b) => a + b, 0);
  if (rank === 0) return null;
  let below = 0;
  for (let i = 0; i < BUCKETS_MS.length; i++) {
    const count = buckets[i] ?? 0;
    const lower = BUCKETS_MS[i - 1] ?? 0;
    if (below + count >= rank) return lower + ((BUCKETS_MS[i] ?? 0) - lower) * ((rank - below) / count);
    below += count;
  }
  return BUCKETS_MS[BUCKETS_MS.length - 1] ?? null;
}

/** The last hour, oldest first, the present minute left out; a minute without requests is 0. */
export function minutesOf({ minutes, startedMs }: Meter, nowMs: number): MinuteSums[] {
  const now = Math.floor(nowMs / MINUTE_MS);
  const first = Math.max(now - minutes.slots + 1, Math.floor(startedMs / MINUTE_MS));
  const sums: MinuteSums[] = [];
  for (let minute = first; minute < now; minute++)
    sums.push({
      startMs: minute * MINUTE_MS,
      offered: valueAt(minutes, FLEET.offered, minute),
      admitted: valueAt(minutes, FLEET.load, minute),
    });
  return sums;
}

/** The higher of the sums up to now and up to where everybody has reported. */
function recent(ring: Ring, column: number, seconds: number, now: number): number {
  const settled = now - LATE_SECONDS;
  return Math.max(sumOf(ring, column, now - seconds + 1, now), sumOf(ring, column, settled - seconds + 1, settled));
}

function bucketsOf(seconds: Ring, from: number, to: number): number[] {
  return Array.from({ length: BUCKET_COUNT }, (_, bucket) => sumOf(seconds, FLEET.buckets + bucket, from, to));
}
