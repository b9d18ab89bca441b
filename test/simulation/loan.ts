/** A call and its lease, as the truth log knows them. */
import { lifeMsOf, marginMsOf } from "./scene.ts";
import type { Grant } from "./stretches.ts";

/** A call as its sender sees it, and what it brings. */
export interface Loan {
  readonly isolate: string;
  readonly call: number;
  /** True time of the first sending. */
  readonly sentMs: number;
  lent: number;
  used: number;
  /** Settled, given up or lost with its isolate: not a unit of it may be used any more. */
  isClosed: boolean;
  /** The counter has taken the settlement. */
  isReturned: boolean;
  grant: Grant | null;
  /** Counter's clock; of use while that is not moved back. */
  grantedMs: number;
  /** Counter's clock: what is used is charged there at the latest. */
  endMs: number;
  /** ms by which the counter may date a use too late. */
  lateMs: number;
}

/** True ms after its sending for which a lease may be used, by a clock that loses all the margin. */
export function reachMsOf(windowMs: number): number {
  return lifeMsOf(windowMs) + marginMsOf(windowMs);
}

/** A call that has just been sent. */
export function newLoan(isolate: string, call: number, sentMs: number): Loan {
  const nothing = {
    lent: 0,
    used: 0,
    isClosed: false,
    isReturned: false,
    grant: null,
    grantedMs: 0,
    endMs: 0,
    lateMs: 0,
  };
  return { isolate, call, sentMs, ...nothing };
}
