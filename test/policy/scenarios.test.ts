/**
 * Every scenario in `test/scenarios` comes out as it says, and the figures that the load loop promises.
 */
import { describe, expect, it, vi } from "vitest";
import type { Books } from "../../bench/simulate/books.ts";
import { run } from "../../bench/simulate/run.ts";
import { readScenario, type Scenario } from "../../bench/simulate/scenario.ts";
import { readTables } from "../../bench/simulate/tables.ts";
import { missedIn } from "../../bench/simulate/verdict.ts";
import capacityDoubled from "../scenarios/capacity-doubled.json" with { type: "json" };
import clockAhead from "../scenarios/clock-ahead.json" with { type: "json" };
import flood10000 from "../scenarios/flood-10000.json" with { type: "json" };
import floodRefused from "../scenarios/flood-refused.json" with { type: "json" };
import idleHour from "../scenarios/idle-hour.json" with { type: "json" };
import kvDown from "../scenarios/kv-down.json" with { type: "json" };
import kvLate from "../scenarios/kv-late.json" with { type: "json" };
import oneGreedyClient from "../scenarios/one-greedy-client.json" with { type: "json" };
import originSlowFirst from "../scenarios/origin-slow-first.json" with { type: "json" };
import overload from "../scenarios/overload.json" with { type: "json" };
import overloadFair from "../scenarios/overload-fair.json" with { type: "json" };
import sawtooth from "../scenarios/sawtooth.json" with { type: "json" };
import sawtoothNoisy from "../scenarios/sawtooth-noisy.json" with { type: "json" };
import slowRamp from "../scenarios/slow-ramp.json" with { type: "json" };
import steadyNoise from "../scenarios/steady-noise.json" with { type: "json" };
import stepSpike from "../scenarios/step-spike.json" with { type: "json" };
import tightLimits from "../scenarios/tight-limits.json" with { type: "json" };
import twoPublishers from "../scenarios/two-publishers.json" with { type: "json" };

vi.setConfig({ testTimeout: 300_000 });

const ALL = [
  capacityDoubled,
  clockAhead,
  flood10000,
  floodRefused,
  idleHour,
  kvDown,
  kvLate,
  oneGreedyClient,
  originSlowFirst,
  overload,
  overloadFair,
  sawtooth,
  sawtoothNoisy,
  slowRamp,
  steadyNoise,
  stepSpike,
  tightLimits,
  twoPublishers,
];

const played = new Map<string, { scenario: Scenario; books: Books }>();

function play(document: object, play: { isTelling?: boolean } = {}) {
  const scenario = readScenario(JSON.stringify(document), "scenario");
  const key = `${scenario.name} ${play.isTelling ?? true}`;
  const known = played.get(key);
  if (known !== undefined) return known;
  const books = run(scenario, readTables(scenario.tables ?? {}, scenario.capacity_rpm, scenario.name), play);
  const result = { scenario, books };
  played.set(key, result);
  return result;
}

function tightenedAfter({ changes }: Books, minute: number): number {
  return (changes.find(({ second }) => second >= minute * 60)?.second ?? Number.POSITIVE_INFINITY) - minute * 60;
}

describe("every scenario", () => {
  it.each(ALL)("$name comes out as it says", (document) => {
    const { scenario, books } = play(document);
    expect(missedIn(scenario, books)).toEqual([]);
  });

  it("says why it expects what it expects, and is named as its file", () => {
    expect(ALL.every(({ comment }) => comment.length > 80)).toBe(true);
    expect(new Set(ALL.map(({ name }) => name)).size).toBe(ALL.length);
  });
});

describe("a step spike to twice the capacity", () => {
  it("tightens busy isolates within 15 s, and by KV alone within 110 s with KV 60 s late", () => {
    const told = tightenedAfter(play(stepSpike).books, 5);
    const critical = play(stepSpike).books.changes.find(({ to }) => to === "critical")?.second ?? 0;
    const byKv = tightenedAfter(play(stepSpike, { isTelling: false }).books, 5);
    console.log(
      `step spike: first tightened after ${told} s, critical after ${critical - 300} s; by KV alone ${byKv} s`,
    );
    expect(told).toBeLessThanOrEqual(15);
    expect(critical - 300).toBeLessThanOrEqual(15);
    expect(byKv).toBeLessThanOrEqual(110);
  });

  it.each([11, 12, 13, 14, 15])("does so whenever flushes and publications happen to be, seed %d", (seed) => {
    const shape = { ...stepSpike, name: `step-${seed}`, minutes: 8, seed, expect: {} };
    expect(tightenedAfter(play(shape).books, 5)).toBeLessThanOrEqual(15);
    expect(tightenedAfter(play(shape, { isTelling: false }).books, 5)).toBeLessThanOrEqual(110);
  });
});

describe("ten hours of Poisson noise at 0.55", () => {
  it("never trip the steep rise", () => {
    const { steepSeconds, changes } = play(steadyNoise).books;
    // In the first minute traffic begins, which is a rise.
    const trips = steepSeconds.filter((second) => second > 60);
    console.log(`steady noise: ${trips.length} steep trips and ${changes.length} tier changes in 10 h`);
    expect(trips).toEqual([]);
  });
});

describe("a sawtooth of 3 % around a threshold", () => {
  it.each([sawtooth, sawtoothNoisy])("changes the tier at most once in five minutes: $name", (document) => {
    const late = play(document).books.changes.filter(({ second }) => second >= 180);
    const most = late.map(({ second: start }) => late.filter(({ second }) => second >= start && second < start + 300));
    console.log(`${document.name}: ${late.length} tier changes in 27 min`);
    expect(Math.max(0, ...most.map((some) => some.length))).toBeLessThanOrEqual(1);
  });
});

describe("ten thousand addresses under their limits", () => {
  it.each([1, 2, 3])("are held to the ceiling within 10 % half a minute later, seed %d", (seed) => {
    const { minutes } = play({ ...overload, name: `overload-${seed}`, seed }).books;
    const rates = minutes.slice(2, 5).map(({ groups: [crowd, billing] }) => ({
      all: (crowd?.admitted ?? 0) + (billing?.admitted ?? 0),
      crowd: crowd?.admitted ?? 0,
      billingShed: billing?.shed ?? 0,
    }));
    console.log(
      `overload: ${rates.map(({ all }) => all).join(", ")} admitted a minute under a ceiling of 950, of them default ` +
        `${rates.map(({ crowd }) => crowd).join(", ")}; billing shed ${rates.map((rate) => rate.billingShed).join(", ")}`,
    );
    for (const { all, crowd, billingShed } of rates) {
      expect(Math.abs(all / 950 - 1)).toBeLessThanOrEqual(0.1);
      expect(crowd).toBeGreaterThan(0);
      expect(billingShed).toBe(0);
    }
  });
});

describe("a flood that is refused", () => {
  it("leaves the tier, and everybody else, alone", () => {
    const { books } = play(floodRefused);
    const flood = books.minutes.slice(5).reduce((sum, { groups }) => sum + (groups[1]?.offered ?? 0), 0) / 15;
    console.log(
      `flood: ${Math.round(flood)} a minute refused on a capacity of 1000, ${books.changes.length} tier changes`,
    );
    expect(books.changes).toEqual([]);
  });
});
