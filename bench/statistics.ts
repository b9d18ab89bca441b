/**
 * What a handful of noisy rounds come to: their median, because a round that someone else disturbed must not count, and
 * how far they lie apart, because a figure without its spread says nothing.
 */

/** Rounds of one figure. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly rounds: number;
}

/** @throws RangeError on no rounds. */
export function summarize(values: readonly number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b);
  const [min] = sorted;
  const max = sorted.at(-1);
  if (min === undefined || max === undefined) throw new RangeError("values: expected at least one, got none");
  return { median: middleOf(sorted), min, max, rounds: sorted.length };
}

function middleOf(sorted: readonly number[]): number {
  const half = sorted.length / 2;
  const low = sorted[Math.ceil(half) - 1] ?? Number.NaN;
  const high = sorted[Math.floor(half)] ?? Number.NaN;
  return (low + high) / 2;
}
