/**
 * What the lease protocol promises, each promise with the runs that prove it: sections 6 and 7 of the protocol. The tests
 * ask for them one by one; the mutants are tried against all of them.
 */
import { runAdversary } from "./adversary.ts";
import type { Mood } from "./scene.ts";
import { tellOfOneAlone, tellOfOneThatLeaves } from "./stories.ts";
import { BUDGET_TOLERANCE, BUDGETS, CELLS, leastOf, measureBudget, measureCell, percentOf, sum } from "./tables.ts";
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
