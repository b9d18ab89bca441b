/**
 * What the lease protocol promises, each promise with the runs that prove it: sections 6 and 7 of the protocol. The tests
 * ask for them one by one; the mutants are tried against all of them.
 */
import { runAdversary } from "./adversary.ts";
import type { Mood } from "./scene.ts";
import { tellOfOneAlone, tellOfOneThatLeaves } from "./stories.ts";
import { type Measured, measure, type Traffic } from "./traffic.ts";

/** A promise, and what breaks it first; null: nothing does. */
export interface Proof {
  readonly promise: string;
  readonly broken: () => string | null;
}

const MINUTE = 60_000;

/** The first seed of `runs`, from `first` on, that breaks a promise, and how. */
export function brokenRun(mood: Mood, first: number, runs: number): string | null {
  for (let seed = first; seed < first + runs; seed++) {
    const { violation } = runAdversary(seed, mood);
    if (violation !== null) return `seed ${seed}: ${violation}`;
  }
  return null;
}

/** Most units over the limit in any of `runs`. */
export function mostOver(mood: Mood, runs: number): number {
  let most = 0;
  for (let seed = 1; seed <= runs; seed++) most = Math.max(most, runAdversary(seed, mood).over);
  return most;
}

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

function percentOf({ admitted, byLog }: Measured): number {
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

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** The mean over six seeds. */
export function meanOf(traffic: Omit<Traffic, "seed">, of: (run: Measured) => number): number {
  return sum([1, 2, 3, 4, 5, 6].map((seed) => of(measure({ seed, ...traffic })))) / 6;
}

/** Traffic that one rule alone is there for. */
export const LOSSY = { limit: 200, windowMs: MINUTE, isolates: 1, perWindow: 180, windows: 20, lost: 0.05 } as const;
export const MOVING = { limit: 200, windowMs: MINUTE, isolates: 6, perWindow: 180, windows: 20, burst: 40 } as const;
export const SMALL = { limit: 10, windowMs: MINUTE, isolates: 6, perWindow: 15, windows: 60, burst: 6 } as const;
export const AHEAD = {
  limit: 50,
  windowMs: MINUTE,
  isolates: 1,
  perWindow: 60,
  windows: 21,
  aheadMs: 3_600_000,
} as const;
export const SHORT = { limit: 1_000, windowMs: 5_000, isolates: 6, perWindow: 1_500, windows: 12 } as const;

/** The least admitted, in % of the log. */
export const LEAST = { lossy: 98.5, moving: 97, ahead: 95, short: 92 } as const;
/** Most refusals of 1,000 requests that the counter would have granted. */
export const NEEDLESS_MOST = 4;

export function percentOfLog(traffic: Omit<Traffic, "seed">): number {
  return meanOf(traffic, percentOf);
}

export function needlessPer1000(traffic: Omit<Traffic, "seed">): number {
  return meanOf(traffic, ({ needless, requests }) => (1_000 * needless) / requests);
}

function firstBroken<T>(cases: readonly T[], broken: (one: T) => string | null): string | null {
  for (const one of cases) {
    const found = broken(one);
    if (found !== null) return found;
  }
  return null;
}

function seeds(count: number): readonly number[] {
  return Array.from({ length: count }, (_, i) => i + 1);
}

function isNear(value: number, expected: number): boolean {
  return Math.abs(value - expected) <= BUDGET_TOLERANCE * expected;
}

function under(traffic: Omit<Traffic, "seed">, least: number): string | null {
  const percent = percentOfLog(traffic);
  return percent >= least ? null : `${percent.toFixed(1)} % of a sliding log, not ${least}`;
}

/** Every promise, the quickest to prove first. `runs`: of the adversary. */
export function proofsOf(runs: number): readonly Proof[] {
  return [
    { promise: "alone, exactly the limit", broken: () => firstBroken(seeds(400), tellOfOneAlone) },
    {
      promise: "gives back what is left over",
      broken: () => firstBroken(seeds(200), (seed) => tellOfOneThatLeaves(seed, false)),
    },
    {
      promise: "keeps nothing of the dead",
      broken: () => firstBroken(seeds(200), (seed) => tellOfOneThatLeaves(seed, true)),
    },
    { promise: "I1-I4 against the adversary", broken: () => brokenRun("any", 1, runs) },
    { promise: "I1 at a crash, but for single units", broken: () => brokenRun("crash", 1, 500) },
    { promise: "I1 at a jump, but for what was lent", broken: () => brokenRun("jump", 1, 1_000) },
    { promise: "follows a clock back", broken: () => under(AHEAD, LEAST.ahead) },
    { promise: "loses nothing with answers", broken: () => under(LOSSY, LEAST.lossy) },
    { promise: "lets a client move", broken: () => under(MOVING, LEAST.moving) },
    {
      promise: "hardly refuses needlessly",
      broken: () => {
        const found = needlessPer1000(SMALL);
        return found <= NEEDLESS_MOST ? null : `${found.toFixed(1)} of 1,000 refused needlessly`;
      },
    },
    {
      promise: "calls and rows",
      broken: () =>
        firstBroken(BUDGETS, (budget) => {
          const { calls, rows } = measureBudget(budget);
          if (isNear(calls, budget.calls) && isNear(rows, budget.rows)) return null;
          return `${calls.toFixed(1)} calls, ${rows.toFixed(1)} rows, not ${JSON.stringify(budget)}`;
        }),
    },
    { promise: "short windows", broken: () => under(SHORT, LEAST.short) },
    {
      promise: "a sliding log's share",
      broken: () =>
        firstBroken(CELLS, (cell) => {
          const { percent, over } = measureCell(cell);
          if (over > 0) return `over by ${over} in ${JSON.stringify(cell)}`;
          return percent >= leastOf(cell) ? null : `${percent.toFixed(1)} % in ${JSON.stringify(cell)}`;
        }),
    },
  ];
}
