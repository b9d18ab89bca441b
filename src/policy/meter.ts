/**
 * The meter: what the whole fleet has seen, from the flushes of its isolates.
 *
 * A flush is dated back over the time it covers, so that one which comes late, or a single isolate's five seconds in one
 * piece, makes no peak. A repeat (same isolate, same number or a lower one) counts nothing. Offered and admitted are
 * kept by the second for a quarter of an hour and by the minute for an hour, by profile for two minutes; totals are kept
 * for ever and never go back.
 *
 * Bounds: `ROWS_MAX` profiles (further ones are added up in one row), `ISOLATES` to `2 * ISOLATES` isolates remembered,
 * rings of fixed size. About 1.2 MB with every profile in use, and 100 bytes for each isolate. Price: an isolate that is
 * silent for more than a generation and then repeats an old flush counts it twice.
 *
 * No clock. `absorb` changes the meter it is given: at 500 flushes a second a copy each would be most of the work.
 */
import type { Flush } from "./flush.ts";
import { addAt, newRing, openSlot, type Ring } from "./ring.ts";
import {
  BUCKET_COUNT,
  BUCKETS_AT,
  COUNTS_AS,
  EVENTS,
  OTHER_PROFILES,
  OUTCOMES,
  type Outcome,
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

/** Who has reported, in two generations: when the young one is full or old, it becomes the old one. */
export interface Isolates {
  young: Map<string, Reported>;
  old: Map<string, Reported>;
  turnedMs: number;
}

/** What is known of an isolate. */
export interface Reported {
  /** Of its last flush. */
  readonly number: number;
  readonly atMs: number;
  readonly inFlight: number;
}

/** Columns of `seconds` and `minutes`, the first two as in `PROFILE`; from `buckets` on the response time. */
export const FLEET = { offered: 0, load: 1, errors: 2, answers: 3, responseMs: 4, buckets: 5 } as const;
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
/** 2,000 flushes a second are 10,000 isolates; half as many again, so that a turn of generations forgets nobody busy. */
export const ISOLATES = 16_384;
/** Isolates live for minutes to hours; one silent for so long is gone. */
const GENERATION_MS = 600_000;
/** An isolate that has not reported for three flushes has nothing under way that it could still tell of. */
const IN_FLIGHT_MAX_AGE_MS = 15_000;

/** A meter that has seen nothing. */
export function newMeter(nowMs: number): Meter {
  return {
    startedMs: nowMs,
    seconds: newRing(SECONDS_KEPT, FLEET_WIDTH),
    minutes: newRing(MINUTES_KEPT, FLEET_WIDTH),
    profiles: new Map(),
    totals: new Map(),
    events: EVENTS.map(() => 0),
    isolates: { young: new Map(), old: new Map(), turnedMs: nowMs },
  };
}

/**
 * Counts a flush.
 *
 * @param nowMs the meter's clock, Unix ms.
 * @returns false: it was counted before, or is no flush. Either way the isolate must not send it again.
 */
export function absorb(meter: Meter, flush: Flush, nowMs: number): boolean {
  if (!isWellFormed(flush) || !isNews(meter.isolates, flush, nowMs)) return false;
  for (let i = 0; i < EVENTS.length; i++) meter.events[i] = (meter.events[i] ?? 0) + (flush.events[i] ?? 0);
  const when = whenOf(flush, nowMs);
  for (const [name, row] of flush.rows) {
    const profile = hasRoomFor(meter, name) ? name : OTHER_PROFILES;
    addToTotals(meter, profile, row);
    addToRings(meter, profile, row, when);
  }
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

/** Remembers the last flush of an isolate. */
export function remember(isolates: Isolates, isolate: string, reported: Reported): void {
  const isFull = isolates.young.size >= ISOLATES && !isolates.young.has(isolate);
  const isOld = Math.abs(reported.atMs - isolates.turnedMs) >= GENERATION_MS;
  if (isFull || isOld) {
    isolates.old = isolates.young;
    isolates.young = new Map();
    isolates.turnedMs = reported.atMs;
  }
  isolates.young.set(isolate, reported);
}

/** Requests at the origin, as far as isolates have told of late. */
export function inFlightOf({ isolates }: Meter, nowMs: number): number {
  let sum = 0;
  for (const { atMs, inFlight } of lastReports(isolates).values())
    if (Math.abs(nowMs - atMs) <= IN_FLIGHT_MAX_AGE_MS) sum += inFlight;
  return sum;
}

/** Every isolate remembered, the newest report of each. */
export function lastReports({ young, old }: Isolates): ReadonlyMap<string, Reported> {
  return old.size === 0 ? young : new Map([...old, ...young]);
}

function isNews(isolates: Isolates, flush: Flush, nowMs: number): boolean {
  const known = isolates.young.get(flush.isolate) ?? isolates.old.get(flush.isolate);
  if (known !== undefined && flush.number <= known.number) return false;
  remember(isolates, flush.isolate, { number: flush.number, atMs: nowMs, inFlight: flush.inFlight });
  return true;
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

/** The stretch a flush covers, in the meter's time. */
interface When {
  readonly startMs: number;
  readonly endMs: number;
  readonly newestSecond: number;
}

/** What is older than the ring falls out of it anyway; to walk through it second by second would be for nothing. */
function whenOf({ spanMs, ageMs }: Flush, nowMs: number): When {
  const endMs = Math.max(0, nowMs - ageMs);
  const startMs = Math.max(0, endMs - Math.min(spanMs, SECONDS_KEPT * SECOND_MS));
  return { startMs, endMs, newestSecond: Math.floor(nowMs / SECOND_MS) };
}

function addToRings(meter: Meter, profile: string, row: readonly number[], when: When): void {
  const sums = sumsOf(row);
  const ring = ringOf(meter, profile);
  for (let column = 0; column < PROFILE_WIDTH; column++) {
    const isFleetWide = column === PROFILE.offered || column === PROFILE.load;
    spread(sums.byColumn[column] ?? 0, when, (second, units) => {
      addAt(ring, openSlot(ring, second, when.newestSecond), column, units);
      if (isFleetWide) addToFleet(meter, second, when, column, units);
    });
  }
  addAnswers(meter, row, sums.failed, when);
}

/** Answers need no dating back: only their ratios are read. */
function addAnswers(meter: Meter, row: readonly number[], failed: number, when: When): void {
  let answers = failed;
  for (let i = 0; i < STATUS_CLASSES.length; i++) answers += row[STATUS_AT + i] ?? 0;
  if (answers === 0) return;
  const second = Math.floor(when.endMs / SECOND_MS);
  const errors = failed + (row[STATUS_AT + STATUS_CLASSES.indexOf("5xx")] ?? 0);
  addToFleet(meter, second, when, FLEET.answers, answers);
  addToFleet(meter, second, when, FLEET.errors, errors);
  addToFleet(meter, second, when, FLEET.responseMs, row[RESPONSE_MS_AT] ?? 0);
  for (let i = 0; i < BUCKET_COUNT; i++) addToFleet(meter, second, when, FLEET.buckets + i, row[BUCKETS_AT + i] ?? 0);
}

function addToFleet({ seconds, minutes }: Meter, second: number, when: When, column: number, units: number): void {
  if (units === 0) return;
  const minute = Math.floor((second * SECOND_MS) / MINUTE_MS);
  const newestMinute = Math.floor((when.newestSecond * SECOND_MS) / MINUTE_MS);
  addAt(seconds, openSlot(seconds, second, when.newestSecond), column, units);
  addAt(minutes, openSlot(minutes, minute, newestMinute), column, units);
}

/** Deals whole units over the seconds of a stretch, evenly in time; the last second gets what is left. */
function spread(units: number, { startMs, endMs }: When, put: (second: number, units: number) => void): void {
  if (units === 0) return;
  const last = Math.floor(endMs / SECOND_MS);
  let dealt = 0;
  for (let second = Math.floor(startMs / SECOND_MS); second < last; second++) {
    const untilNow = Math.floor((units * ((second + 1) * SECOND_MS - startMs)) / (endMs - startMs));
    if (untilNow > dealt) put(second, untilNow - dealt);
    dealt = untilNow;
  }
  if (units > dealt) put(last, units - dealt);
}

/** What a row comes to, whatever the tier; `byColumn` as in `PROFILE`. */
function sumsOf(row: readonly number[]): { readonly byColumn: readonly number[]; readonly failed: number } {
  const byOutcome: Record<Outcome, number> = { ...NO_OUTCOMES };
  for (let tier = 0; tier < TIERS.length; tier++)
    for (let i = 0; i < OUTCOMES.length; i++) byOutcome[OUTCOMES[i] as Outcome] += row[tier * OUTCOMES.length + i] ?? 0;
  let offered = 0;
  let load = 0;
  for (const outcome of OUTCOMES) {
    if (COUNTS_AS[outcome].offered) offered += byOutcome[outcome];
    if (COUNTS_AS[outcome].load) load += byOutcome[outcome];
  }
  const { cached, refused, shed, failed } = byOutcome;
  return { byColumn: [offered, load, cached, refused, shed, row[WITHHELD_AT] ?? 0], failed };
}

const NO_OUTCOMES: Readonly<Record<Outcome, number>> = {
  admitted: 0,
  failed: 0,
  cached: 0,
  shadow_refused: 0,
  refused: 0,
  shed: 0,
  exempt: 0,
};

/** One number that is none would spoil every sum after it, for ever. */
function isWellFormed({ isolate, number, spanMs, ageMs, rows, events, inFlight }: Flush): boolean {
  const isName = typeof isolate === "string" && isolate.length > 0 && isolate.length <= NAME_MAX;
  if (!isName || !Number.isSafeInteger(number) || rows.length > ROWS_MAX + 1) return false;
  return (
    [spanMs, ageMs, inFlight, ...events].every(isAmount) &&
    rows.every(([profile, row]) => profile.length <= NAME_MAX && row.every(isAmount))
  );
}

/** Longer than any identifier or profile's name. */
const NAME_MAX = 128;

function isAmount(value: number): boolean {
  return Number.isFinite(value) && value >= 0;
}
