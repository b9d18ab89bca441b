/**
 * Popularity by Zipf's law: a few clients send most of what there is, most clients hardly anything.
 */
import type { Chance } from "../simulation/chance.ts";

/** Draws ranks from 0: rank r is as popular as 1 / (r + 1). */
export function zipf(count: number, chance: Chance): () => number {
  const upTo = new Float64Array(count);
  let sum = 0;
  for (let rank = 0; rank < count; rank++) {
    sum += 1 / (rank + 1);
    upTo[rank] = sum;
  }
  return () => {
    const drawn = chance.next() * sum;
    let low = 0;
    for (let high = count - 1; low < high; ) {
      const middle = (low + high) >> 1;
      if ((upTo[middle] ?? 0) > drawn) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}
