import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ProfileRates } from "../../src/policy/meter-rates.ts";
import { type Shares, shedShares, type Yields } from "../../src/policy/overload.ts";

const ORDER = ["default", "ai-chat", "workflows", "billing"];
const NOTHING = { offered: 0, load: 0, cached: 0, refused: 0, shed: 0, withheld: 0 };

function rates(members: Partial<ProfileRates> & { profile: string }): ProfileRates {
  return { ...NOTHING, ...members };
}

describe("shedShares", () => {
  it.each<{ name: string; flows: readonly ProfileRates[]; shares: Shares }>([
    {
      name: "sheds nothing below the ceiling",
      flows: [rates({ profile: "default", offered: 950, load: 950 })],
      shares: {},
    },
    {
      name: "sheds what is above it",
      flows: [rates({ profile: "default", offered: 1_900, load: 1_900 })],
      shares: { default: 0.5 },
    },
    {
      name: "does not count what limits refuse",
      flows: [rates({ profile: "default", offered: 90_000, load: 900, refused: 89_100 })],
      shares: {},
    },
    {
      name: "sheds the first of the order first",
      flows: [
        rates({ profile: "billing", offered: 500, load: 500 }),
        rates({ profile: "default", offered: 900, load: 900 }),
      ],
      shares: { default: 0.5 },
    },
    {
      name: "sheds the next only when all of the first is shed",
      flows: [
        rates({ profile: "ai-chat", offered: 1_900, load: 1_900 }),
        rates({ profile: "default", offered: 100, load: 100 }),
      ],
      shares: { default: 1, "ai-chat": 0.5 },
    },
    {
      name: "never sheds what the order does not name",
      flows: [
        rates({ profile: "health", offered: 5_000, load: 5_000 }),
        rates({ profile: "default", offered: 100, load: 100 }),
      ],
      shares: { default: 1 },
    },
  ])("$name", ({ flows, shares }) => {
    const found = shedShares(flows, {}, 950, ORDER).shares;
    expect(Object.keys(found)).toEqual(Object.keys(shares));
    for (const [profile, share] of Object.entries(shares)) expect(found[profile]).toBeCloseTo(share, 2);
  });

  it("begins smoothly: a request above the ceiling sheds a request", () => {
    const { shares } = shedShares([rates({ profile: "default", offered: 951, load: 951 })], {}, 950, ORDER);
    expect(shares["default"]).toBeCloseTo(1 / 951, 6);
  });

  it("remembers what limits let through while all of a profile is shed", () => {
    const before = shedShares(
      [rates({ profile: "default", offered: 60_000, load: 6_000, refused: 54_000 })],
      {},
      950,
      ORDER,
    );
    expect(before.yields["default"]).toBeCloseTo(0.1, 2);
    const shed = [rates({ profile: "default", offered: 60_000, shed: 60_000 })];
    const after = shedShares(shed, before.yields, 950, ORDER);
    expect(after.yields["default"]).toBeCloseTo(0.1, 2);
    expect(after.shares["default"]).toBeCloseTo(1 - 950 / 6_000, 1);
  });

  it("forgets profiles that nobody asks for", () => {
    const { yields } = shedShares([], { default: 0.5 }, 950, ORDER);
    expect(yields).toEqual({});
  });

  it("settles at the ceiling, whatever demand and limits are", () => {
    const demand = fc.record({
      profile: fc.constantFrom(...ORDER),
      offered: fc.integer({ min: 1_000, max: 500_000 }),
      lets: fc.double({ min: 0.05, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.uniqueArray(demand, { selector: ({ profile }) => profile, minLength: 1 }), (demands) => {
        let shares: Shares = {};
        let yields: Yields = {};
        let admitted = 0;
        for (let second = 0; second < 60; second++) {
          const flows = demands.map(({ profile, offered, lets }) => {
            const shed = offered * (shares[profile] ?? 0);
            return rates({
              profile,
              offered,
              shed,
              load: (offered - shed) * lets,
              refused: (offered - shed) * (1 - lets),
            });
          });
          admitted = flows.reduce((sum, { load }) => sum + load, 0);
          ({ shares, yields } = shedShares(flows, yields, 950, ORDER));
        }
        const wanted = demands.reduce((sum, { offered, lets }) => sum + offered * lets, 0);
        expect(admitted).toBeGreaterThan(0.9 * Math.min(950, wanted));
        expect(admitted).toBeLessThan(1.1 * Math.min(950, wanted));
      }),
    );
  });
});
