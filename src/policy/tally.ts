/**
 * What one isolate has seen, added up by profile: the shape in which it is counted, sent and kept.
 *
 * A row is one flat list of numbers, so that adding a flush to the fleet's totals is one loop, and so that a meter and an
 * isolate of different versions understand each other: new columns come last, and a shorter row counts as far as it
 * goes. Each request has one outcome, and the table below says what an outcome counts as; nobody else decides that.
 *
 * Price: about 50 numbers a profile in every flush, most of them 0.
 *
 * Functions change the tally they are given: it has one owner, and this is every request's path.
 */
import type { Limits } from "./limits.ts";
import { TIERS, type Tier } from "./tier.ts";

/** What became of a request. */
export const OUTCOMES = ["admitted", "failed", "cached", "shadow_refused", "refused", "shed", "exempt"] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** What each outcome counts as. Load is what reached the origin: no refusal ever raises it. */
export const COUNTS_AS: Readonly<Record<Outcome, { readonly offered: boolean; readonly load: boolean }>> = {
  admitted: { offered: true, load: true },
  failed: { offered: true, load: true },
  cached: { offered: true, load: false },
  shadow_refused: { offered: true, load: true },
  refused: { offered: true, load: false },
  shed: { offered: true, load: false },
  exempt: { offered: false, load: false },
};

/** Classes of the status a client got from the origin or the cache. */
export const STATUS_CLASSES = ["2xx", "3xx", "4xx", "5xx"] as const;

/** Upper ends, ms, of the buckets of the origin's response time; one more bucket holds what is slower. */
export const BUCKETS_MS = [10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000] as const;

/** What is counted besides requests, fleet-wide. New ones come last. */
export const EVENTS = [
  "counterCalls",
  "counterRowsWritten",
  "counterFailures",
  "deniedLocally",
  "withoutAddress",
  "circuitOpened",
  "circuitHalfOpened",
  "circuitClosed",
  "documentsRefused",
] as const;
export type MeterEvent = (typeof EVENTS)[number];

/** Columns of a row, in order: outcomes by tier, status classes, buckets, and the ones below. */
export const STATUS_AT = TIERS.length * OUTCOMES.length;
export const BUCKETS_AT = STATUS_AT + STATUS_CLASSES.length;
export const BUCKET_COUNT = BUCKETS_MS.length + 1;
/** Sum of the response times, ms. */
export const RESPONSE_MS_AT = BUCKETS_AT + BUCKET_COUNT;
/** Refused requests that the limits one tier looser would have let through; see `prediction.ts`. */
export const WITHHELD_AT = RESPONSE_MS_AT + 1;
/** Units of clients that have used up their limit: what cannot come again at once; see `steep.ts`. */
export const EXHAUSTED_AT = WITHHELD_AT + 1;
export const ROW_LENGTH = EXHAUSTED_AT + 1;

/** Twice as many profiles as tables may have, since a renamed one stays for a while. */
export const ROWS_MAX = 128;
/** The row of whatever comes after `ROWS_MAX`. No profile can have that name. */
export const OTHER_PROFILES = "~other";

/** Counts of one isolate since `startedMs`. */
export interface Tally {
  /** Unix ms of the first count; null while nothing is counted. */
  startedMs: number | null;
  readonly rows: Map<string, number[]>;
  /** One number for each of `EVENTS`. */
  readonly events: number[];
}

/** A tally of nothing. */
export function newTally(): Tally {
  return { startedMs: null, rows: new Map(), events: EVENTS.map(() => 0) };
}

/** The column of an outcome under a tier. */
export function outcomeAt(tier: Tier, outcome: Outcome): number {
  return TIERS.indexOf(tier) * OUTCOMES.length + OUTCOMES.indexOf(outcome);
}

/** Counts a request, under the tier whose limit decided it. */
export function countOutcome(tally: Tally, profile: string, tier: Tier, outcome: Outcome, nowMs: number): void {
  add(rowOf(tally, profile, nowMs), outcomeAt(tier, outcome), 1);
}

/**
 * Counts an answer of the origin or the cache.
 *
 * @param status 100..599; below 200 and above 599 it is not counted.
 * @param responseMs the origin's time to response headers; null where the origin was not asked.
 */
export function countAnswer(
  tally: Tally,
  profile: string,
  status: number,
  responseMs: number | null,
  nowMs: number,
): void {
  const row = rowOf(tally, profile, nowMs);
  const statusClass = Math.floor(status / 100) - 2;
  if (statusClass >= 0 && statusClass < STATUS_CLASSES.length) add(row, STATUS_AT + statusClass, 1);
  if (responseMs === null) return;
  add(row, BUCKETS_AT + bucketOf(responseMs), 1);
  add(row, RESPONSE_MS_AT, Math.max(0, Math.round(responseMs)));
}

/**
 * Counts a request refused by its limit, and what it says of its client.
 *
 * @param nth how many of this client were refused within the window, this one included; see `nthRefusal`.
 * @param limits of the profile; `tier` is the one in force.
 */
export function countRefusal(
  tally: Tally,
  profile: string,
  tier: Tier,
  nth: number,
  limits: Limits,
  nowMs: number,
): void {
  const row = rowOf(tally, profile, nowMs);
  add(row, outcomeAt(tier, "refused"), 1);
  const looser = TIERS[TIERS.indexOf(tier) - 1];
  if (looser !== undefined && nth <= limits[looser] - limits[tier]) add(row, WITHHELD_AT, 1);
  if (nth === 1) add(row, EXHAUSTED_AT, limits[tier]);
}

/** Counts something that is no request. */
export function countEvent(tally: Tally, event: MeterEvent, units: number, nowMs: number): void {
  tally.startedMs ??= nowMs;
  add(tally.events, EVENTS.indexOf(event), units);
}

/** The bucket of a response time: an upper end belongs to its bucket. */
export function bucketOf(responseMs: number): number {
  let bucket = 0;
  while (bucket < BUCKETS_MS.length && responseMs > (BUCKETS_MS[bucket] ?? 0)) bucket++;
  return bucket;
}

function rowOf(tally: Tally, profile: string, nowMs: number): number[] {
  tally.startedMs ??= nowMs;
  const known = tally.rows.get(profile);
  if (known !== undefined) return known;
  if (tally.rows.size >= ROWS_MAX && profile !== OTHER_PROFILES) return rowOf(tally, OTHER_PROFILES, nowMs);
  const row = new Array<number>(ROW_LENGTH).fill(0);
  tally.rows.set(profile, row);
  return row;
}

function add(columns: number[], at: number, units: number): void {
  columns[at] = (columns[at] ?? 0) + units;
}
