/**
 * Counting without a counter: while none answers, each isolate admits a client a small share of its limit by itself.
 *
 * The bound, for each isolate and window: the smaller of what it last saw remaining and an eighth of the limit. With n
 * isolates a client may so get n times that on top of what it had used; that is the price of not refusing everybody.
 *
 * Pure.
 */
import { advance, emptyWindow, resize, type Taken, take, type Window } from "./window.ts";

/** Share of a limit that an isolate may give out alone. */
const SHARE = 8;

/**
 * Asks for `cost` units of the isolate's own share.
 *
 * @param window what it gave out before; null for nothing.
 * @param lastRemaining what the counter last said was left; null if it never did.
 */
export function takeLocally(
  window: Window | null,
  lastRemaining: number | null,
  limit: number,
  windowMs: number,
  cost: number,
  nowMs: number,
): Taken {
  const share = Math.min(lastRemaining ?? limit, Math.floor(limit / SHARE));
  const before = window === null ? emptyWindow(windowMs, nowMs) : resize(advance(window, nowMs), windowMs);
  return take(before, share, cost, nowMs);
}
