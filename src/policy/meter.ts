/**
 * The meter: what the whole fleet has seen, from the flushes of its isolates.
 *
 * A flush is dated back over the time it covers, so that one which comes late, or a single isolate's five seconds in one
 * piece, makes no peak. A repeat counts nothing. What is told is kept by the second for a quarter of an hour and by the
 * minute for an hour, by profile for two minutes; totals are kept for ever and never go back.
 *
 * Bounds: `ROWS_MAX` profiles (further ones are added up in one row), rings of fixed size, isolates as in `reported.ts`.
 * About 1 MB with every profile in use. Price: within a flush, time is taken to be even.
 *
 * No clock. `absorb` changes the meter it is given: at 500 flushes a second a copy each would be most of the work.
 */
import type { Flush } from "./flush.ts";
import { type Isolates, isNews, newIsolates } from "./reported.ts";
import { deal, newRing, type Ring, type Stretch } from "./ring.ts";
import {
  BUCKET_COUNT,
  BUCKETS_AT,
  COUNTS_AS,
  EVENTS,
  EXHAUSTED_AT,
  OTHER_PROFILES,
  OUTCOMES,
  RESPONSE_MS_AT,
  ROW_LENGTH,
  ROWS_MAX,
  STATUS_AT,
  STATUS_CLASSES,
  WITHHELD_AT,
} from "./tally.ts";
import { TIERS } from "./tier.ts";

/** Everything the meter remembers of requests. */
export interface Meter {
  /** Unix ms of the first moment, for the uptime. */
  readonly startedMs: number;
  /** Columns of `FLEET`, by the second for 15 min. */
  readonly seconds: Ring;
  /** The same by the minute for an hour. */
  readonly minutes: Ring;
  /** Columns of `PROFILE` by the second for 2 min. */
  readonly profiles: Map<string, Ring>;
  /** Columns as in `tally.ts`, since the beginning. */
  readonly totals: Map<string, number[]>;
  /** One number for each of `EVENTS`, since the beginning. */
  readonly events: number[];
  readonly isolates: Isolates;
}

/** Columns of `seconds` and `minutes`, the first two as in `PROFILE`; from `buckets` on the response time. */
export const FLEET = {
  offered: 0,
  load: 1,
  exhausted: 2,
  errors: 3,
  answers: 4,
  timed: 5,
  responseMs: 6,
  buckets: 7,
} as const;
const FLEET_WIDTH = FLEET.buckets + BUCKET_COUNT;
/** Columns of `profiles`. */
export const PROFILE = { offered: 0, load: 1, cached: 2, refused: 3, shed: 4, withheld: 5 } as const;
const PROFILE_WIDTH = 6;

export const SECOND_MS = 1_000;
export const MINUTE_MS = 60_000;
const SECONDS_KEPT = 900;
const MINUTES_KEPT = 60;
/** A minute, what is late, and as much again to look back. */
const PROFILE_SECONDS_KEPT = 120;

/** A meter that has seen nothing. */
export function newMeter(nowMs: number): Meter {
  return {
    startedMs: nowMs,
    seconds: newRing(SECONDS_KEPT, FLEET_WIDTH),
    minutes: newRing(MINUTES_KEPT, FLEET_WIDTH),
    profiles: new Map(),
    totals: new Map(),
    events: EVENTS.map(() => 0),
    isolates: newIsolates(nowMs),
  };
}

/**
 * Counts a flush.
 *
 * @param nowMs the meter's clock, Unix ms.
 * @returns false: it was counted before, or is no flush. Either way the isolate must not send it again.
 */
export function absorb(meter: Meter, flush: Flush, nowMs: number): boolean {
  if (!isWellFormed(flush)) return false;
  const { isolate, number, inFlight, isCircuitOpen } = flush;
  if (!isNews(meter.isolates, isolate, { number, atMs: nowMs, inFlight, isCircuitOpen })) return false;
  for (let i = 0; i < EVENTS.length; i++) add(meter.events, i, flush.events[i] ?? 0);
  const seconds = stretchOf(flush, SECOND_MS, nowMs);
  const fleet = new Array<number>(FLEET_WIDTH).fill(0);
  for (const [name, row] of flush.rows) {
    const profile = hasRoomFor(meter, name) ? name : OTHER_PROFILES;
    const sums = profileSums(row);
    addToTotals(meter, profile, row);
    deal(ringOf(meter, profile), sums, seconds);
    addToFleet(fleet, row, sums[PROFILE.offered] ?? 0, sums[PROFILE.load] ?? 0);
  }
  deal(meter.seconds, fleet, seconds);
  deal(meter.minutes, fleet, stretchOf(flush, MINUTE_MS, nowMs));
  return true;
}

/** The ring of a profile, new where it is the first time. */
export function ringOf(meter: Meter, profile: string): Ring {
  let ring = meter.profiles.get(profile);
  if (ring === undefined) {
    ring = newRing(PROFILE_SECONDS_KEPT, PROFILE_WIDTH);
    meter.profiles.set(profile, ring);
  }
  return ring;
}

function hasRoomFor({ totals }: Meter, profile: string): boolean {
  return totals.has(profile) || totals.size < ROWS_MAX;
}

function addToTotals({ totals }: Meter, profile: string, row: readonly number[]): void {
  let total = totals.get(profile);
  if (total === undefined) {
    total = new Array<number>(ROW_LENGTH).fill(0);
    totals.set(profile, total);
  }
  const columns = Math.min(row.length, ROW_LENGTH);
  for (let i = 0; i < columns; i++) total[i] = (total[i] ?? 0) + (row[i] ?? 0);
}

/** The stretch a flush covers, in the meter's time and in slots of so many ms. */
function stretchOf({ spanMs, ageMs }: Flush, slotMs: number, nowMs: number): Stretch {
  const endMs = Math.max(0, nowMs - ageMs);
  return { from: Math.max(0, endMs - spanMs) / slotMs, to: endMs / slotMs, newest: Math.floor(nowMs / slotMs) };
}

/** What a row comes to whatever the tier, as in `PROFILE`. */
function profileSums(row: readonly number[]): number[] {
  let offered = 0;
  let load = 0;
  for (let i = 0; i < OUTCOMES.length; i++) {
    const units = ofOutcome(row, i);
    const countsAs = COUNTS_AS[OUTCOMES[i] ?? "exempt"];
    if (countsAs.offered) offered += units;
    if (countsAs.load) load += units;
  }
  return [offered, load, ofOutcome(row, CACHED), ofOutcome(row, REFUSED), ofOutcome(row, SHED), row[WITHHELD_AT] ?? 0];
}

const CACHED = OUTCOMES.indexOf("cached");
const REFUSED = OUTCOMES.indexOf("refused");
const SHED = OUTCOMES.indexOf("shed");
const FAILED = OUTCOMES.indexOf("failed");
const SERVER_ERRORS_AT = STATUS_AT + STATUS_CLASSES.indexOf("5xx");

/** Requests of an outcome under any tier. */
function ofOutcome(row: readonly number[], outcome: number): number {
  let sum = 0;
  for (let tier = 0; tier < TIERS.length; tier++) sum += row[tier * OUTCOMES.length + outcome] ?? 0;
  return sum;
}

/** Adds what a row says of the fleet, as in `FLEET`. */
function addToFleet(fleet: number[], row: readonly number[], offered: number, load: number): void {
  const failed = ofOutcome(row, FAILED);
  let answers = failed;
  for (let i = 0; i < STATUS_CLASSES.length; i++) answers += row[STATUS_AT + i] ?? 0;
  add(fleet, FLEET.offered, offered);
  add(fleet, FLEET.load, load);
  add(fleet, FLEET.exhausted, row[EXHAUSTED_AT] ?? 0);
  add(fleet, FLEET.errors, failed + (row[SERVER_ERRORS_AT] ?? 0));
  add(fleet, FLEET.answers, answers);
  add(fleet, FLEET.responseMs, row[RESPONSE_MS_AT] ?? 0);
  for (let i = 0; i < BUCKET_COUNT; i++) {
    add(fleet, FLEET.timed, row[BUCKETS_AT + i] ?? 0);
    add(fleet, FLEET.buckets + i, row[BUCKETS_AT + i] ?? 0);
  }
}

function add(columns: number[], at: number, units: number): void {
  columns[at] = (columns[at] ?? 0) + units;
}

/** One number that is none would spoil every sum after it, for ever. */
function isWellFormed({ isolate, number, spanMs, ageMs, rows, events, inFlight }: Flush): boolean {
  const isName = isolate.length > 0 && isolate.length <= NAME_MAX;
  if (!isName || !Number.isSafeInteger(number) || rows.length > ROWS_MAX + 1) return false;
  if (!(isAmount(spanMs) && isAmount(ageMs) && isAmount(inFlight) && areAmounts(events))) return false;
  for (const [profile, row] of rows) if (profile.length > NAME_MAX || !areAmounts(row)) return false;
  return true;
}

/** Longer than any identifier or profile's name. */
const NAME_MAX = 128;

function areAmounts(values: readonly number[]): boolean {
  for (let i = 0; i < values.length; i++) if (!isAmount(values[i])) return false;
  return true;
}

function isAmount(value: number | undefined): boolean {
  return value !== undefined && Number.isFinite(value) && value >= 0;
}
