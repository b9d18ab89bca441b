/**
 * Chance that can be had again: the same seed draws the same numbers (mulberry32, public domain).
 */

/** Numbers 0..1, evenly spread. */
export type Random = () => number;

/** A source of chance. */
export function seeded(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Above this mean the bell curve is as good, and takes two numbers instead of one for each arrival. */
const EXACT_UP_TO = 50;

/** How many come, where `mean` come on average and none knows of the others. */
export function poisson(mean: number, random: Random): number {
  if (mean <= 0) return 0;
  if (mean > EXACT_UP_TO) return Math.max(0, Math.round(mean + Math.sqrt(mean) * normal(random)));
  const floor = Math.exp(-mean);
  let count = 0;
  for (let product = random(); product > floor; product *= random()) count++;
  return count;
}

function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
