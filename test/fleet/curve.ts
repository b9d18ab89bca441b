/**
 * What counting costs, by how popular a client is and by how many isolates share it.
 *
 * A client's cost depends on how many of its requests one isolate sees in a window, and on how far it is over its limit.
 * The number of isolates enters through that alone, or nearly: fleets of all sizes draw about the same curve.
 */
import type { CrowdResult } from "./crowd.ts";

/** Counter calls and rows of a group of clients. */
export interface Cost {
  /** Ranks of its clients, first and last; 1 is the most popular. */
  readonly ranks: readonly [number, number];
  readonly requests: number;
  readonly admitted: number;
  /** Requests of one client at one isolate in a window, at the mean. */
  readonly perIsolate: number;
  /** Times a counter was asked about one of them, per 1,000 requests. */
  readonly asks: number;
  /** Those that changed what a counter keeps, per 1,000 requests. */
  readonly changes: number;
  /** Of what an exact sliding log admits. */
  readonly efficiency: number;
}

/** The whole of a crowd. Calls and rows are of batches, which carry what waits at the same time. */
export interface Total extends Cost {
  readonly calls: number;
  readonly rows: number;
  /** Largest share of its limit that any client had in any stretch. */
  readonly worstShare: number;
  /** The lowest efficiency of a client to whom an exact log gives at least its limit once a window. */
  readonly lowest: number;
}

/** Cost of ranks `from` (counted from 0) up to but not including `to`. */
function costOf({ watch, counts, options }: CrowdResult, from: number, to: number): Cost {
  const sum = (figures: Uint32Array): number => figures.subarray(from, to).reduce((all, one) => all + one, 0);
  const requests = sum(watch.offeredBy);
  const visits = (to - from) * options.isolates * (options.windows - options.unmeasured);
  const per1000 = (count: number): number => (1000 * count) / requests;
  return {
    ranks: [from + 1, to],
    requests,
    admitted: sum(watch.admittedBy),
    perIsolate: requests / visits,
    asks: per1000(sum(counts.asks)),
    changes: per1000(sum(counts.changes)),
    efficiency: sum(watch.admittedBy) / sum(watch.exactBy),
  };
}

/** All clients together. */
export function totalOf(result: CrowdResult): Total {
  const { options, watch, calls, counts } = result;
  const cost = costOf(result, 0, options.clients);
  const full = options.limit * (options.windows - options.unmeasured);
  let lowest = 1;
  for (const [client, exact] of watch.exactBy.entries())
    if (exact >= full) lowest = Math.min(lowest, (watch.admittedBy[client] ?? 0) / exact);
  const per1000 = (count: number): number => (1000 * count) / cost.requests;
  return { ...cost, calls: per1000(calls), rows: per1000(counts.rows), worstShare: watch.worstShare(), lowest };
}

/** Ten groups of clients with a tenth of all requests each, the most popular first. */
export function decilesOf(result: CrowdResult): readonly Cost[] {
  const { offeredBy } = result.watch;
  const all = offeredBy.reduce((sum, one) => sum + one, 0);
  const tenths = (seen: number): number => Math.floor((10 * seen) / all);
  const groups = groupsOf(offeredBy, (seen, before) => tenths(seen) > tenths(before) && seen < all);
  return groups.map(([from, to]) => costOf(result, from, to));
}

/** Points of the curve: clients in groups whose popularity halves from one to the next. */
export function pointsOf(result: CrowdResult): readonly Cost[] {
  const { offeredBy } = result.watch;
  let size = 1;
  let inGroup = 0;
  const groups = groupsOf(offeredBy, () => {
    inGroup++;
    if (inGroup < size) return false;
    size *= 2;
    inGroup = 0;
    return true;
  });
  return groups.map(([from, to]) => costOf(result, from, to)).filter(({ requests }) => requests > 0);
}

/** Cuts the ranks after each client at which `isEnd`: it is told the requests up to and before that client. */
function groupsOf(
  offeredBy: Uint32Array,
  isEnd: (seen: number, before: number) => boolean,
): readonly (readonly [from: number, to: number])[] {
  const groups: [number, number][] = [];
  let from = 0;
  let before = 0;
  for (const [rank, count] of offeredBy.entries()) {
    const seen = before + count;
    if (isEnd(seen, before) || rank === offeredBy.length - 1) {
      groups.push([from, rank + 1]);
      from = rank + 1;
    }
    before = seen;
  }
  return groups;
}
