/**
 * The counter's side of the lease protocol: one client's units under one profile, and who has borrowed of them.
 *
 * The rules, in order: judge by the newest moment seen; follow a changed window; drop what has left; repeat the answer
 * to a call seen before; settle the asker's last lease; grant what fits; lend at most an equal share of what is left;
 * say honestly when more will fit. Everything lent counts as used at its latest possible moment, so no other order of
 * events can make it come true earlier than charged.
 *
 * The state says all there is to know: an eviction that reloads it forgets nothing.
 *
 * Pure.
 */
import { type Answer, type Ask, lifeMsOf, marginMsOf, type Settlement } from "./lease.ts";
import {
  advance,
  behindMs,
  charge,
  clockStepBackMs,
  discharge,
  emptyAtMs,
  emptyWindow,
  fitsAfterMs,
  growsAfterMs,
  lastMsOf,
  remainingOf,
  resize,
  sliceAt,
  sliceMsOf,
  usedOf,
  type Window,
} from "./window.ts";

/** An isolate's last call. */
export interface Holder {
  readonly isolate: string;
  readonly call: number;
  /** Units on loan; 0 once settled. */
  readonly lent: number;
  /** Counter's clock, Unix ms, like all moments here. */
  readonly grantedMs: number;
  /** The moment the loan is charged at; of the call, where nothing was lent. */
  readonly endMs: number;
  /** What it was told, for a repeat of the call. */
  readonly answer: Answer;
}

/** One client's units under one profile. */
export interface Account {
  readonly window: Window;
  readonly holders: readonly Holder[];
}

/** The limit in force. */
export interface InForce {
  readonly limit: number;
  readonly windowMs: number;
}

/** What an ask came to. */
export interface Served {
  readonly account: Account;
  /** null: a straggler, overtaken by a later call of the same isolate. */
  readonly answer: Answer | null;
  /** Whether the account differs in anything that must outlive an eviction. */
  readonly changed: boolean;
}

/** A further isolate is answered, but neither remembered nor lent to: it costs a call for each request, no more. */
const HOLDERS_MAX = 64;

/** An account of a client never seen. */
export function openAccount(windowMs: number, nowMs: number): Account {
  return { window: emptyWindow(windowMs, nowMs), holders: [] };
}

/**
 * Answers `ask` of `isolate`.
 *
 * @param clockMs the counter's clock, Unix ms.
 */
export function serve(account: Account, isolate: string, ask: Ask, inForce: InForce, clockMs: number): Served {
  const current = at(account, inForce.windowMs, clockMs);
  const known = current.holders.find((holder) => holder.isolate === isolate);
  if (known !== undefined && ask.call === known.call) return { account, answer: known.answer, changed: false };
  if (known !== undefined && ask.call < known.call) return { account, answer: null, changed: false };

  const settled = settle(current.window, known, ask.settle);
  const taken = takeAll(settled, ask.costs, inForce.limit);
  const others = current.holders.filter((holder) => holder.isolate !== isolate);
  const canLend = taken.granted.includes(true) && others.length < HOLDERS_MAX;
  const lent = canLend ? shareFor(ask.wish, remainingOf(taken.window, inForce.limit), others.length + 1) : 0;
  const nowMs = taken.window.newestMs;
  const endMs = lent === 0 ? nowMs : nowMs + lifeMsOf(inForce.windowMs) + marginMsOf(inForce.windowMs);
  const window = charge(taken.window, endMs, lent);
  const answer = answerOf(ask, taken, lent, window, inForce, others, behindMs(window, clockMs));
  const holder: Holder = { isolate, call: ask.call, lent, grantedMs: nowMs, endMs, answer };
  const holders = others.length < HOLDERS_MAX ? [...others, holder] : others;
  const changed = lent > 0 || taken.granted.includes(true) || settled !== current.window || hasMoved(account, current);
  return { account: { window, holders }, answer, changed };
}

/** The account at `clockMs`, under the window in force: rules 1 to 3. */
export function at(account: Account, windowMs: number, clockMs: number): Account {
  const backMs = clockStepBackMs(account.window, clockMs);
  const window = advance(account.window, clockMs);
  const moved =
    backMs === 0
      ? account.holders
      : account.holders.map((holder) => ({
          ...holder,
          grantedMs: holder.grantedMs - backMs,
          endMs: holder.endMs - backMs,
        }));
  const holders = remembered(moved, window);
  if (windowMs === window.windowMs) return { window, holders };
  const toLastMs = (holder: Holder): Holder => ({
    ...holder,
    endMs: lastMsOf(sliceAt(holder.endMs, window.windowMs), window.windowMs),
  });
  const resized = advance(resize(window, windowMs), window.newestMs);
  return { window: resized, holders: remembered(holders.map(toLastMs), resized) };
}

/** Unix ms after which an account is as good as one never opened. */
export function closesAtMs({ window, holders }: Account): number {
  const ends = holders.map((holder) => leavesAtMs(holder.endMs, window.windowMs));
  return Math.max(emptyAtMs(window), ...ends);
}

/** A holder is forgotten when the slice of its end leaves the window: nothing of its loan can still be charged. */
function remembered(holders: readonly Holder[], window: Window): readonly Holder[] {
  const stays = (holder: Holder) => leavesAtMs(holder.endMs, window.windowMs) > window.newestMs;
  return holders.every(stays) ? holders : holders.filter(stays);
}

function leavesAtMs(atMs: number, windowMs: number): number {
  return (sliceAt(atMs, windowMs) + 1) * sliceMsOf(windowMs) + windowMs;
}

/**
 * Takes a lease back: off its far end, and each use on at the latest moment it can have happened. What is put back is
 * never more than was lent, whatever the settlement claims; one for another call is ignored.
 */
function settle(window: Window, holder: Holder | undefined, settlement: Settlement | null): Window {
  if (holder === undefined || settlement === null || settlement.call !== holder.call || holder.lent === 0)
    return window;
  let settled = discharge(window, holder.endMs, holder.lent);
  let left = holder.lent;
  for (let i = 0; i + 1 < settlement.uses.length; i += 2) {
    const offsetMs = Math.max(0, settlement.uses[i] ?? 0);
    const units = Math.min(left, Math.max(0, settlement.uses[i + 1] ?? 0));
    left -= units;
    // The margin it was granted with: a window that has since become shorter does not make an isolate's clock better.
    const marginMs = marginMsOf(holder.answer.windowMs);
    const usedMs = Math.min(holder.endMs, holder.grantedMs + offsetMs + marginMs);
    settled = charge(settled, usedMs, units);
  }
  return advance(settled, settled.newestMs);
}

interface TakenAll {
  readonly granted: readonly boolean[];
  readonly window: Window;
  /** The smallest cost refused. */
  readonly refusedCost: number | null;
}

/** In order of arrival; a cost that does not fit is refused, later smaller ones may still fit. */
function takeAll(window: Window, costs: readonly number[], limit: number): TakenAll {
  let left = remainingOf(window, limit);
  let refusedCost: number | null = null;
  const granted = costs.map((cost) => {
    if (cost <= left) {
      left -= cost;
      return true;
    }
    refusedCost = Math.min(refusedCost ?? cost, cost);
    return false;
  });
  const units = costs.reduce((sum, cost, index) => (granted[index] === true ? sum + cost : sum), 0);
  return { granted, window: charge(window, window.newestMs, units), refusedCost };
}

function shareFor(wish: number, free: number, isolates: number): number {
  return Math.max(0, Math.min(wish, Math.floor(free / isolates)));
}

function answerOf(
  ask: Ask,
  { granted, refusedCost }: TakenAll,
  lent: number,
  window: Window,
  { limit, windowMs }: InForce,
  others: readonly Holder[],
  lateMs: number,
): Answer {
  const remaining = remainingOf(window, limit);
  const grows = growsAfterMs(window, limit);
  const nextRefused = refusedCost ?? (remaining === 0 ? 1 : null);
  return {
    call: ask.call,
    granted,
    lent,
    limit,
    windowMs,
    remaining,
    growsAfterMs: grows === null ? null : grows + lateMs,
    refusedCost: nextRefused,
    retryAfterMs: nextRefused === null ? 0 : fitsAfterMs(window, limit, nextRefused) + lateMs,
    othersEndMs: othersEndMs(others, window),
    used: usedOf(window),
  };
}

/** Until the first loan of another isolate is over and a slice has passed: before that, nothing can come back. */
function othersEndMs(others: readonly Holder[], { newestMs, windowMs }: Window): number | null {
  const open = others.filter((holder) => holder.lent > 0 && holder.endMs > newestMs).map((holder) => holder.endMs);
  return open.length === 0 ? null : Math.min(...open) - newestMs + sliceMsOf(windowMs);
}

/** A clock that was followed back or a window that changed must be kept; what merely left with time need not be. */
function hasMoved(before: Account, after: Account): boolean {
  return before.window.windowMs !== after.window.windowMs || before.window.newestMs > after.window.newestMs;
}
