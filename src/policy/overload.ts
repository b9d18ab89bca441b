/**
 * Overload: a ceiling for the sum of all clients, where limits for each cannot give one.
 *
 * Above `shedAbove` of the capacity the meter says which share of each profile's requests isolates have to shed: the
 * first profile of the order first, the next only when all of the first is shed. The share is that of client-side
 * throttling in Google's SRE book ("Handling Overload"), 1 - accepted / requested, with the ceiling in place of what the
 * backend accepted: what would come is offered times the share that the limits let through, and what is above the
 * ceiling is shed. It follows from what is offered, not from what was admitted a moment before, so it does not swing;
 * it begins at 0 where demand meets the ceiling, so it is smooth.
 *
 * A profile that the order does not name is never shed. Price: the ceiling is only kept when clients of the named ones
 * make up what is too much; and until the meter has seen a flood, some ten seconds of it pass.
 *
 * Pure: state in, shares and state out.
 */
import type { ProfileRates } from "./meter-rates.ts";

/** How much of a profile the limits let through, of what is not shed: 0..1. Kept while everything is shed. */
export type Yields = Readonly<Record<string, number>>;

/** Shares to shed by profile, 0..1; one that is not named: none. */
export type Shares = Readonly<Record<string, number>>;

/** Demand is read over so many seconds: a flood is seen soon, and a hundred requests are a tenth's noise. */
export const OVERLOAD_SECONDS = 10;
/** Requests that the yield before weighs against those measured now, so that a handful does not decide. */
const YIELD_WEIGHT = 20;

/**
 * What to shed so that no more than the ceiling reaches the origin.
 *
 * @param rates of the last `OVERLOAD_SECONDS`, per minute.
 * @param ceilingRpm requests per minute, >= 0.
 */
export function shedShares(
  rates: readonly ProfileRates[],
  yields: Yields,
  ceilingRpm: number,
  order: readonly string[],
): { readonly shares: Shares; readonly yields: Yields } {
  const next: Record<string, number> = {};
  const demands = new Map<string, number>();
  let excess = -ceilingRpm;
  for (const rate of rates) {
    const share = yieldOf(rate, yields[rate.profile] ?? 1);
    const demand = rate.shed === 0 ? rate.load : rate.offered * share;
    next[rate.profile] = share;
    demands.set(rate.profile, demand);
    excess += demand;
  }
  const shares: Record<string, number> = {};
  for (const profile of order) {
    const demand = demands.get(profile) ?? 0;
    if (excess <= 0 || demand === 0) continue;
    const cut = Math.min(excess, demand);
    shares[profile] = cut / demand;
    excess -= cut;
  }
  return { shares, yields: next };
}

/** Of what is not shed, what reaches the origin. */
function yieldOf({ offered, load, shed }: ProfileRates, before: number): number {
  const seconds = OVERLOAD_SECONDS / 60;
  const passed = (offered - shed) * seconds;
  return Math.min(1, (load * seconds + YIELD_WEIGHT * before) / (passed + YIELD_WEIGHT));
}
