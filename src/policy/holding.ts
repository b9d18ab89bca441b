/**
 * The isolate's side of the lease protocol: what it may decide alone about one client under one profile.
 *
 * In order of a take: an unspent lease grants; a remembered refusal refuses; anything else needs a call. At the moment
 * a call is sent, lease and refusal are forgotten, and what was used of the lease travels with the call: so a lease
 * never overlaps its successor. A lease runs from the *sending* of its call, because the counter charged it later than
 * that. A refusal is tied to its cost, and remembered no longer than until units that others hold may come back; the
 * client is told the time at which it is sure to fit.
 *
 * Only a counter may say no first, and nothing remembered here says yes but units that were already charged. A record
 * that is lost is an isolate that died: safe.
 *
 * No clock: times are Unix ms of the isolate. Functions change the record they are given: it has one owner, and this is
 * every request's path.
 */
import { type Answer, type Ask, bucketMsOf, lifeMsOf, wishOf } from "./lease.ts";
import type { Tier } from "./tier.ts";
import { sliceMsOf } from "./window.ts";

/** What an isolate takes for the limit in force. */
export interface Belief {
  readonly tier: Tier;
  readonly limit: number;
  readonly windowMs: number;
}

interface Lease {
  left: number;
  readonly untilMs: number;
  readonly windowMs: number;
  /** Flat pairs `bucket since the sending, units`. */
  readonly uses: number[];
}

interface Refusal {
  /** Until then nobody needs to ask again. */
  readonly untilMs: number;
  /** Then it fits. */
  readonly retryAtMs: number;
  /** Costs from this one on are refused. */
  readonly cost: number;
}

/** What an isolate knows of one client under one profile. */
export interface Holding {
  /** Number of the last call; 0: none yet. */
  call: number;
  /** When it was first sent. */
  sentMs: number;
  /** What was believed then; a lease or refusal of another belief is not used. */
  belief: Belief | null;
  lease: Lease | null;
  refusal: Refusal | null;
  /** Units admitted since `sentMs`: sizes the next lease. */
  count: number;
  /** The last answer that arrived; null before the first. */
  answer: Answer | null;
  /** When it arrived. */
  answeredMs: number;
}

/** What an isolate can say at once. */
export type Decision =
  | { readonly kind: "granted"; readonly remaining: number }
  | { readonly kind: "refused"; readonly retryAfterMs: number }
  | { readonly kind: "unknown" };

const UNKNOWN: Decision = { kind: "unknown" };
/** Left-over units worth a call of their own: at least this share of what was free. */
const LEFT_OVER_SHARE = 0.1;
const LEFT_OVER_WAIT_MAX_MS = 1_000;

/** A record of a client never asked about. */
export function newHolding(): Holding {
  return { call: 0, sentMs: 0, belief: null, lease: null, refusal: null, count: 0, answer: null, answeredMs: 0 };
}

/** Decides a take of `cost` from what is at hand, and spends the lease if it grants. */
export function decide(holding: Holding, cost: number, belief: Belief, nowMs: number): Decision {
  if (holding.belief === null || !isSame(holding.belief, belief)) return UNKNOWN;
  const { lease, refusal, answer } = holding;
  if (lease !== null && lease.left >= cost && nowMs >= holding.sentMs && nowMs < lease.untilMs) {
    lease.left -= cost;
    holding.count += cost;
    note(lease, nowMs - holding.sentMs, cost);
    return { kind: "granted", remaining: (answer?.remaining ?? 0) + lease.left };
  }
  const isHeldBack = lease !== null && lease.left > 0;
  if (refusal !== null && nowMs < refusal.untilMs && cost >= refusal.cost && !isHeldBack)
    return { kind: "refused", retryAfterMs: refusal.retryAtMs - nowMs };
  return UNKNOWN;
}

function isSame(a: Belief, b: Belief): boolean {
  return a.limit === b.limit && a.windowMs === b.windowMs && a.tier === b.tier;
}

function note({ uses, windowMs }: Lease, sinceMs: number, units: number): void {
  const bucket = Math.floor(sinceMs / bucketMsOf(windowMs));
  const last = uses.length - 1;
  if (uses[last - 1] === bucket) uses[last] = (uses[last] ?? 0) + units;
  else uses.push(bucket, units);
}

/**
 * The next call about this client, and the record as of its sending: lease and refusal are forgotten here.
 *
 * @param call its number, higher than any before in this isolate.
 * @param costs of the takes that wait; none to settle alone.
 */
export function compose(holding: Holding, call: number, costs: readonly number[], belief: Belief, nowMs: number): Ask {
  const units = costs.reduce((sum, cost) => sum + cost, 0);
  const isFirst = holding.call === 0;
  const wish = isFirst || units === 0 ? 0 : wishOf(holding.count + units, nowMs - holding.sentMs, belief.windowMs);
  const settle = isFirst ? null : { call: holding.call, uses: usesOf(holding.lease) };
  holding.call = call;
  holding.sentMs = nowMs;
  holding.belief = belief;
  holding.lease = null;
  holding.refusal = null;
  holding.count = 0;
  return { call, costs, wish, settle };
}

/** Ends of buckets rather than their starts: a use is never dated too early. */
function usesOf(lease: Lease | null): readonly number[] {
  if (lease === null) return [];
  const bucketMs = bucketMsOf(lease.windowMs);
  const lifeMs = lifeMsOf(lease.windowMs);
  return lease.uses.map((value, index) => (index % 2 === 0 ? Math.min((value + 1) * bucketMs, lifeMs) : value));
}

/**
 * Takes in the answer to the call under way; any other is dropped, because what it lends has been settled as unused.
 *
 * @param costs of the call, to count what it admitted.
 * @returns whether it was the one.
 */
export function receive(holding: Holding, answer: Answer, costs: readonly number[], nowMs: number): boolean {
  if (answer.call !== holding.call) return false;
  const { lent, windowMs, refusedCost, retryAfterMs, othersEndMs } = answer;
  holding.answer = answer;
  holding.answeredMs = nowMs;
  holding.count += costs.reduce((sum, cost, index) => (answer.granted[index] === true ? sum + cost : sum), 0);
  holding.lease = lent === 0 ? null : { left: lent, untilMs: holding.sentMs + lifeMsOf(windowMs), windowMs, uses: [] };
  holding.refusal =
    refusedCost === null
      ? null
      : {
          untilMs: nowMs + Math.min(retryAfterMs, othersEndMs ?? retryAfterMs),
          retryAtMs: nowMs + retryAfterMs,
          cost: refusedCost,
        };
  return true;
}

/**
 * When this lease, if nothing more of it is used and no call settles it before, is worth a call that only settles it;
 * null where too little would come back.
 */
export function leftOverDueMs({ lease, answer }: Holding): number | null {
  if (lease === null || lease.left === 0 || lease.left < LEFT_OVER_SHARE * (answer?.remaining ?? 0)) return null;
  return lease.untilMs + Math.min(Math.ceil(0.8 * sliceMsOf(lease.windowMs)), LEFT_OVER_WAIT_MAX_MS);
}
