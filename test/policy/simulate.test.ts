import { describe, expect, it } from "vitest";
import { arrivalsOf } from "../../bench/simulate/arrivals.ts";
import { poisson, seeded } from "../../bench/simulate/chance.ts";
import { simulate } from "../../bench/simulate/command.ts";
import { Faulty } from "../../bench/simulate/faulty.ts";
import { readScenario } from "../../bench/simulate/scenario.ts";
import { newStore, read, write } from "../../bench/simulate/store.ts";
import { readTables } from "../../bench/simulate/tables.ts";
import stepSpike from "../scenarios/step-spike.json" with { type: "json" };

const CALM = {
  name: "calm",
  minutes: 3,
  seed: 1,
  capacity_rpm: 1_000,
  clients: [{ count: 10, profile: "default", rpm: 10, arrivals: "even" }],
};

function orders(scenario: object, more: object = {}) {
  const given = { named: "scenario.json", text: JSON.stringify(scenario) };
  return { scenario: given, tables: [], isJson: false, wantsChart: false, isKvOnly: false, ...more };
}

function reportOf(scenario: object) {
  return JSON.parse(simulate(orders(scenario, { isJson: true })).printed);
}

describe("the report", () => {
  it("is exactly what the contract says, and plays the same for the same seed", () => {
    const report = reportOf({ ...CALM, expect: { admitted_rpm: [99, 101] } });
    expect(Object.keys(report)).toEqual(["per_minute", "tier_changes", "verdict", "missed"]);
    expect(report.per_minute[2]).toEqual({
      minute: 2,
      offered: 100,
      admitted: 100,
      refused: 0,
      load: 0.1,
      tier: "low",
    });
    expect(report).toMatchObject({ tier_changes: [], verdict: "ok", missed: [] });
    expect(reportOf(stepSpike)).toEqual(reportOf(stepSpike));
  });

  it("plays something else for another seed", () => {
    expect(reportOf({ ...stepSpike, seed: 99 })).not.toEqual(reportOf(stepSpike));
  });

  it("names changes by second, and every request is admitted or refused", () => {
    const report = reportOf({ ...CALM, clients: [{ count: 20, profile: "default", rpm: 300, arrivals: "poisson" }] });
    expect(report.tier_changes[0]).toMatchObject({ from: "low" });
    for (const { offered, admitted, refused } of report.per_minute) expect(admitted + refused).toBe(offered);
  });
});

describe("the verdict", () => {
  it.each<{ name: string; expect: object; missed: string }>([
    { name: "a rate", expect: { admitted_rpm: [0, 50] }, missed: "admitted_rpm: expected 0..50, got 100" },
    { name: "a share", expect: { refused: [0.1, 0.2] }, missed: "refused: expected 0.1..0.2, got 0" },
    { name: "changes", expect: { tier_changes: [1, 2] }, missed: "tier_changes: expected 1..2, got 0" },
    { name: "a tier", expect: { tier: ["high", "critical"] }, missed: "tier: expected high..critical, got low" },
    { name: "the last tier", expect: { final_tier: ["high", "high"] }, missed: "final_tier: expected high, got low" },
    {
      name: "a tightening that never came",
      expect: { seconds_to_tighten: [0, 15] },
      missed: "seconds_to_tighten: expected 0..15, got never",
    },
    {
      name: "a profile",
      expect: { profiles: { default: { offered_rpm: [0, 1] } } },
      missed: "profile default: offered_rpm: expected 0..1, got 100",
    },
    {
      name: "a group",
      expect: { groups: { "0": { offered_rpm: [0, 1] } } },
      missed: "clients.0: offered_rpm: expected 0..1, got 100",
    },
    {
      name: "a stretch",
      expect: { during: [{ from_minute: 1, to_minute: 2, load: [0.5, 1] }] },
      missed: "minute 1 to 2: load: expected 0.5..1, got 0.1",
    },
  ])("is missed by $name, and says so", ({ expect: bands, missed }) => {
    const { printed, isOk } = simulate(orders({ ...CALM, expect: bands }));
    expect(isOk).toBe(false);
    expect(printed).toContain(`verdict: missed\n  ${missed}`);
  });
});

describe("bad input", () => {
  const faulty = (scenario: object) => () => simulate(orders(scenario));

  it.each<{ name: string; scenario: object; says: string }>([
    {
      name: "a missing member",
      scenario: { name: "x" },
      says: "scenario.json: minutes: expected a value, got nothing",
    },
    {
      name: "a member nobody knows",
      scenario: { ...CALM, more: 1 },
      says: "scenario.json: more: expected no such member",
    },
    {
      name: "no time at all",
      scenario: { ...CALM, minutes: 0 },
      says: "scenario.json: minutes: expected a whole number 1..1440, got 0",
    },
    {
      name: "arrivals of another kind",
      scenario: { ...CALM, clients: [{ count: 1, profile: "default", rpm: 1, arrivals: "random" }] },
      says: 'scenario.json: clients.0.arrivals: expected poisson or even, got "random"',
    },
    {
      name: "a profile that is not there",
      scenario: { ...CALM, clients: [{ count: 1, profile: "nope", rpm: 1, arrivals: "even" }] },
      says: 'calm: clients.0.profile: expected a profile of the tables, got "nope"',
    },
    {
      name: "clients that leave before they come",
      scenario: { ...CALM, clients: [{ ...CALM.clients[0], from_minute: 2, to_minute: 1 }] },
      says: "scenario.json: clients.0: expected from_minute below to_minute, got 2, 1",
    },
    {
      name: "a band the wrong way round",
      scenario: { ...CALM, expect: { load: [1, 0] } },
      says: "scenario.json: expect.load: expected a band whose first number is not above its second, got [1,0]",
    },
    {
      name: "a stretch of part minutes",
      scenario: { ...CALM, expect: { during: [{ from_minute: 0.5, to_minute: 2 }] } },
      says: "scenario.json: expect.during.0.from_minute: expected a whole number 0..1440, got 0.5",
    },
    {
      name: "an expectation nobody can judge",
      scenario: { ...CALM, expect: { mood: [1, 2] } },
      says: "scenario.json: expect.mood: expected no such member",
    },
    {
      name: "tables that break a rule",
      scenario: { ...CALM, tables: { tiers: { high: 0.2 } } },
      says: 'scenario.json: tables: tiers.high: expected more than tiers.medium, which is 0.3 (built in), got "0.2"',
    },
    {
      name: "a ceiling of a profile that is not there",
      scenario: { ...CALM, tables: { overload: { shed_above: 0.9, order: ["nope"] } } },
      says: 'scenario.json: tables: overload.order.0: expected a profile of these tables, got "nope"',
    },
  ])("is one line: $name", ({ scenario, says }) => {
    expect(faulty(scenario)).toThrow(new Faulty(says));
    expect(says).not.toContain("\n");
  });

  it("is one line where it is no JSON", () => {
    const given = { named: "scenario.json", text: "{" };
    expect(() => simulate(orders({}, { scenario: given }))).toThrow(/^scenario\.json: expected JSON, got [^\n]+$/);
  });

  it("is one line for proposed tables", () => {
    const table = (text: string) => ({ named: "t.json", text });
    expect(() => simulate(orders(CALM, { tables: [table("nope")] }))).toThrow(/^t\.json: expected JSON/);
    expect(() => simulate(orders(CALM, { tables: [table("[]")] }))).toThrow(/^t\.json: expected an object/);
    expect(() => simulate(orders(CALM, { tables: [table("{}"), table("{}"), table("{}")] }))).toThrow(/two at most/);
  });
});

describe("proposed tables", () => {
  const tight = {
    named: "tight.json",
    text: '{"profiles":{"default":{"limits":{"low":5,"medium":5,"high":5,"critical":5}}}}',
  };

  it("stand beside the present ones, and the verdict is on the proposal", () => {
    const { printed, isOk } = simulate(orders({ ...CALM, expect: { refused: [0, 0] } }, { tables: [tight] }));
    expect(printed).toContain("left: the built-in tables");
    expect(printed).toContain("right: tight.json");
    expect(printed).toContain("verdict: missed");
    expect(isOk).toBe(false);
  });

  it("stand beside each other where there are two", () => {
    const { printed } = simulate(orders(CALM, { tables: [{ named: "as-is.json", text: "{}" }, tight] }));
    expect(printed).toContain("left: as-is.json");
  });

  it("have the scenario's capacity, unless they name one", () => {
    expect(readTables({}, 5_000, "t").capacityRpm).toBe(5_000);
    expect(readTables({ capacity_rpm: 70 }, 5_000, "t").capacityRpm).toBe(70);
  });
});

describe("the chart", () => {
  it("is one well-formed picture with the bands of all tiers", () => {
    const { chart } = simulate(orders({ ...CALM, name: "a < b & c" }, { wantsChart: true }));
    expect(chart).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg".*<\/svg>\n$/s);
    expect(chart).toContain("a &lt; b &amp; c");
    for (const tier of ["low", "medium", "high", "critical"]) expect(chart).toContain(`>${tier}</text>`);
    expect(chart).not.toContain("NaN");
  });
});

describe("arrivals", () => {
  it.each(["even", "poisson"] as const)("come at the rate they are given: %s", (arrivals) => {
    const group = { count: 50, profile: "default", rpm: 30, arrivals, from_minute: 1, to_minute: 3 };
    const arrive = arrivalsOf(group, 4, seeded(1));
    const minutes = [0, 0, 0, 0];
    for (let atMs = 0; atMs < 240_000; atMs += 250)
      arrive(atMs, atMs + 250, () => {
        const minute = Math.floor(atMs / 60_000);
        minutes[minute] = (minutes[minute] ?? 0) + 1;
      });
    const [before = 0, first = 0, second = 0, after = 0] = minutes;
    expect([before, after]).toEqual([0, 0]);
    for (const count of [first, second]) expect(Math.abs(count - 1_500)).toBeLessThan(arrivals === "even" ? 1 : 160);
  });

  it.each([0.5, 5, 500])("have the mean and the variance of Poisson at %d", (mean) => {
    const random = seeded(2);
    const draws = Array.from({ length: 20_000 }, () => poisson(mean, random));
    const average = draws.reduce((a, b) => a + b, 0) / draws.length;
    const variance = draws.reduce((sum, draw) => sum + (draw - average) ** 2, 0) / draws.length;
    expect(Math.abs(average / mean - 1)).toBeLessThan(0.05);
    expect(Math.abs(variance / mean - 1)).toBeLessThan(0.05);
  });
});

describe("the store", () => {
  it("shows a write after its delay, one a second, and nothing while it is down", () => {
    const store = newStore(60_000);
    expect(write(store, "a", "1", 0)).toBe(true);
    expect(write(store, "a", "2", 999)).toBe(false);
    expect(write(store, "a", "3", 1_000)).toBe(true);
    expect([59_999, 60_000, 61_000].map((at) => read(store, "a", at))).toEqual([null, "1", "3"]);
    store.isDown = true;
    expect(read(store, "a", 70_000)).toBeUndefined();
    expect(write(store, "a", "4", 70_000)).toBe(false);
  });
});

describe("readScenario", () => {
  it("fills in what may be left out", () => {
    expect(readScenario(JSON.stringify(CALM), "x")).toMatchObject({ kv_delay_seconds: 60, events: [], expect: {} });
  });
});
