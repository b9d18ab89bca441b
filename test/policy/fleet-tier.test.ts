import { describe, expect, it } from "vitest";
import {
  type FleetSight,
  type FleetTier,
  isSettled,
  newFleetTier,
  nextFleetTier,
} from "../../src/policy/fleet-tier.ts";
import { BUILT_IN } from "../../src/policy/limits.ts";
import { SETTLED_MS } from "../../src/policy/prediction.ts";
import type { Tier } from "../../src/policy/tier.ts";

const T = 1_764_000_000_000;
const S = 1_000;

interface Step {
  readonly at: number;
  /** Admitted per minute; so would it be under looser limits, unless `looser` says otherwise. */
  readonly rpm: number;
  readonly looser?: number;
  readonly steep?: Tier;
  readonly external?: FleetSight["external"];
  readonly pin?: Tier;
  readonly tier: Tier;
}

function tell(steps: readonly Step[], start = newFleetTier(T)): FleetTier {
  let fleet = start;
  for (const { at, rpm, looser = rpm, steep = "low", external = null, pin = null, tier } of steps) {
    const rates = { admittedPerMinute: rpm, offeredPerMinute: rpm, errorRate: 0, avgResponseMs: 0 };
    const predicted = { low: looser, medium: looser, high: looser, critical: rpm };
    fleet = nextFleetTier(fleet, { rates, steep, predicted, external, pin }, BUILT_IN, T + at * S);
    expect(fleet.tier, `at ${at} s`).toBe(tier);
  }
  return fleet;
}

describe("nextFleetTier", () => {
  it("follows what is measured", () => {
    expect(tell([{ at: 0, rpm: 650, tier: "high" }]).changes).toBe(1);
  });

  it("takes the stricter of what is measured and what others publish", () => {
    tell([
      { at: 0, rpm: 350, external: { load: 0.65, capacityRpm: 1_000 }, tier: "high" },
      { at: 1, rpm: 900, external: { load: 0.1, capacityRpm: 1_000 }, tier: "critical" },
    ]);
  });

  it("lets go of a publisher that is silent by steps", () => {
    tell([
      { at: 0, rpm: 100, external: { load: 0.9, capacityRpm: 1_000 }, tier: "critical" },
      { at: 10, rpm: 100, tier: "critical" },
      { at: 40, rpm: 100, tier: "high" },
      { at: 100, rpm: 100, tier: "low" },
    ]);
  });

  it("does not relax a publisher's tier into more than it says it could carry", () => {
    const external = { load: 0.7, capacityRpm: 500 };
    tell([
      { at: 0, rpm: 100, external: { load: 0.85, capacityRpm: 500 }, tier: "critical" },
      { at: 10, rpm: 100, looser: 200, external, tier: "critical" },
      { at: 1_000, rpm: 100, looser: 200, external, tier: "critical" },
      { at: 1_001, rpm: 100, looser: 120, external, tier: "critical" },
      { at: 1_031, rpm: 100, looser: 120, external, tier: "high" },
    ]);
  });

  it("obeys a pin both ways, and is at once what the sources say when it ends", () => {
    tell([
      { at: 0, rpm: 650, tier: "high" },
      { at: 1, rpm: 650, pin: "low", tier: "low" },
      { at: 2, rpm: 580, pin: "critical", tier: "critical" },
      { at: 3, rpm: 580, tier: "medium" },
    ]);
  });

  it("knows beside a pin what the sources say", () => {
    const external = { load: 0.65, capacityRpm: 1_000 };
    const pinned = tell([
      { at: 0, rpm: 900, tier: "critical" },
      { at: 1, rpm: 350, pin: "low", tier: "low" },
    ]);
    expect(pinned.sources).toBe("medium");
    expect(tell([{ at: 2, rpm: 350, external, pin: "critical", tier: "critical" }], pinned).sources).toBe("high");
    expect(tell([{ at: 3, rpm: 350, tier: "medium" }], pinned).sources).toBe("medium");
  });

  it("counts changes, and of them those that the steep rise made", () => {
    const fleet = tell([
      { at: 0, rpm: 100, tier: "low" },
      { at: 1, rpm: 200, steep: "high", tier: "high" },
      { at: 2, rpm: 900, steep: "critical", tier: "critical" },
      { at: 3, rpm: 100, tier: "critical" },
      { at: 33, rpm: 100, tier: "high" },
    ]);
    expect([fleet.changes, fleet.steepChanges]).toEqual([3, 1]);
  });

  it("is settled a window and what is late after the last change", () => {
    const fleet = tell([{ at: 100, rpm: 650, tier: "high" }]);
    expect(isSettled(newFleetTier(T), T)).toBe(true);
    expect(isSettled(fleet, T + 100 * S + SETTLED_MS - 1)).toBe(false);
    expect(isSettled(fleet, T + 100 * S + SETTLED_MS)).toBe(true);
  });
});
