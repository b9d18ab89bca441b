import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BUILT_IN, type Limits } from "../../src/policy/limits.ts";
import type { ProfileRates } from "../../src/policy/meter-rates.ts";
import { noRefusals, nthRefusal, predict } from "../../src/policy/prediction.ts";
import { TIERS, type Tier } from "../../src/policy/tier.ts";

const T = 1_764_000_000_000;
const NOTHING = { offered: 0, load: 0, cached: 0, refused: 0, shed: 0, withheld: 0 };

function rates(members: Partial<ProfileRates>): ProfileRates {
  return { profile: "default", ...NOTHING, ...members };
}

function under(tier: Tier, inForce: Tier, some: readonly ProfileRates[], isSettled = true): number {
  return predict(some, BUILT_IN.profiles, inForce, isSettled)[tier];
}

describe("predict", () => {
  it("finds the loop of 14 clients at 90: 700 at critical are 980 at high", () => {
    const some = [rates({ offered: 1_260, load: 700, refused: 560, withheld: 280 })];
    expect(under("high", "critical", some)).toBeCloseTo(980);
  });

  it.each<{ name: string; rate: Partial<ProfileRates>; settled?: boolean; expected: number }>([
    {
      name: "what was withheld comes in",
      rate: { offered: 900, load: 500, refused: 400, withheld: 40 },
      expected: 540,
    },
    { name: "nobody was refused: as now", rate: { offered: 500, load: 500 }, expected: 500 },
    {
      name: "isolates do not tell: as much more as the limit grows",
      rate: { offered: 900, load: 500, refused: 400 },
      expected: 700,
    },
    {
      name: "never more than is offered",
      rate: { offered: 520, load: 500, refused: 20 },
      expected: 520,
    },
    {
      name: "never more than the limit grows, though several isolates withheld the same",
      rate: { offered: 2_000, load: 500, refused: 1_500, withheld: 900 },
      expected: 700,
    },
    {
      name: "limits that have just changed have shown nothing: all that is offered",
      rate: { offered: 900, load: 500, refused: 400, withheld: 40 },
      settled: false,
      expected: 900,
    },
    {
      name: "the cache answers its share of what comes in too",
      rate: { offered: 1_000, load: 300, cached: 300, refused: 400, withheld: 100 },
      expected: 350,
    },
    {
      name: "what was shed comes in",
      rate: { offered: 800, load: 500, shed: 300 },
      expected: 800,
    },
    { name: "a shadow lets everybody in already", rate: { offered: 900, load: 900 }, expected: 900 },
  ])("$name", ({ rate, settled = true, expected }) => {
    expect(under("high", "critical", [rates(rate)], settled)).toBeCloseTo(expected);
  });

  it("says what is under the tier in force and stricter ones", () => {
    const some = [rates({ offered: 900, load: 500, refused: 400, withheld: 40 })];
    expect(under("high", "high", some)).toBe(500);
    expect(under("critical", "high", some)).toBe(500);
  });

  it("goes by the limits where two tiers are to be left", () => {
    const some = [rates({ offered: 9_000, load: 500, refused: 8_500, withheld: 40 })];
    expect(under("medium", "critical", some)).toBe(1_000);
  });

  it("adds up profiles, each by its own limits", () => {
    const some = [
      rates({ offered: 9_000, load: 500, refused: 8_500 }),
      rates({ profile: "ai-chat", offered: 9_000, load: 100, refused: 8_900 }),
      rates({ profile: "gone", offered: 70, load: 70 }),
    ];
    expect(under("high", "critical", some)).toBeCloseTo(700 + 200 + 70);
  });

  it("lets in all that is offered where a limit of 0 is lifted", () => {
    const limits: Limits = { low: 10, medium: 10, high: 10, critical: 0 };
    const some = [rates({ offered: 400, refused: 400, withheld: 10 })];
    expect(predict(some, { default: { limits } }, "critical", true).high).toBe(400);
  });

  it("never says less than there is, nor more than is offered, and more the looser", () => {
    const amount = fc.nat({ max: 5_000 });
    const rate = fc
      .record({
        load: amount,
        cached: amount,
        refused: amount,
        shed: amount,
        part: fc.double({ min: 0, max: 1, noNaN: true }),
      })
      .map(({ load, cached, refused, shed, part }) =>
        rates({
          offered: load + cached + refused + shed,
          load,
          cached,
          refused,
          shed,
          withheld: Math.floor(part * refused),
        }),
      );
    fc.assert(
      fc.property(rate, fc.constantFrom(...TIERS), fc.boolean(), (one, inForce, isSettled) => {
        const predicted = predict([one], BUILT_IN.profiles, inForce, isSettled);
        const loosening = [...TIERS].reverse().map((tier) => predicted[tier]);
        for (const rpm of loosening) {
          expect(rpm).toBeGreaterThanOrEqual(one.load - 1e-6);
          expect(rpm).toBeLessThanOrEqual(one.offered + 1e-6);
        }
      }),
    );
  });
});

describe("nthRefusal", () => {
  it("counts within the window that the first one begins", () => {
    const refusals = noRefusals();
    const nths = [0, 1_000, 59_999, 60_000, 60_001].map((at) => nthRefusal(refusals, 60_000, T + at));
    expect(nths).toEqual([1, 2, 3, 1, 2]);
  });

  it("begins anew when the clock steps back", () => {
    const refusals = noRefusals();
    nthRefusal(refusals, 60_000, T);
    expect(nthRefusal(refusals, 60_000, T - 1)).toBe(1);
  });
});
