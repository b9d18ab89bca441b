/**
 * Leases: how a counter lends units to an isolate, so that one call serves many requests and no limit is ever passed.
 *
 * A counter charges a lease at its far end, the latest moment at which a unit of it can be used, before the isolate may
 * use the first. Each later call says what was used and when; the counter puts that back where it belongs and frees the
 * rest. Only durations cross the wire, counted from the sending of a call, so clocks need not agree. The pair (isolate,
 * call number) names the call, its answer and its lease at once.
 *
 * What this gives up: a unit may come back a slice, a bucket and a margin late, and what a vanished isolate had borrowed
 * comes back with the window. It never gives up the limit: see `account.ts` (the counter's side) and `holding.ts` (the
 * isolate's) for the rules, and their tests for what breaks without each.
 *
 * Pure.
 */
import { sliceMsOf } from "./window.ts";

/** What an isolate asks for on behalf of one client, in one call. */
export interface Ask {
  /** Number of this call; rising within an isolate, so that a repeat or a straggler is known as such. */
  readonly call: number;
  /** Cost of each take that waited, in order of arrival; none where the call only settles. */
  readonly costs: readonly number[];
  /** Units wished for beyond them. */
  readonly wish: number;
  /** The call before: its number, and what was used of its lease; null on first contact. */
  readonly settle: Settlement | null;
}

/** What was used of a lease. */
export interface Settlement {
  readonly call: number;
  /** Flat pairs `ms from the sending of that call to the end of the bucket, units`. Empty: nothing was used. */
  readonly uses: readonly number[];
}

/** What a counter says to an ask. */
export interface Answer {
  readonly call: number;
  /** One for each cost. */
  readonly granted: readonly boolean[];
  /** Units lent; 0: none. */
  readonly lent: number;
  readonly limit: number;
  readonly windowMs: number;
  /** Units left that nobody has taken or borrowed. */
  readonly remaining: number;
  /** ms until `remaining` grows; null where nothing is used. */
  readonly growsAfterMs: number | null;
  /** The smallest cost that does not fit; 1 where the last unit has just gone; null where more is left. */
  readonly refusedCost: number | null;
  /** ms until `refusedCost` fits; 0 where it is null. */
  readonly retryAfterMs: number;
  /** ms until units that another isolate has borrowed may come back; null where none are out. */
  readonly othersEndMs: number | null;
  /** Units counted, lent ones included. */
  readonly used: number;
}

const LIFE_MAX_MS = 5_000;
const LIVES_PER_WINDOW = 12;
/** An isolate asks for half as much again as its recent rate would use. */
const HEADROOM = 1.5;

/** How long a lease may be used, counted by the isolate from the sending of its call. */
export function lifeMsOf(windowMs: number): number {
  return Math.floor(Math.min(LIFE_MAX_MS, windowMs / LIVES_PER_WINDOW));
}

/** What an isolate's clock may be wrong by within one life of a lease, ms. */
export function marginMsOf(windowMs: number): number {
  return Math.ceil(sliceMsOf(windowMs) / 4);
}

/** Resolution at which an isolate notes when it used a lease, ms. */
export function bucketMsOf(windowMs: number): number {
  return Math.ceil(sliceMsOf(windowMs) / 2);
}

/**
 * Units worth borrowing at the rate of the last call until now.
 *
 * @param units admitted since that call was sent, with those now asked for.
 * @param sinceMs ms since that call was sent; a window or more tells nothing.
 */
export function wishOf(units: number, sinceMs: number, windowMs: number): number {
  if (sinceMs >= windowMs) return 0;
  const lifeMs = lifeMsOf(windowMs);
  return Math.ceil((HEADROOM * units * lifeMs) / Math.max(sinceMs, lifeMs / 5, 1));
}
