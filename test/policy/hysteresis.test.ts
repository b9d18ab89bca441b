/** How the tier follows a published rate of which nobody knows what is offered behind it. */
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { type Course, steer } from "../../src/policy/steer.ts";
import { getLoadTier, THRESHOLDS, TIERS, type Tier } from "../../src/policy/tier.ts";

/** Random cases take their time on a machine that does something else as well. */
vi.setConfig({ testTimeout: 60_000 });

const HYSTERESIS = { margin: 0.05, holdMs: 30_000 };
const S = 1_000;
const STARTED: Course = { tier: "low", relaxingSinceMs: null, relaxedMs: null, holds: 1 };
const seen = (load: number) => ({ load, steep: "low", predicted: null, capacityRpm: null }) as const;

/** One look at load of a story, seconds after its start, and the tier then. */
type Look = readonly [atSeconds: number, load: number, tier: Tier];

describe("steer, by a rate that is all there is", () => {
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
      name: "relaxes after a pause by as many tiers as whole holds have passed, and load is low enough for",
      from: "critical",
      looks: [
        [0, 0.7, "critical"],
        [29, 0.7, "critical"],
        [89, 0.1, "medium"],
        [90, 0.1, "low"],
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
      name: "relaxes at once to what load names where the hold is 0",
      from: "critical",
      hysteresis: { margin: 0.05, holdMs: 0 },
      looks: [
        [0, 0.5, "medium"],
        [1, 0, "low"],
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
    let course: Course = { ...STARTED, tier: from };
    for (const [at, load, tier] of looks) {
      course = steer(course, seen(load), THRESHOLDS, hysteresis, at * S);
      expect(course.tier, `at ${at} s, load ${load}`).toBe(tier);
    }
  });

  it("throws on a load nobody knows", () => {
    expect(() => steer(STARTED, seen(Number.NaN), THRESHOLDS, HYSTERESIS, 0)).toThrow(RangeError);
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
        let course = STARTED;
        for (const [second, load] of loads.entries()) {
          const before = TIERS.indexOf(course.tier);
          course = steer(course, seen(load), THRESHOLDS, hysteresis, second * S);
          const after = TIERS.indexOf(course.tier);
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
