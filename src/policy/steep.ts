/**
 * The steep rise: a spike counts before the last minute shows it.
 *
 * The last fifteen seconds, times four, name a tier once they pass its threshold by a quarter and by four standard
 * deviations of their count (Poisson), and are more than any such stretch of the two minutes before by as much: clients
 * that use up their limit at once come back together a window later, and that is no rise but how they always come. So
 * noise does not trip it, and what repeats is left to the rate of the whole minute, which says what it comes to.
 * Price: a second spike within two minutes of the first is seen by the minute only.
 *
 * Pure.
 */
import { SURGE_SECONDS, type Surge } from "./meter-rates.ts";
import { type Thresholds, TIERS, type Tier } from "./tier.ts";

const PER_MINUTE = 60 / SURGE_SECONDS;
/** By how much a threshold must be passed. */
const EXCESS = 1.25;
const DEVIATIONS = 4;

/**
 * The tier that a surge names; low where there is none.
 *
 * @param capacityRpm requests per minute the origin carries, > 0.
 */
export function steepTier({ count, before }: Surge, capacityRpm: number, thresholds: Thresholds): Tier {
  const certain = count - DEVIATIONS * Math.sqrt(count);
  if (certain <= before) return "low";
  let steep: Tier = "low";
  for (const tier of TIERS) {
    if (tier === "low") continue;
    const start = (thresholds[tier] * capacityRpm) / PER_MINUTE;
    if (count >= EXCESS * start && certain >= start) steep = tier;
  }
  return steep;
}
