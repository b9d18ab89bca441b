import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import {
  getLoadTier,
  nextTier,
  type Standing,
  standing,
  THRESHOLDS,
  TIERS,
  type Tier,
  type TierState,
} from "../../src/policy/tier.ts";

/** Random cases take their time on a machine that does something else as well. */
vi.setConfig({ testTimeout: 60_000 });

const HYSTERESIS = { margin: 0.05, holdMs: 30_000 };
const S = 1_000;

describe("getLoadTier", () => {
  it.each([
    { load: -1, tier: "low" },
    { load: 0, tier: "low" },
    { load: 0.29999, tier: "low" },
    { load: 0.3, tier: "medium" },
    { load: 0.45, tier: "medium" },
    { load: 0.59999, tier: "medium" },
    { load: 0.6, tier: "high" },
    { load: 0.65, tier: "high" },
    { load: 0.79999, tier: "high" },
    { load: 0.8, tier: "critical" },
    { load: 1, tier: "critical" },
    { load: 7, tier: "critical" },
    { load: Number.POSITIVE_INFINITY, tier: "critical" },
  ] as const)("names $load $tier", ({ load, tier }) => {
    expect(getLoadTier(load)).toBe(tier);
  });

  it("begins each tier at the thresholds it is given", () => {
    const thresholds = { medium: 0.1, high: 0.2, critical: 0.95 };
    expect([0.09, 0.1, 0.2, 0.94, 0.95].map((load) => getLoadTier(load, thresholds))).toEqual([
      "low",
      "medium",
      "high",
      "high",
      "critical",
    ]);
  });

  it("throws on a load nobody knows", () => {
    expect(() => getLoadTier(Number.NaN)).toThrow(new RangeError("load: expected a number 0..1, got NaN"));
  });
});

/** One look at load of a story, seconds after its start, and the tier then. */
type Look = readonly [atSeconds: number, load: number, tier: Tier];

describe("nextTier", () => {
  it.each<{ name: string; from: Tier; looks: readonly Look[]; hysteresis?: typeof HYSTERESIS }>([
    { name: "tightens at once by one", from: "low", looks: [[0, 0.3, "medium"]] },
    { name: "tightens at once by three", from: "low", looks: [[0, 0.8, "critical"]] },
    {
      name: "relaxes after the hold and not 1 ms before",
      from: "medium",
      looks: [
        [0, 0.1, "medium"],
        [29.999, 0.1, "medium"],
        [30, 0.1, "low"],
      ],
    },
    {
      name: "stays while load is at the margin",
      from: "medium",
      looks: [
        [0, 0.25, "medium"],
        [300, 0.25, "medium"],
      ],
    },
    {
      name: "relaxes just under the margin",
      from: "medium",
      looks: [
        [0, 0.2499, "medium"],
        [30, 0.2499, "low"],
      ],
    },
    {
      name: "restarts the hold when load comes back into the margin",
      from: "medium",
      looks: [
        [0, 0.1, "medium"],
        [20, 0.27, "medium"],
        [21, 0.1, "medium"],
        [50.999, 0.1, "medium"],
        [51, 0.1, "low"],
      ],
    },
    {
      name: "restarts the hold when load comes back into the tier",
      from: "medium",
      looks: [
        [0, 0.1, "medium"],
        [20, 0.35, "medium"],
        [21, 0.1, "medium"],
        [30, 0.1, "medium"],
        [51, 0.1, "low"],
      ],
    },
    {
      name: "tightens in the middle of a hold, and holds anew after",
      from: "medium",
      looks: [
        [0, 0.1, "medium"],
        [29, 0.65, "high"],
        [30, 0.1, "high"],
        [59.999, 0.1, "high"],
        [60, 0.1, "medium"],
        [89.999, 0.1, "medium"],
        [90, 0.1, "low"],
      ],
    },
    {
      name: "relaxes one tier at a time",
      from: "critical",
      looks: [
        [0, 0, "critical"],
        [30, 0, "high"],
        [59.999, 0, "high"],
        [60, 0, "medium"],
        [89.999, 0, "medium"],
        [90, 0, "low"],
      ],
    },
    {
      name: "stops at the tier that load is not low enough to leave",
      from: "critical",
      looks: [
        [0, 0.57, "critical"],
        [30, 0.57, "high"],
        [300, 0.57, "high"],
      ],
    },
    {
      name: "relaxes one tier after however long a pause: nobody saw load under the next edge",
      from: "critical",
      looks: [
        [0, 0.7, "critical"],
        [29, 0.7, "critical"],
        [3_600, 0.1, "high"],
        [3_629.999, 0.1, "high"],
        [3_630, 0.1, "medium"],
      ],
    },
    {
      name: "leaves a tier whose margin is as wide as its threshold at no load",
      from: "medium",
      hysteresis: { margin: 0.3, holdMs: 30_000 },
      looks: [
        [0, 0, "medium"],
        [30, 0, "low"],
      ],
    },
    {
      name: "restarts the hold when the clock steps back",
      from: "medium",
      looks: [
        [0, 0.1, "medium"],
        [-100, 0.1, "medium"],
        [-71, 0.1, "medium"],
        [-70, 0.1, "low"],
      ],
    },
    {
      name: "keeps the hold when the clock steps back within it",
      from: "medium",
      looks: [
        [0, 0.1, "medium"],
        [20, 0.1, "medium"],
        [10, 0.1, "medium"],
        [29.999, 0.1, "medium"],
        [30, 0.1, "low"],
      ],
    },
    {
      name: "relaxes one tier a look where the hold is 0",
      from: "critical",
      hysteresis: { margin: 0.05, holdMs: 0 },
      looks: [
        [0, 0, "high"],
        [1, 0, "medium"],
        [2, 0, "low"],
      ],
    },
    {
      name: "relaxes under the threshold itself where the margin is 0",
      from: "medium",
      hysteresis: { margin: 0, holdMs: 30_000 },
      looks: [
        [0, 0.2999, "medium"],
        [30, 0.2999, "low"],
      ],
    },
  ])("$name", ({ from, looks, hysteresis = HYSTERESIS }) => {
    let state: TierState = { tier: from, relaxingSinceMs: null };
    for (const [at, load, tier] of looks) {
      state = nextTier(state, load, THRESHOLDS, hysteresis, at * S);
      expect(state.tier, `at ${at} s, load ${load}`).toBe(tier);
    }
  });

  it("does not keep a hold running that has nothing to wait for", () => {
    expect(nextTier({ tier: "low", relaxingSinceMs: 5 }, 0, THRESHOLDS, HYSTERESIS, 9)).toEqual({
      tier: "low",
      relaxingSinceMs: null,
    });
    expect(nextTier({ tier: "high", relaxingSinceMs: 5 }, 0.7, THRESHOLDS, HYSTERESIS, 9)).toEqual({
      tier: "high",
      relaxingSinceMs: null,
    });
  });

  it("throws on a load nobody knows", () => {
    const state = { tier: "high", relaxingSinceMs: null } as const;
    expect(() => nextTier(state, Number.NaN, THRESHOLDS, HYSTERESIS, 0)).toThrow(RangeError);
  });

  it("is never looser than load, and relaxes only after a hold of load under the tier's lower edge", () => {
    const holdS = 5;
    const hysteresis = { margin: 0.05, holdMs: holdS * S };
    const aLoad = fc.constantFrom(0, 0.1, 0.24, 0.26, 0.29, 0.3, 0.5, 0.54, 0.56, 0.6, 0.7, 0.74, 0.76, 0.8, 1);
    const someLoads = fc
      .array(fc.tuple(aLoad, fc.integer({ min: 1, max: 9 })), { maxLength: 30, size: "max" })
      .map((runs) => runs.flatMap(([load, seconds]) => Array<number>(seconds).fill(load)));
    fc.assert(
      fc.property(someLoads, (loads) => {
        let state: TierState = { tier: "low", relaxingSinceMs: null };
        for (const [second, load] of loads.entries()) {
          const before = TIERS.indexOf(state.tier);
          state = nextTier(state, load, THRESHOLDS, hysteresis, second * S);
          const after = TIERS.indexOf(state.tier);
          expect(after).toBeGreaterThanOrEqual(TIERS.indexOf(getLoadTier(load)));
          if (after >= before) continue;
          expect(after).toBe(before - 1);
          const left = TIERS[before];
          const edge = left === undefined || left === "low" ? Number.NaN : THRESHOLDS[left] - 0.05;
          const held = loads.slice(second - holdS, second + 1);
          expect(held).toHaveLength(holdS + 1);
          expect(Math.max(...held)).toBeLessThan(edge);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("standing", () => {
  const state = (basis: Standing["basis"], tier: Tier, relaxingSinceMs: number | null = null): Standing => ({
    basis,
    tier,
    relaxingSinceMs,
  });
  const load = (value: number) => ({ basis: "load", load: value }) as const;
  const pin = (value: number) => ({ basis: "pin", load: value }) as const;
  const fallback = (tier: Tier) => ({ basis: "fallback", tier }) as const;

  it.each([
    { name: "starts at the tier that load names", from: null, seen: load(0.65), to: state("load", "high") },
    { name: "starts at a pin", from: null, seen: pin(0.9), to: state("pin", "critical") },
    { name: "starts at the fallback", from: null, seen: fallback("medium"), to: state("fallback", "medium") },
    { name: "tightens to a pin at once", from: state("load", "low"), seen: pin(1), to: state("pin", "critical") },
    { name: "relaxes to a pin at once", from: state("load", "critical"), seen: pin(0), to: state("pin", "low") },
    { name: "follows a pin down at once", from: state("pin", "critical"), seen: pin(0.3), to: state("pin", "medium") },
    {
      name: "lets go of a pin downwards at once",
      from: state("pin", "critical"),
      seen: load(0),
      to: state("load", "low"),
    },
    {
      name: "lets go of a pin upwards at once",
      from: state("pin", "low"),
      seen: load(0.8),
      to: state("load", "critical"),
    },
    {
      name: "lets go of a pin to the fallback",
      from: state("pin", "critical"),
      seen: fallback("low"),
      to: state("fallback", "low"),
    },
    {
      name: "falls back downwards at once",
      from: state("load", "critical"),
      seen: fallback("medium"),
      to: state("fallback", "medium"),
    },
    {
      name: "falls back upwards at once",
      from: state("load", "low"),
      seen: fallback("medium"),
      to: state("fallback", "medium"),
    },
    {
      name: "lets go of the fallback downwards at once",
      from: state("fallback", "critical"),
      seen: load(0),
      to: state("load", "low"),
    },
    {
      name: "lets go of the fallback upwards at once",
      from: state("fallback", "low"),
      seen: load(0.6),
      to: state("load", "high"),
    },
    {
      name: "goes from the fallback to a pin at once",
      from: state("fallback", "medium"),
      seen: pin(0),
      to: state("pin", "low"),
    },
    {
      name: "holds load that follows load",
      from: state("load", "critical"),
      seen: load(0),
      to: state("load", "critical", 40 * S),
    },
    {
      name: "relaxes load that has held",
      from: state("load", "high", 10 * S),
      seen: load(0.3),
      to: state("load", "medium"),
    },
    {
      name: "drops the hold of load under a pin",
      from: state("load", "high", 10 * S),
      seen: pin(0.7),
      to: state("pin", "high"),
    },
  ])("$name", ({ from, seen, to }) => {
    expect(standing(from, seen, THRESHOLDS, HYSTERESIS, 40 * S)).toEqual(to);
  });
});
