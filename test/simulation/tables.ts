/**
 * The tables of section 7 of the protocol, and how to measure a line of them.
 */
import { type Measured, measure } from "./traffic.ts";

const MINUTE = 60_000;

/** Section 7: admitted in % of an exact sliding log, for 0.9, 1, 1.5 and 3 times the limit offered. */
const OFFERED = [0.9, 1, 1.5, 3] as const;
const ISOLATES = [1, 2, 6, 20] as const;
const PERCENTS = [
  [10, "99.3 100 98.9 99.0 | 98.6 99.3 98.8 98.9 | 98.7 100 99.4 99.0 | 98.6 100 99.4 99.5"],
  [50, "99.4 98.9 98.8 98.1 | 98.8 98.8 98.8 99.5 | 99.2 99.1 99.3 100 | 99.5 99.3 99.2 99.8"],
  [200, "99.7 98.5 97.8 100 | 99.1 98.6 98.3 100 | 99.3 98.9 98.5 100 | 99.6 99.2 98.5 100"],
  [1_000, "100 98.5 100 100 | 100 98.2 100 99.9 | 100 98.1 99.9 100 | 100 98.8 100 100"],
  [10_000, "100 97.4 100 100 | 100 97.6 99.9 99.9 | 100 97.4 99.9 99.7 | 100 97.4 99.9 99.8"],
] as const;
/** Points by which other arrivals may come out lower. */
const PERCENT_TOLERANCE = 2;
const PERCENT_LEAST = 95;

/** A cell of that table. */
export interface Cell {
  readonly limit: number;
  readonly isolates: number;
  readonly offered: number;
  readonly percent: number;
}

/** All cells. */
export const CELLS: readonly Cell[] = PERCENTS.flatMap(([limit, row]) =>
  row.split(" | ").flatMap((cells, i) =>
    cells.split(" ").map((percent, j) => ({
      limit,
      isolates: ISOLATES[i] ?? 1,
      offered: OFFERED[j] ?? 1,
      percent: Number(percent),
    })),
  ),
);

/** Admitted in % of the log, the worse of two seeds, and the most units over the limit. */
export function measureCell({ limit, isolates, offered }: Cell): { readonly percent: number; readonly over: number } {
  const windows = Math.min(60, 3 + Math.ceil(1_500 / limit));
  const runs = [1, 2].map((seed) =>
    measure({ seed, limit, windowMs: MINUTE, isolates, perWindow: offered * limit, windows }),
  );
  return { percent: Math.min(...runs.map(percentOf)), over: Math.max(...runs.map(({ over }) => over)) };
}

/** Admitted in % of an exact sliding log. */
export function percentOf({ admitted, byLog }: Measured): number {
  return (100 * admitted) / byLog;
}

/** The least that a cell may come to. */
export function leastOf({ percent }: Cell): number {
  return Math.max(PERCENT_LEAST, percent - PERCENT_TOLERANCE);
}

/** Section 7: calls and rows per 1,000 requests. */
export interface Budget {
  readonly limit: number;
  readonly perWindow: number;
  readonly isolates: number;
  readonly calls: number;
  readonly rows: number;
}

export const BUDGETS: readonly Budget[] = [
  { limit: 200, perWindow: 180, isolates: 1, calls: 88, rows: 88 },
  { limit: 200, perWindow: 180, isolates: 6, calls: 488, rows: 483 },
  { limit: 200, perWindow: 60, isolates: 1, calls: 179, rows: 179 },
  { limit: 200, perWindow: 60, isolates: 6, calls: 579, rows: 579 },
  { limit: 50, perWindow: 60, isolates: 1, calls: 317, rows: 317 },
  { limit: 50, perWindow: 60, isolates: 6, calls: 924, rows: 799 },
  { limit: 200, perWindow: 2_000, isolates: 1, calls: 7, rows: 7 },
  { limit: 200, perWindow: 2_000, isolates: 6, calls: 81, rows: 65 },
  { limit: 50, perWindow: 500, isolates: 1, calls: 31, rows: 31 },
  { limit: 50, perWindow: 500, isolates: 6, calls: 141, rows: 94 },
  { limit: 10_000, perWindow: 6_000, isolates: 1, calls: 2, rows: 2 },
  { limit: 10_000, perWindow: 6_000, isolates: 6, calls: 12, rows: 12 },
];
/** Share by which other arrivals may come out higher or lower. */
export const BUDGET_TOLERANCE = 0.15;

/** Calls and rows per 1,000 requests over three seeds. */
export function measureBudget(budget: Budget): { readonly calls: number; readonly rows: number } {
  const windows = budget.perWindow > 5_000 ? 6 : 24;
  const runs = [1, 2, 3].map((seed) => measure({ seed, windowMs: MINUTE, windows, ...budget }));
  const per1000 = (of: (run: Measured) => number) => (1_000 * sum(runs.map(of))) / sum(runs.map((run) => run.requests));
  return { calls: per1000(({ calls }) => calls), rows: per1000(({ rows }) => rows) };
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
