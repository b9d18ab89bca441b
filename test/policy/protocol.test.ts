/**
 * The lease protocol, proved on the code that runs: seeded runs on a network that delays, loses, repeats and overtakes,
 * with a log of the truth kept outside. `RUNS` sets the number of adversarial runs; a red one names its seed.
 */
import { describe, expect, it } from "vitest";
import { runAdversary } from "../simulation/adversary.ts";
import {
  AHEAD,
  brokenRun,
  LEAST,
  LOSSY,
  MOVING,
  mostOver,
  NEEDLESS_MOST,
  needlessPer1000,
  percentOfLog,
  SHORT,
  SMALL,
} from "../simulation/proofs.ts";
import { tellOfOneAlone, tellOfOneThatLeaves } from "../simulation/stories.ts";
import { BUDGET_TOLERANCE, BUDGETS, CELLS, leastOf, measureBudget, measureCell } from "../simulation/tables.ts";

const { process } = globalThis as { readonly process?: { readonly env: Readonly<Record<string, string | undefined>> } };
const RUNS = Number(process?.env["RUNS"] ?? 10_000);
const RUNS_AT_A_TIME = 1_000;
const PATIENT = { timeout: Math.max(120_000, 20 * RUNS) };

const firstSeeds = Array.from({ length: Math.ceil(RUNS / RUNS_AT_A_TIME) }, (_, i) => 1 + i * RUNS_AT_A_TIME);
const seeds = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

describe("the lease protocol, against the adversary", PATIENT, () => {
  it.each(firstSeeds)("is never over, loses nothing and keeps its word in the thousand runs from %i", (first) => {
    expect(brokenRun("any", first, Math.min(RUNS_AT_A_TIME, RUNS - first + 1))).toBeNull();
  });

  it("does so in runs in which much happens", () => {
    const runs = seeds(300).map((seed) => runAdversary(seed, "any"));
    const mean = (of: (run: (typeof runs)[number]) => number) => runs.reduce((sum, run) => sum + of(run), 0) / 300;
    expect(mean(({ steps }) => steps)).toBeGreaterThan(200);
    expect(mean(({ admitted }) => admitted)).toBeGreaterThan(30);
    expect(mean(({ calls }) => calls)).toBeGreaterThan(25);
  });

  it("forgets at a crash no more than single units that were granted while their write was under way", () => {
    expect(brokenRun("crash", 1, 1_000)).toBeNull();
    expect(mostOver("crash", 1_000)).toBeLessThanOrEqual(2);
  });

  it("is over by no more than was lent when the counter's clock jumps forward under open leases", () => {
    expect(brokenRun("jump", 1, 1_500)).toBeNull();
  });
});

describe("the lease protocol, for one isolate", PATIENT, () => {
  it("admits exactly the limit, whatever comes in a window and costs 1 to 5", () => {
    expect(seeds(400).flatMap((seed) => tellOfOneAlone(seed) ?? [])).toEqual([]);
  });

  it("gives back what a silent isolate did not use within a life, a slice and the way", () => {
    expect(seeds(200).flatMap((seed) => tellOfOneThatLeaves(seed, false) ?? [])).toEqual([]);
  });

  it("keeps what a dead isolate borrowed for a window after the lease's end, no longer", () => {
    expect(seeds(200).flatMap((seed) => tellOfOneThatLeaves(seed, true) ?? [])).toEqual([]);
  });
});

describe("the lease protocol, beside an exact sliding log on the same arrivals", PATIENT, () => {
  it.each(CELLS)(
    "admits its share of $limit over $isolates isolates at $offered times the limit: $percent %",
    (cell) => {
      const { percent, over } = measureCell(cell);
      expect(percent).toBeGreaterThanOrEqual(leastOf(cell));
      expect(over).toBe(0);
    },
  );

  it.each([
    { name: "a window of 5 s, six isolates", traffic: SHORT, least: LEAST.short },
    { name: "one message in twenty lost", traffic: LOSSY, least: LEAST.lossy },
    { name: "a client that comes in bursts and moves between isolates", traffic: MOVING, least: LEAST.moving },
    { name: "a counter whose clock is an hour ahead for ten seconds", traffic: AHEAD, least: LEAST.ahead },
  ])("admits at least $least %: $name", ({ traffic, least }) => {
    expect(percentOfLog(traffic)).toBeGreaterThanOrEqual(least);
  });

  it("hardly ever refuses from memory what the counter would grant", () => {
    expect(needlessPer1000(SMALL)).toBeLessThanOrEqual(NEEDLESS_MOST);
  });
});

describe("the lease protocol, by its budgets", PATIENT, () => {
  it.each(BUDGETS)(
    "makes $calls calls and $rows rows of 1,000 requests: $perWindow a minute under $limit, $isolates isolates",
    (budget) => {
      const { calls, rows } = measureBudget(budget);
      expect(Math.abs(calls / budget.calls - 1)).toBeLessThanOrEqual(BUDGET_TOLERANCE);
      expect(Math.abs(rows / budget.rows - 1)).toBeLessThanOrEqual(BUDGET_TOLERANCE);
    },
  );
});
