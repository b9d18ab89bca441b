/**
 * Prediction: the load that looser limits would let in.
 *
 * Limits shape the very load they follow: 14 clients offering 90 a minute are 980 at high (critical again) and 700 at
 * critical (high again), for ever. So before limits are relaxed one asks what would come. What is known differs:
 *
 * - One tier looser than the one in force, isolates know best. Of each client they count refusals up to the units it
 *   would have more (`withheld`): exactly what would be let in, whoever the clients are.
 * - Else, at most as much more as the limits grow: `admitted * looser limit / present limit`. One greedy client among a
 *   hundred calm ones makes that far too much, so it is only the second choice.
 * - Never more than is offered. Limits that have changed within the last window have not shown what they admit, and
 *   then this is all that can be said.
 *
 * What the cache answered is no load now and would be none then: refused requests are taken to be cached as often.
 *
 * Pure. Price: a client whose requests come through several isolates is counted withheld in each; too high, never too
 * low, and still within the other bounds.
 */
import type { Limits } from "./limits.ts";
import { MINUTE_MS, SECOND_MS } from "./meter.ts";
import { LATE_SECONDS, type ProfileRates } from "./meter-rates.ts";
import { TIERS, type Tier } from "./tier.ts";

/** Requests per minute that would reach the origin under the limits of each tier. */
export type Predicted = Readonly<Record<Tier, number>>;

/** Refusals of one client under one profile, within one window. */
export interface Refusals {
  /** Unix ms of the first. */
  sinceMs: number;
  count: number;
}

/** After a change of limits: a window of a minute, and what is reported late. Then the rates are those of the new limits. */
export const SETTLED_MS = MINUTE_MS + LATE_SECONDS * SECOND_MS;

/** No refusal yet. */
export function noRefusals(): Refusals {
  return { sinceMs: Number.NEGATIVE_INFINITY, count: 0 };
}

/**
 * Counts a refusal of a client: 1 for the first within the window that it begins. One record for each client and profile,
 * changed in place: this is the path of a flood.
 */
export function nthRefusal(refusals: Refusals, windowMs: number, nowMs: number): number {
  const sinceMs = nowMs - refusals.sinceMs;
  if (sinceMs >= windowMs || sinceMs < 0) {
    refusals.sinceMs = nowMs;
    refusals.count = 0;
  }
  return ++refusals.count;
}

/**
 * The admitted rate of the fleet under the limits of each tier; under the tier in force and stricter ones, what it is.
 *
 * @param rates of the last window.
 * @param profiles of the tables in force; one that is not there is taken as it is.
 * @param inForce the tier whose limits these rates came under.
 * @param isSettled whether they did so for the whole of the window.
 */
export function predict(
  rates: readonly ProfileRates[],
  profiles: Readonly<Record<string, { readonly limits: Limits }>>,
  inForce: Tier,
  isSettled: boolean,
): Predicted {
  const under = (tier: Tier) =>
    rates.reduce((sum, rate) => sum + predictOne(rate, profiles[rate.profile]?.limits, inForce, tier, isSettled), 0);
  return { low: under("low"), medium: under("medium"), high: under("high"), critical: under("critical") };
}

function predictOne(
  { offered, load, cached, refused, shed, withheld }: ProfileRates,
  limits: Limits | undefined,
  inForce: Tier,
  tier: Tier,
  isSettled: boolean,
): number {
  const steps = TIERS.indexOf(inForce) - TIERS.indexOf(tier);
  if (steps <= 0 || limits === undefined) return load;
  const atMost = Math.max(load, offered * reaching(load, cached));
  if (!isSettled) return atMost;
  const present = limits[inForce];
  if (present === 0) return atMost;
  // What was shed would have been let through by these limits too.
  const grown = (load + shed) * (limits[tier] / present);
  const knowsWithheld = steps === 1 && (withheld > 0 || refused === 0 || limits[tier] === present);
  const known = knowsWithheld ? load + (withheld + shed) * reaching(load, cached) : Number.POSITIVE_INFINITY;
  return Math.min(atMost, grown, known);
}

/** Of what the limits let through, the share that the cache does not answer. */
function reaching(load: number, cached: number): number {
  return load + cached === 0 ? 1 : load / (load + cached);
}
