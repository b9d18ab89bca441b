import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { recommendInstances, SCALING } from "../../src/policy/scaling.ts";
import { type Basis, type Demand, type Minute, runLoop } from "./closed-loop.ts";

/** What the two instances of the smallest fleet carry. */
const CAPACITY_RPS = SCALING.minInstances * SCALING.rpsPerInstance;
const CALM: Demand = { clients: 24, perClientPerMinute: 150 };
const CALM_MINUTES = 5;

/** Three times what the fleet carries, from clients that each want 150 a minute. */
const TRIPLE: Demand = { clients: (3 * CAPACITY_RPS * 60) / 150, perClientPerMinute: 150 };

function tripled(basis: Basis): readonly Minute[] {
  return runLoop(basis, (minute) => (minute < CALM_MINUTES ? CALM : TRIPLE), 45);
}

function lastOf(minutes: readonly Minute[]): Minute {
  const last = minutes.at(-1);
  if (last === undefined) throw new RangeError("minutes: expected at least one");
  return last;
}

function refusedShare({ offeredRps, admittedRps }: Minute): number {
  return 1 - admittedRps / offeredRps;
}

function print(title: string, minutes: readonly Minute[]): void {
  const rows = minutes
    .filter(({ minute }) => minute <= 15 || minute % 5 === 0)
    .map((at) =>
      [
        String(at.minute).padStart(6),
        at.offeredRps.toFixed(0).padStart(9),
        at.admittedRps.toFixed(0).padStart(10),
        `${(100 * refusedShare(at)).toFixed(0)} %`.padStart(9),
        String(at.advice).padStart(8),
        `${at.ready}/${at.replicas}`.padStart(10),
        at.load.toFixed(2).padStart(6),
        `  ${at.tier}`,
      ].join(""),
    );
  console.log(
    [title, "minute  offered  admitted  refused  advice  replicas  load  tier", ...rows].join("\n").concat("\n"),
  );
}

describe("the loop between limits and an autoscaler, at three times capacity", () => {
  const needed = recommendInstances(3 * CAPACITY_RPS);

  it("closes when the scaler is told what was offered: replicas come, capacity follows, the tier relaxes", () => {
    const minutes = tripled("offered");
    print("advice from what was offered", minutes);
    const atFirst = minutes[CALM_MINUTES];
    expect(atFirst).toMatchObject({ ready: SCALING.minInstances, tier: "critical" });
    expect(needed).toBe(7);
    const last = lastOf(minutes);
    // Medium would let in 300 of the 525 that the fleet carries, 0.57: too near to 0.6 to be stable, so high it stays.
    expect(last).toMatchObject({ advice: needed, ready: needed, tier: "high" });
    expect(last.ready * SCALING.rpsPerInstance).toBeGreaterThanOrEqual(last.offeredRps);
    expect(minutes.find(({ ready }) => ready === needed)?.minute).toBeLessThanOrEqual(CALM_MINUTES + 10);
    expect(last.admittedRps).toBeGreaterThan(1.35 * CAPACITY_RPS);
  });

  it("stays open when the scaler is told what was admitted: the limits hide the demand that they refuse", () => {
    const minutes = tripled("admitted");
    print("advice from what was admitted", minutes);
    const last = lastOf(minutes);
    expect(Math.max(...minutes.map(({ replicas }) => replicas))).toBeLessThan(needed);
    expect(last.tier).toBe("critical");
    expect(refusedShare(last)).toBeGreaterThan(0.5);
  });

  it("lets in more, and never less, with the advice of what was offered", () => {
    const rates = fc.integer({ min: 60, max: 400 });
    fc.assert(
      fc.property(rates, fc.double({ min: 1, max: 4.5, noNaN: true }), (perClientPerMinute, times) => {
        const demand = { clients: (times * CAPACITY_RPS * 60) / perClientPerMinute, perClientPerMinute };
        const [offered, admitted] = (["offered", "admitted"] as const).map((basis) =>
          lastOf(runLoop(basis, () => demand, 30)),
        );
        expect(offered?.ready).toBe(recommendInstances(times * CAPACITY_RPS));
        expect(offered?.ready).toBeGreaterThanOrEqual(admitted?.ready ?? 0);
      }),
      { numRuns: 20 },
    );
  });

  it("keeps the replicas of a one-minute peak for an hour, and then lets them go one by one to the minimum", () => {
    const minutes = runLoop("offered", (minute) => (minute === 10 ? TRIPLE : CALM), 110);
    const replicasAt = (minute: number) => minutes.find((at) => at.minute === minute)?.replicas;
    expect([10, 20, 60, 70, 110].map(replicasAt)).toEqual([2, needed, needed, needed, SCALING.minInstances]);
    const steps = minutes.map(({ replicas }, i) => replicas - (minutes[i - 1]?.replicas ?? replicas));
    expect(Math.min(...steps)).toBe(-1);
  });
});
