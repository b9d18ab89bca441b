/**
 * Everything a run came to, in the shape in which it is written down.
 *
 * Pure.
 */
import type { AloneResult } from "./alone.ts";
import { BUDGETS, type Budget } from "./budgets.ts";
import type { Cost, Costs } from "./counting.ts";
import type { PairResult } from "./pair.ts";
import type { PathName } from "./plan.ts";
import type { Summary } from "./statistics.ts";
import type { Subject } from "./subjects.ts";
import { LIMITS } from "./tables.ts";

/** What was measured. */
export interface Results {
  readonly machine: string;
  readonly date: string;
  readonly isQuick: boolean;
  readonly generator: string;
  readonly pairs: readonly PairResult[];
  readonly alone: readonly AloneResult[];
  readonly costs: Costs;
  readonly paced: ReadonlyMap<string, Cost>;
  readonly simulated: ReadonlyMap<string, Cost>;
  readonly bundleKib: number;
  readonly shares: { readonly generator: number; readonly origin: number; readonly subjects: number };
}

/** A subject on a path. */
export interface Row {
  readonly path: PathName;
  readonly subject: Subject;
  readonly rps: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly cpu_us: number;
  /** CPU per request over that of `baseline`. */
  readonly cpu_ratio: number;
  readonly counter_calls_per_1000: number | null;
  readonly rows_written_per_1000: number | null;
  /** Smallest and largest `cpu_ratio` of a round. */
  readonly spread: readonly [number, number];
  readonly baseline: Subject;
  /** `side by side`: both under load at the same time; `in turns`: one after the other, round by round. */
  readonly compared: "side by side" | "in turns";
  readonly rounds: number;
  readonly headers: number;
  readonly limit: number;
  readonly connections: number;
}

/** A budget and what was measured of it. */
export interface Verdict {
  readonly budget: Budget;
  /** null: not part of this run. */
  readonly measured: Summary | null;
  readonly met: boolean | null;
}

/** One row for each subject on each path. Where a pair of the same two was measured side by side, its ratio counts. */
export function rowsOf({ alone, pairs, costs }: Results): readonly Row[] {
  return alone.map(({ path, subject, baseline, load, rps, p50Ms, p99Ms, cpuUs, cpuRatio }) => {
    const pair = pairs.find(
      ({ plan }) =>
        plan.load === load && plan.subject === subject && plan.baseline === baseline && subject !== baseline,
    );
    const ratio = pair?.ratio ?? cpuRatio;
    const cost = subject === "gateway" ? costs.get(path) : undefined;
    return {
      path,
      subject,
      rps: Math.round(rps.median),
      p50_ms: rounded(p50Ms.median, 2),
      p99_ms: rounded(p99Ms.median, 2),
      cpu_us: rounded(cpuUs.median, 1),
      cpu_ratio: rounded(ratio.median, 3),
      counter_calls_per_1000: cost === undefined ? null : rounded(cost.calls, 2),
      rows_written_per_1000: cost === undefined ? null : rounded(cost.rows, 2),
      spread: [rounded(ratio.min, 3), rounded(ratio.max, 3)],
      baseline,
      compared: pair === undefined ? "in turns" : "side by side",
      rounds: ratio.rounds,
      headers: load.headers,
      limit: LIMITS[load.path],
      connections: load.connections,
    };
  });
}

/** Every budget against what was measured. */
export function verdictsOf(results: Results): readonly Verdict[] {
  const figures = figuresOf(results);
  return BUDGETS.map((budget) => {
    const measured = figures.get(budget.figure) ?? null;
    const { bound } = budget;
    const isMet = (value: number) => ("atMost" in bound ? value <= bound.atMost : value >= bound.atLeast);
    return { budget, measured, met: measured === null ? null : isMet(measured.median) };
  });
}

function figuresOf({ pairs, alone, paced, simulated, bundleKib }: Results): ReadonlyMap<string, Summary> {
  const throughput = alone.find(({ path, subject }) => path === "busy" && subject === "gateway")?.rpsRatio;
  return new Map([
    ...pairs.map(({ plan, ratio }) => [plan.id, ratio] as const),
    ...(throughput === undefined ? [] : [["throughput", throughput] as const]),
    ...[...paced].flatMap(([id, cost]) => costFigures(id, cost)),
    ...[...simulated].flatMap(([id, cost]) => costFigures(`simulated:${id}`, cost)),
    ["bundle", single(bundleKib)] as const,
  ]);
}

function costFigures(id: string, { calls, rows }: Cost): (readonly [string, Summary])[] {
  return [
    [`${id}:calls`, single(calls)],
    [`${id}:rows`, single(rows)],
  ];
}

function single(value: number): Summary {
  return { median: value, min: value, max: value, rounds: 1 };
}

/** The document that `--json` writes. */
export function documentOf(results: Results): object {
  const { machine, date, isQuick, generator, pairs, costs, paced, simulated, shares } = results;
  return {
    machine,
    date,
    quick: isQuick,
    load_generator: generator,
    rows: rowsOf(results),
    pairs: pairs.map(({ plan, ratio, subjectUs, baselineUs, refused, requests, clients }) => ({
      id: plan.id,
      path: plan.path,
      subject: plan.subject,
      baseline: plan.baseline,
      cpu_ratio: rounded(ratio.median, 3),
      spread: [rounded(ratio.min, 3), rounded(ratio.max, 3)],
      rounds: ratio.rounds,
      cpu_us: rounded(subjectUs.median, 1),
      baseline_cpu_us: rounded(baselineUs.median, 1),
      headers: plan.load.headers,
      limit: LIMITS[plan.load.path],
      connections: plan.load.connections,
      requests,
      refused_share: rounded(refused, 4),
      clients,
    })),
    counters: {
      full_speed: costsOf(costs),
      paced: costsOf(paced),
      simulated: costsOf(simulated),
    },
    budgets: verdictsOf(results).map(({ budget: { figure, path, against, bound }, measured, met }) => ({
      figure,
      path,
      against,
      ...bound,
      measured: measured === null ? null : rounded(measured.median, 3),
      spread: measured === null ? null : [rounded(measured.min, 3), rounded(measured.max, 3)],
      met,
    })),
    shares_of_a_processor: {
      load_generator_at_most: rounded(shares.generator, 3),
      origin_at_most: rounded(shares.origin, 3),
      subjects_median: rounded(shares.subjects, 3),
    },
  };
}

function costsOf(costs: ReadonlyMap<string, Cost>): object {
  const per1000 = [...costs].map(([id, { calls, asks, rows, requests }]) => [
    id,
    {
      calls_per_1000: rounded(calls, 2),
      clients_asked_about_per_1000: rounded(asks, 2),
      rows_written_per_1000: rounded(rows, 2),
      requests: Math.round(requests),
    },
  ]);
  return Object.fromEntries(per1000);
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
