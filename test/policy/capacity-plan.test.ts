import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Demand, INSTANCE_TYPES, planCapacity, RESOURCES } from "../../src/policy/capacity-plan.ts";
import { BUILT_IN, type TierTables } from "../../src/policy/limits.ts";
import { SCALING } from "../../src/policy/scaling.ts";

function peakOf(requests_per_second: number, others: Partial<Demand> = {}): Demand {
  return { requests_per_second, users: null, workflows_per_minute: null, ai_calls_per_minute: null, ...others };
}

describe("planCapacity", () => {
  it("says for 500 a second what each type needs and what the fleet carries then", () => {
    const { fleets } = planCapacity(peakOf(500), SCALING, BUILT_IN);
    expect(
      fleets.map(({ type, instances, requestsPerSecond }) => [type.memoryGb, instances, requestsPerSecond]),
    ).toEqual([
      [1, 8, [400, 800]],
      [2, 5, [500, 1000]],
      [4, 3, [600, 1200]],
    ]);
    expect(fleets[0]?.carries).toEqual({
      requests_per_second: 600,
      users: 800,
      workflows_per_minute: 160,
      ai_calls_per_minute: 80,
    });
  });

  it("has the capacity table: what one instance of 1, 2 and 4 GB carries", () => {
    expect(INSTANCE_TYPES).toEqual([
      { memoryGb: 1, requestsPerSecond: [50, 100], users: 100, workflowsPerMinute: 20, aiCallsPerMinute: 10 },
      { memoryGb: 2, requestsPerSecond: [100, 200], users: 200, workflowsPerMinute: 40, aiCallsPerMinute: 20 },
      { memoryGb: 4, requestsPerSecond: [200, 400], users: 400, workflowsPerMinute: 80, aiCallsPerMinute: 40 },
    ]);
  });

  it.each([
    {
      name: "is what the fewest clients exhaust, where only the peak is known",
      demand: peakOf(500),
      bottleneck: { resource: "ai_calls_per_minute", tiedWith: ["workflows_per_minute"], basis: "limits" },
      instances: 8,
    },
    {
      name: "is what needs the most instances, where more is known",
      demand: peakOf(500, { ai_calls_per_minute: 85, users: 400 }),
      bottleneck: { resource: "ai_calls_per_minute", tiedWith: [], basis: "demand" },
      instances: 10,
    },
    {
      name: "is the requests, where they need more than what else is known",
      demand: peakOf(500, { users: 400 }),
      bottleneck: { resource: "requests_per_second", tiedWith: [], basis: "demand" },
      instances: 8,
    },
    {
      name: "names what is equally scarce",
      demand: peakOf(0, { users: 300, workflows_per_minute: 60 }),
      bottleneck: { resource: "workflows_per_minute", tiedWith: ["users"], basis: "demand" },
      instances: 4,
    },
  ])("the bottleneck $name", ({ demand, bottleneck, instances }) => {
    const plan = planCapacity(demand, SCALING, BUILT_IN);
    expect(plan.bottleneck).toEqual(bottleneck);
    expect(plan.fleets[0]?.instances).toBe(instances);
  });

  it("says what each tier means at that size, and how many clients at their limit it carries", () => {
    const { tiers } = planCapacity(peakOf(500), SCALING, BUILT_IN);
    expect(tiers.map(({ tier, fromRequestsPerMinute }) => [tier, fromRequestsPerMinute])).toEqual([
      ["low", 0],
      ["medium", 10_800],
      ["high", 21_600],
      ["critical", 28_800],
    ]);
    expect(tiers[3]).toMatchObject({
      limits: { default: 50, "ai-chat": 10, workflows: 20, billing: 10, health: 30 },
      clientsAtLimit: { requests_per_second: 720, users: 800, workflows_per_minute: 8, ai_calls_per_minute: 8 },
    });
  });

  it("warns of tables whose capacity is not the fleet's", () => {
    expect(planCapacity(peakOf(500), SCALING, BUILT_IN).peakLoad).toEqual({
      fleet: { capacityRpm: 36_000, ratio: 30_000 / 36_000, tier: "critical" },
      tables: { capacityRpm: 1000, ratio: 30, tier: "critical" },
    });
  });

  it("reads limits of another window as so many a minute, and a limit of 0 as exhausted by nobody", () => {
    const { default: one, "ai-chat": ai } = BUILT_IN.profiles;
    if (one === undefined || ai === undefined) throw new RangeError("expected both profiles");
    const limits = { low: 0, medium: 0, high: 0, critical: 0 };
    const profiles = { ...BUILT_IN.profiles, default: { ...one, windowMs: 1000 }, "ai-chat": { ...ai, limits } };
    const tables: TierTables = { ...BUILT_IN, profiles };
    expect(planCapacity(peakOf(500), SCALING, tables).tiers[0]?.clientsAtLimit).toMatchObject({
      requests_per_second: 3,
      ai_calls_per_minute: Number.POSITIVE_INFINITY,
    });
  });

  it("plans a fleet that carries all that is known of the demand, or says how many it wanted", () => {
    const amount = fc.integer({ min: 0, max: 2000 });
    const demands = fc.record({
      requests_per_second: amount,
      users: fc.option(amount),
      workflows_per_minute: fc.option(amount),
      ai_calls_per_minute: fc.option(amount),
    });
    fc.assert(
      fc.property(demands, (demand) => {
        for (const fleet of planCapacity(demand, SCALING, BUILT_IN).fleets) {
          const carriesAll = RESOURCES.every((resource) => fleet.carries[resource] >= (demand[resource] ?? 0));
          expect(carriesAll || fleet.wanted > fleet.instances).toBe(true);
          expect(fleet.instances).toBe(Math.min(10, Math.max(2, fleet.wanted)));
        }
      }),
    );
  });
});
