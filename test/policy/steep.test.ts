import { describe, expect, it } from "vitest";
import { absorb, newMeter } from "../../src/policy/meter.ts";
import { surgeOf } from "../../src/policy/meter-rates.ts";
import { steepTier } from "../../src/policy/steep.ts";
import { countRefusal, newTally } from "../../src/policy/tally.ts";
import { THRESHOLDS } from "../../src/policy/tier.ts";
import { flushOf } from "./flushes.ts";

const T = 1_764_000_000_000;

describe("steepTier", () => {
  it.each([
    { name: "nothing", count: 0, before: 0, tier: "low" },
    { name: "a quarter past the threshold, not certain", count: 94, before: 0, tier: "low" },
    { name: "certain and past medium by a quarter", count: 119, before: 0, tier: "medium" },
    { name: "just not certain of high", count: 207, before: 0, tier: "medium" },
    { name: "certain of high", count: 208, before: 0, tier: "high" },
    { name: "certain of critical", count: 266, before: 0, tier: "critical" },
    { name: "as much as before", count: 261, before: 250, tier: "low" },
    { name: "certainly more than before", count: 330, before: 250, tier: "critical" },
  ])("of 1,000 a minute, $count in 15 s after at most $before: $tier ($name)", ({ count, before, tier }) => {
    expect(steepTier({ count, before }, 1_000, THRESHOLDS)).toBe(tier);
  });

  it("asks for a quarter more where counts are so large that certainty asks for nothing", () => {
    expect(steepTier({ count: 1_874_000, before: 0 }, 1e7, THRESHOLDS)).toBe("medium");
    expect(steepTier({ count: 1_875_000, before: 0 }, 1e7, THRESHOLDS)).toBe("high");
  });
});

describe("surgeOf", () => {
  it("finds the most of the two minutes before, and not what is older", () => {
    const meter = newMeter(T);
    absorb(meter, flushOf({ admitted: 900 }, { number: 1 }), T + 10_000);
    absorb(meter, flushOf({ admitted: 50 }, { number: 2 }), T + 100_000);
    absorb(meter, flushOf({ admitted: 70 }, { number: 3 }), T + 150_000);
    expect(surgeOf(meter, T + 151_000)).toEqual({ count: 70, before: 50 });
    expect(surgeOf(meter, T + 140_000)).toEqual({ count: 0, before: 900 });
  });

  it("leaves out what clients had that have used up their limit", () => {
    const meter = newMeter(T);
    const tally = newTally();
    const limits = { low: 200, medium: 100, high: 70, critical: 50 };
    for (let nth = 1; nth <= 100; nth++) countRefusal(tally, "default", "low", nth, limits, T);
    absorb(meter, flushOf({ admitted: 275 }, { number: 1, spanMs: 5_000 }), T + 5_000);
    absorb(meter, flushOf({}, { number: 2, spanMs: 5_000, rows: [...tally.rows] }), T + 5_000);
    for (let at = 5; at < 20; at++) expect(surgeOf(meter, T + at * 1_000).count).toBeLessThanOrEqual(75);
    expect(surgeOf(meter, T + 5_000).count).toBe(75);
  });
});
