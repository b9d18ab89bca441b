/**
 * How many requests came in, by method and path, so that a test can say how many reached the origin.
 *
 * At most 1,000 names of at most 512 characters are kept; what does not fit is still in `total`, and shows as `others`.
 */
const NAMES_MAX = 1000;
const NAME_LENGTH_MAX = 512;

/** What was counted since the start, or since it was last cleared. */
export interface Counts {
  readonly total: number;
  /** `"POST /api/ai/chat": 3`; paths as received, without their query. */
  readonly requests: Readonly<Record<string, number>>;
  readonly others: number;
}

/** Counts requests. */
export interface Tally {
  add(method: string, path: string): void;
  counts(): Counts;
  clear(): void;
}

/** An empty tally. */
export function createTally(): Tally {
  const byName = new Map<string, number>();
  let total = 0;
  let others = 0;
  return {
    add(method, path) {
      const name = `${method} ${path}`;
      const count = byName.get(name);
      total += 1;
      if (count !== undefined) byName.set(name, count + 1);
      else if (byName.size < NAMES_MAX && name.length <= NAME_LENGTH_MAX) byName.set(name, 1);
      else others += 1;
    },
    counts: () => ({ total, requests: Object.fromEntries(byName), others }),
    clear() {
      byName.clear();
      total = 0;
      others = 0;
    },
  };
}
