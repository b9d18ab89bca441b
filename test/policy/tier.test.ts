import { describe, expect, it } from "vitest";
import { getLoadTier } from "../../src/policy/tier.ts";

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
