/**
 * Flushes: how what an isolate has seen reaches the meter, each count once.
 *
 * An isolate sends at most one flush in five seconds, numbered. A flush that was not answered is kept as it is and sent
 * again under its number before any other, so that the meter can tell a repeat; what is counted meanwhile gathers in
 * the next. So an isolate holds two tallies at most, however long the meter is away. Only durations cross the wire:
 * clocks need not agree. Price: what an isolate that dies had not sent is lost, five seconds' worth and a failed flush; and
 * so is a flush that nobody has answered for ten minutes.
 *
 * No clock; functions change the reporter they are given.
 */
import { newTally, type Tally } from "./tally.ts";

/** What an isolate tells the meter. A meter of a region tells the root the same. */
export interface Flush {
  /** Who sends; new with each life of an isolate. */
  readonly isolate: string;
  /** Rising by one with each flush of an isolate, from 1; the same for a repeat. */
  readonly number: number;
  /** ms from the first count in it to the end of what it covers, >= 0. */
  readonly spanMs: number;
  /** ms from that end to this sending; 0 but for a repeat. */
  readonly ageMs: number;
  /** Profile and columns as in `tally.ts`. */
  readonly rows: readonly (readonly [profile: string, row: readonly number[]])[];
  /** One number for each of `EVENTS`. */
  readonly events: readonly number[];
  /** Requests at the origin at this moment. */
  readonly inFlight: number;
  /** Whether this isolate leaves the origin alone at this moment. */
  readonly isCircuitOpen: boolean;
}

/** How an isolate stands at the moment of sending. */
export type Present = Pick<Flush, "inFlight" | "isCircuitOpen">;

/** What an isolate keeps for its flushes. */
export interface Reporter {
  readonly isolate: string;
  /** What the next flush will carry. */
  tally: Tally;
  /** Closed and not yet acknowledged. */
  pending: { readonly flush: Flush; readonly closedMs: number } | null;
  number: number;
  /** Unix ms of the last sending. */
  sentMs: number;
}

/** Between two flushes of an isolate: quick enough to tighten within seconds, and 12 calls a minute at most. */
export const FLUSH_EVERY_MS = 5_000;

/** A flush that was not answered for so long is given up: the meter may no longer know whether it had it. */
export const PENDING_MAX_MS = 600_000;

/** A reporter that has seen nothing. */
export function newReporter(isolate: string): Reporter {
  return { isolate, tally: newTally(), pending: null, number: 0, sentMs: Number.NEGATIVE_INFINITY };
}

/**
 * ms until the next flush may be sent, 0..`FLUSH_EVERY_MS`; null where there is nothing to send. The first after a pause
 * may go at once; whoever counts keeps work alive until then, so that the last requests of a burst are told too.
 */
export function flushWaitMs({ pending, tally, sentMs }: Reporter, nowMs: number): number | null {
  if (pending === null && tally.startedMs === null) return null;
  // A clock that has stepped back must not silence the isolate.
  const sinceMs = nowMs < sentMs ? 0 : nowMs - sentMs;
  return Math.max(0, FLUSH_EVERY_MS - sinceMs);
}

/** The flush to send now: the one that was not acknowledged, else all that was counted since; null for nothing. */
export function nextFlush(reporter: Reporter, present: Present, nowMs: number): Flush | null {
  if (reporter.pending !== null && nowMs - reporter.pending.closedMs > PENDING_MAX_MS) reporter.pending = null;
  if (reporter.pending === null) close(reporter, nowMs);
  if (reporter.pending === null) return null;
  reporter.sentMs = nowMs;
  const { flush, closedMs } = reporter.pending;
  return { ...flush, ...present, ageMs: Math.max(0, nowMs - closedMs) };
}

/** The meter has counted the flush of that number, now or before. */
export function acknowledge(reporter: Reporter, number: number): void {
  if (reporter.pending?.flush.number === number) reporter.pending = null;
}

function close(reporter: Reporter, nowMs: number): void {
  const { isolate, tally } = reporter;
  if (tally.startedMs === null) return;
  reporter.number++;
  const spanMs = Math.max(0, nowMs - tally.startedMs);
  const { number } = reporter;
  const counted = { rows: [...tally.rows], events: tally.events };
  const flush = { isolate, number, spanMs, ageMs: 0, ...counted, inFlight: 0, isCircuitOpen: false };
  reporter.pending = { flush, closedMs: nowMs };
  reporter.tally = newTally();
}
