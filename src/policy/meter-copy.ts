/**
 * The meter as plain data, to be stored and taken up again.
 *
 * Totals, the hour by minutes, the last two minutes by seconds, and who has reported of late: all that a rate, a metric
 * or a repeat needs to go on as if nothing had happened. Totals and reports are one copy, so that a flush is in both or
 * in neither: after a restart from an older copy a flush may be missing, never twice. Price: seconds older than two
 * minutes are forgotten; they are in the minutes.
 *
 * Bounds: `ROWS_MAX` profiles, `ISOLATES_COPIED` isolates; some 25 KB for the built-in profiles and 100 isolates.
 */
import { PENDING_MAX_MS } from "./flush.ts";
import { type Meter, MINUTE_MS, newMeter, ringOf, SECOND_MS } from "./meter.ts";
import { lastReports, type Reported, remember } from "./reported.ts";
import { copyOf, fillFrom, type RingCopy } from "./ring.ts";
import { EVENTS, ROW_LENGTH } from "./tally.ts";

/** What is stored. */
export interface MeterCopy {
  readonly startedMs: number;
  readonly savedMs: number;
  readonly seconds: RingCopy;
  readonly minutes: RingCopy;
  readonly profiles: readonly (readonly [profile: string, ring: RingCopy])[];
  readonly totals: readonly (readonly [profile: string, row: readonly number[]])[];
  readonly events: readonly number[];
  readonly isolates: readonly (readonly [isolate: string, reported: Reported])[];
}

/** The window of the rate, what may be late, and room for both again. */
const COPIED_MS = 120_000;
/** An isolate that was idle repeats a flush when it wakes, for as long as `flush.ts` keeps it; and as long again. */
const REPEATS_WITHIN_MS = 2 * PENDING_MAX_MS;
/** All that 800 flushes a second can come from; of more, those that reported last. */
const ISOLATES_COPIED = 4_096;

/** A copy that later changes do not reach. */
export function copyMeter(meter: Meter, nowMs: number): MeterCopy {
  const fromSecond = Math.floor((nowMs - COPIED_MS) / SECOND_MS);
  return {
    startedMs: meter.startedMs,
    savedMs: nowMs,
    seconds: copyOf(meter.seconds, fromSecond),
    minutes: copyOf(meter.minutes, 0),
    profiles: [...meter.profiles].map(([name, ring]) => [name, copyOf(ring, fromSecond)] as const),
    totals: [...meter.totals].map(([name, row]) => [name, [...row]] as const),
    events: [...meter.events],
    isolates: [...lastReports(meter.isolates)]
      .filter(([, { atMs }]) => Math.abs(nowMs - atMs) <= REPEATS_WITHIN_MS)
      .sort(([, a], [, b]) => a.atMs - b.atMs)
      .slice(-ISOLATES_COPIED),
  };
}

/** The meter as it was; one that has seen nothing where there is no copy. Columns that are new since count from 0. */
export function openMeter(copy: MeterCopy | null, nowMs: number): Meter {
  if (copy === null) return newMeter(nowMs);
  const meter = newMeter(copy.startedMs);
  fillFrom(meter.seconds, copy.seconds, Math.floor(nowMs / SECOND_MS));
  fillFrom(meter.minutes, copy.minutes, Math.floor(nowMs / MINUTE_MS));
  for (const [name, ring] of copy.profiles) fillFrom(ringOf(meter, name), ring, Math.floor(nowMs / SECOND_MS));
  for (const [name, row] of copy.totals)
    meter.totals.set(
      name,
      Array.from({ length: ROW_LENGTH }, (_, column) => row[column] ?? 0),
    );
  for (let i = 0; i < EVENTS.length; i++) meter.events[i] = copy.events[i] ?? 0;
  meter.isolates.turnedMs = nowMs;
  for (const [isolate, reported] of copy.isolates) remember(meter.isolates, isolate, reported);
  return meter;
}
