/**
 * What the gateway may cost: the budgets of its design, line by line.
 *
 * Data. A budget names the figure it is held against; the figure comes from the run and is never written here.
 */

/** A line of the table. */
export interface Budget {
  /** Name of the figure: the id of a pair of `plan.ts` or a paced client of `paced.ts`, or as said in `figures.ts`. */
  readonly figure: string;
  readonly path: string;
  /** What it is a ratio to, or counted in. */
  readonly against: string;
  readonly bound: { readonly atMost: number } | { readonly atLeast: number };
}

const REAL = `1,000 requests, a minute scaled down`;
const SIMULATED = "1,000 requests, simulated at full scale";

export const BUDGETS: readonly Budget[] = [
  { figure: "busy", path: "admitted, one busy client, 2 fields", against: "bare proxy", bound: { atMost: 1.3 } },
  { figure: "busy-15", path: "admitted, one busy client, 15 fields", against: "bare proxy", bound: { atMost: 1.3 } },
  { figure: "low", path: "admitted, limit of 50 each, 2 fields", against: "bare proxy", bound: { atMost: 1.3 } },
  {
    figure: "busy-fields",
    path: "admitted, one busy client, 2 fields",
    against: "proxy, same fields",
    bound: { atMost: 1.08 },
  },
  {
    figure: "busy-fields-15",
    path: "admitted, one busy client, 15 fields",
    against: "proxy, same fields",
    bound: { atMost: 1.08 },
  },
  {
    figure: "low-fields",
    path: "admitted, limit of 50 each, 2 fields",
    against: "proxy, same fields",
    bound: { atMost: 1.08 },
  },
  { figure: "flood", path: "refused, one client, 2 fields", against: "constant 429", bound: { atMost: 1.15 } },
  { figure: "flood-15", path: "refused, one client, 15 fields", against: "constant 429", bound: { atMost: 1.15 } },
  { figure: "new", path: "new clients, 64 connections, 2 fields", against: "naive limiter", bound: { atMost: 0.4 } },
  {
    figure: "new-15",
    path: "new clients, 64 connections, 15 fields",
    against: "naive limiter",
    bound: { atMost: 0.4 },
  },
  { figure: "new-16", path: "new clients, 16 connections, 2 fields", against: "naive limiter", bound: { atMost: 0.4 } },
  { figure: "cache", path: "not cacheable, one URL", against: "without the cache", bound: { atMost: 1.02 } },
  {
    figure: "cache-urls",
    path: "not cacheable, never one URL twice",
    against: "without the cache",
    bound: { atMost: 1.02 },
  },
  {
    figure: "observation",
    path: "admitted, counted and told",
    against: "without observation",
    bound: { atMost: 1.05 },
  },
  {
    figure: "observation-refused",
    path: "refused, counted and told",
    against: "without observation",
    bound: { atMost: 1.05 },
  },
  { figure: "throughput", path: "throughput, admitted, each alone", against: "bare proxy", bound: { atLeast: 0.8 } },
  { figure: "paced:calls", path: "counter calls, 3/s under 200", against: REAL, bound: { atMost: 120 } },
  { figure: "paced-flood:calls", path: "counter calls, 10 times over 200", against: REAL, bound: { atMost: 10 } },
  { figure: "paced-6:calls", path: "counter calls, 3/s, six isolates", against: REAL, bound: { atMost: 550 } },
  {
    figure: "paced-flood-6:calls",
    path: "counter calls, 10 times, six isolates",
    against: REAL,
    bound: { atMost: 100 },
  },
  { figure: "paced:rows", path: "rows written, 3/s under 200", against: REAL, bound: { atMost: 120 } },
  { figure: "simulated:paced:calls", path: "counter calls, 3/s under 200", against: SIMULATED, bound: { atMost: 120 } },
  {
    figure: "simulated:paced-flood:calls",
    path: "counter calls, 10 times over 200",
    against: SIMULATED,
    bound: { atMost: 10 },
  },
  {
    figure: "simulated:paced-6:calls",
    path: "counter calls, 3/s, six isolates",
    against: SIMULATED,
    bound: { atMost: 550 },
  },
  {
    figure: "simulated:paced-flood-6:calls",
    path: "counter calls, 10 times, six isolates",
    against: SIMULATED,
    bound: { atMost: 100 },
  },
  { figure: "simulated:paced:rows", path: "rows written, 3/s under 200", against: SIMULATED, bound: { atMost: 120 } },
  { figure: "bundle", path: "Worker bundle", against: "KiB, gzip", bound: { atMost: 60 } },
];
