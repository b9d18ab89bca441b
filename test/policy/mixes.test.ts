/**
 * Constant load of any mix settles: limits shape the load they follow, and the loop must not chase its own tail.
 */
import { describe, expect, it, vi } from "vitest";
import { seeded } from "../../bench/simulate/chance.ts";
import { run } from "../../bench/simulate/run.ts";
import { type ClientGroup, readScenario } from "../../bench/simulate/scenario.ts";
import { readTables } from "../../bench/simulate/tables.ts";
import { BUILT_IN } from "../../src/policy/limits.ts";
import { getLoadTier, TIERS } from "../../src/policy/tier.ts";

vi.setConfig({ testTimeout: 600_000 });

const MIXES = 200;
const MINUTES = 30;
const CAPACITY = 1_000;
const SETTLES_SECONDS = 180;
/** From critical to low takes three steps; each waits for a whole minute under the limits before it, and a hold. */
const STEPPED_DOWN_BY_MINUTE = 6;

/** One to six groups, any profile, from one request a minute to 600, a tenth to five times the capacity in all. */
function mixOf(seed: number): ClientGroup[] {
  const random = seeded(seed * 7_919 + 13);
  const target = CAPACITY * 0.1 * 50 ** random();
  const groups = Array.from({ length: 1 + Math.floor(random() * 6) }, () => ({
    profile: Object.keys(BUILT_IN.profiles)[Math.floor(random() * 5)] ?? "default",
    rpm: Math.round(600 ** random() * 10) / 10,
    weight: 0.1 + random(),
    arrivals: random() < 0.5 ? ("poisson" as const) : ("even" as const),
  }));
  const weights = groups.reduce((sum, { weight }) => sum + weight, 0);
  return groups.map(({ profile, rpm, weight, arrivals }) => {
    const count = Math.max(1, Math.round((target * weight) / weights / rpm));
    return { profile, rpm, arrivals, count };
  });
}

/** The loosest tier whose own limits let in no more than it stands for. */
function loosestStable(mix: readonly ClientGroup[]): number {
  const stable = TIERS.findIndex((tier, place) => {
    const limitOf = (profile: string) => BUILT_IN.profiles[profile]?.limits[tier] ?? 0;
    const rpm = mix.reduce((sum, group) => sum + group.count * Math.min(group.rpm, limitOf(group.profile)), 0);
    return TIERS.indexOf(getLoadTier(rpm / CAPACITY)) <= place;
  });
  return stable === -1 ? TIERS.length - 1 : stable;
}

describe("200 random mixes of clients, profiles and rates at constant load", () => {
  it("change the tier at most twice after three minutes, and are held at most one tier too tight", () => {
    const changes = new Map<number, number>();
    let tighter = 0;
    let requests = 0;
    const faults: string[] = [];
    for (let seed = 0; seed < MIXES; seed++) {
      const clients = mixOf(seed);
      const shape = { name: `mix-${seed}`, minutes: MINUTES, seed, capacity_rpm: CAPACITY, clients };
      const scenario = readScenario(JSON.stringify(shape), shape.name);
      const books = run(scenario, readTables({}, CAPACITY, "tables"));
      const late = books.changes.filter(({ second }) => second >= SETTLES_SECONDS).length;
      const stable = loosestStable(clients);
      const held = books.minutes.map(({ tier }) => TIERS.indexOf(tier));
      const tooTight = held.findLastIndex((place) => place > stable + 1);
      changes.set(late, (changes.get(late) ?? 0) + 1);
      if ((held[held.length - 1] ?? 0) > stable) tighter++;
      requests += books.minutes.reduce(
        (sum, { groups }) => sum + groups.reduce((all, part) => all + part.offered, 0),
        0,
      );
      if (late > 2) faults.push(`mix ${seed}: ${late} changes`);
      if (tooTight >= STEPPED_DOWN_BY_MINUTE)
        faults.push(`mix ${seed}: more than one tier too tight in minute ${tooTight}`);
    }
    const counts = [...changes].sort(([a], [b]) => a - b).map(([late, mixes]) => `${mixes} with ${late}`);
    console.log(
      `mixes: changes after 3 min: ${counts.join(", ")}; ${tighter} end one tier tighter than the loosest stable; ` +
        `${(requests / 1e6).toFixed(1)} million requests`,
    );
    expect(faults).toEqual([]);
  });
});
