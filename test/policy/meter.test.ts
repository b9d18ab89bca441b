import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import type { Flush } from "../../src/policy/flush.ts";
import { absorb, newMeter } from "../../src/policy/meter.ts";
import { copyMeter, openMeter } from "../../src/policy/meter-copy.ts";
import { minutesOf, profileRatesOf, ratesOf, responseMsAt } from "../../src/policy/meter-rates.ts";
import { ISOLATES, presentOf } from "../../src/policy/reported.ts";
import { type Ring, valueAt } from "../../src/policy/ring.ts";
import { countAnswer, newTally, OTHER_PROFILES, outcomeAt, ROW_LENGTH, ROWS_MAX } from "../../src/policy/tally.ts";
import { AT_REST, type Counts, flushOf } from "./flushes.ts";

/** Random cases take their time on a machine that does something else as well. */
vi.setConfig({ testTimeout: 120_000 });

/** A moment at which a minute begins. */
const T = Date.UTC(2026, 10, 23, 15, 0, 0);
const S = 1_000;

function told(...flushes: readonly (readonly [at: number, flush: Flush])[]) {
  const meter = newMeter(T);
  const counted = flushes.map(([at, flush]) => absorb(meter, flush, T + at));
  return { meter, counted };
}

/** Each isolate sends so many requests a second, and tells of them every five seconds. */
function steady(seconds: number, perSecond: number, isolates: number, counts: (units: number) => Counts) {
  const meter = newMeter(T);
  for (let at = 1; at <= seconds; at++)
    for (let i = 0; i < isolates; i++) {
      if ((at + i) % 5 !== 0) continue;
      const flush = flushOf(counts(5 * perSecond), { isolate: `i${i}`, number: at, spanMs: 5_000 });
      absorb(meter, flush, T + at * S);
    }
  return meter;
}

describe("absorb", () => {
  it("counts a flush once, however often it comes", () => {
    const flush = flushOf({ admitted: 10 });
    const { meter, counted } = told([0, flush], [1_000, { ...flush, ageMs: 1_000 }], [2_000, flush]);
    expect(counted).toEqual([true, false, false]);
    expect(ratesOf(meter, T + 2_000).admittedPerMinute).toBe(10);
    expect(meter.totals.get("default")?.[outcomeAt("low", "admitted")]).toBe(10);
  });

  it("drops a straggler, and counts the same number of another isolate", () => {
    const { counted } = told(
      [0, flushOf({ admitted: 1 }, { number: 2 })],
      [1, flushOf({ admitted: 1 }, { number: 1 })],
      [2, flushOf({ admitted: 1 }, { number: 2, isolate: "b" })],
    );
    expect(counted).toEqual([true, false, true]);
  });

  it.each<{ name: string; counts: Counts; offered: number; admitted: number }>([
    { name: "admitted", counts: { admitted: 5 }, offered: 5, admitted: 5 },
    { name: "failed", counts: { failed: 5 }, offered: 5, admitted: 5 },
    { name: "shadow_refused", counts: { shadow_refused: 5 }, offered: 5, admitted: 5 },
    { name: "cached", counts: { cached: 5 }, offered: 5, admitted: 0 },
    { name: "refused", counts: { refused: 5 }, offered: 5, admitted: 0 },
    { name: "shed", counts: { shed: 5 }, offered: 5, admitted: 0 },
    { name: "exempt", counts: { exempt: 5 }, offered: 0, admitted: 0 },
  ])("counts $name as the contract says", ({ counts, offered, admitted }) => {
    const { meter } = told([0, flushOf(counts)]);
    expect(ratesOf(meter, T)).toMatchObject({ offeredPerMinute: offered, admittedPerMinute: admitted });
  });

  it.each<{ name: string; flush: Flush }>([
    { name: "a number that is none", flush: flushOf({ admitted: 1 }, { rows: [["default", [Number.NaN]]] }) },
    { name: "a negative count", flush: flushOf({ admitted: 1 }, { rows: [["default", [-1]]] }) },
    { name: "an endless span", flush: flushOf({ admitted: 1 }, { spanMs: Number.POSITIVE_INFINITY }) },
    { name: "no isolate", flush: flushOf({ admitted: 1 }, { isolate: "" }) },
    { name: "half a number", flush: flushOf({ admitted: 1 }, { number: 1.5 }) },
    {
      name: "more rows than there can be",
      flush: flushOf({}, { rows: Array.from({ length: 400 }, (_, i) => [`p${i}`, [1]] as const) }),
    },
  ])("counts nothing of a flush with $name", ({ flush }) => {
    const { meter, counted } = told([0, flush]);
    expect(counted).toEqual([false]);
    expect([...meter.totals]).toEqual([]);
  });

  it("takes a row that is shorter, and leaves out columns that it does not know", () => {
    const { meter } = told(
      [0, flushOf({}, { rows: [["default", [3]]] })],
      [1, flushOf({}, { number: 2, rows: [["default", new Array(ROW_LENGTH + 5).fill(1)]] })],
    );
    expect(meter.totals.get("default")?.length).toBe(ROW_LENGTH);
    expect(meter.totals.get("default")?.[0]).toBe(4);
  });

  it("dates a flush back over the time it covers", () => {
    const { meter } = told([10 * S, flushOf({ admitted: 100 }, { spanMs: 5_000 })]);
    const bySecond = Array.from({ length: 12 }, (_, at) => valueAt(meter.seconds, 1, T / S + at));
    expect(bySecond).toEqual([0, 0, 0, 0, 0, 20, 20, 20, 20, 20, 0, 0]);
  });

  it("dates a repeat to where it belongs", () => {
    const { meter } = told([70 * S, flushOf({ admitted: 100 }, { spanMs: 5_000, ageMs: 65_000 })]);
    expect(valueAt(meter.seconds, 1, T / S)).toBe(20);
    expect(ratesOf(meter, T + 70 * S).admittedPerMinute).toBe(0);
    expect(meter.totals.get("default")?.[0]).toBe(100);
  });

  it("loses nothing of a flush that was away for a minute, and makes no peak of it", () => {
    const { meter } = told([60 * S, flushOf({ admitted: 600 }, { spanMs: 60_000 })]);
    const bySecond = Array.from({ length: 60 }, (_, at) => valueAt(meter.seconds, 1, T / S + at));
    expect(bySecond.every((units) => units === 10)).toBe(true);
  });

  it("deals out every unit, whatever the stretch", () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 300 }),
        fc.nat({ max: 120_000 }),
        fc.nat({ max: 120_000 }),
        fc.nat({ max: 999 }),
        (units, spanMs, ageMs, offset) => {
          const meter = newMeter(T);
          const nowMs = T + 300_000 + offset;
          absorb(meter, flushOf({ admitted: units }, { spanMs, ageMs }), nowMs);
          let dealt = 0;
          for (let second = T / S; second <= nowMs / S; second++) dealt += valueAt(meter.seconds, 1, second);
          expect(dealt).toBe(units);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("goes on after a clock that ran an hour ahead has come back", () => {
    const { meter } = told([3_600_000, flushOf({ admitted: 10 })]);
    absorb(meter, flushOf({ admitted: 7 }, { number: 2 }), T + 1_000);
    expect(ratesOf(meter, T + 1_000).admittedPerMinute).toBe(7);
  });

  it("forgets an old flush's seconds, never its totals", () => {
    const { meter } = told([0, flushOf({ admitted: 10 }, { ageMs: 3_600_000 })]);
    expect(ratesOf(meter, T).admittedPerMinute).toBe(0);
    expect(meter.totals.get("default")?.[0]).toBe(10);
  });
});

describe("the rates of a meter", () => {
  it.each([1, 3, 20])("are exact for steady traffic through %d isolates, at every moment", (isolates) => {
    const meter = steady(120, 10, isolates, (units) => ({ admitted: units, refused: units }));
    for (let ms = 0; ms < 1_000; ms += 250) {
      const { admittedPerMinute, offeredPerMinute } = ratesOf(meter, T + 120_000 + ms);
      expect(admittedPerMinute).toBe(isolates * 600);
      expect(offeredPerMinute).toBe(isolates * 1_200);
    }
  });

  it("rise as soon as they are told", () => {
    const { meter } = told([5 * S, flushOf({ admitted: 50 }, { spanMs: 5_000 })]);
    expect(ratesOf(meter, T + 5 * S).admittedPerMinute).toBe(50);
  });

  it("are zero a minute and what is late after the last request", () => {
    const meter = steady(60, 10, 1, (units) => ({ admitted: units }));
    expect(ratesOf(meter, T + 125 * S).admittedPerMinute).toBe(0);
    expect(profileRatesOf(meter, 60, T + 126 * S)).toEqual([]);
  });

  it("tell profiles apart, over the stretch that is asked for", () => {
    const { meter } = told(
      [9_900, flushOf({ admitted: 100, refused: 50, cached: 20, shed: 10 }, { spanMs: 9_900 })],
      [9_900, flushOf({ admitted: 6 }, { isolate: "b", profile: "billing", spanMs: 9_900 })],
    );
    expect(profileRatesOf(meter, 10, T + 9_900)).toEqual([
      { profile: "default", offered: 1_080, load: 600, cached: 120, refused: 300, shed: 60, withheld: 0 },
      { profile: "billing", offered: 36, load: 36, cached: 0, refused: 0, shed: 0, withheld: 0 },
    ]);
  });

  it("give the share of errors and the mean time", () => {
    const tally = newTally();
    for (const [status, ms] of [
      [200, 100],
      [200, 200],
      [503, 300],
    ] as const)
      countAnswer(tally, "default", status, ms, 0);
    const { meter } = told([0, flushOf({}, { rows: [...tally.rows] })], [1, flushOf({ failed: 1 }, { number: 2 })]);
    expect(ratesOf(meter, T + 1)).toMatchObject({ errorRate: 0.5, avgResponseMs: 200 });
  });

  it("give percentiles, evenly spread within a bucket", () => {
    const tally = newTally();
    for (let i = 0; i < 90; i++) countAnswer(tally, "default", 200, 80, 0);
    for (let i = 0; i < 10; i++) countAnswer(tally, "default", 200, 700, 0);
    const { meter } = told([0, flushOf({}, { rows: [...tally.rows] })]);
    expect(responseMsAt(meter, 0.45, 60, T)).toBe(75);
    expect(responseMsAt(meter, 0.95, 60, T)).toBe(750);
    expect(responseMsAt(meter, 0.95, 60, T + 120 * S)).toBeNull();
  });

  it("give an hour of minutes, the present one left out", () => {
    const meter = steady(180, 10, 1, (units) => ({ admitted: units, refused: units }));
    expect(minutesOf(meter, T + 180 * S)).toEqual(
      [0, 1, 2].map((minute) => ({ startMs: T + minute * 60_000, offered: 1_200, admitted: 600 })),
    );
    expect(minutesOf(meter, T + 2 * 3_600_000).length).toBe(59);
  });
});

describe("presentOf", () => {
  it("adds up what isolates told last, and leaves out who is silent", () => {
    const { meter } = told(
      [0, flushOf({}, { inFlight: 5, isCircuitOpen: true })],
      [5_000, flushOf({}, { inFlight: 3, number: 2 })],
      [0, flushOf({}, { inFlight: 4, isolate: "b", isCircuitOpen: true })],
    );
    expect(presentOf(meter.isolates, T + 5_000)).toEqual({ inFlight: 7, openCircuits: 1 });
    expect(presentOf(meter.isolates, T + 18_000)).toEqual({ inFlight: 3, openCircuits: 0 });
  });
});

describe("a copy of the meter", () => {
  it("goes on with rates, totals and who has reported", () => {
    const meter = steady(100, 10, 3, (units) => ({ admitted: units, refused: units }));
    meter.events[0] = 42;
    const nowMs = T + 100 * S;
    const again = openMeter(structuredClone(copyMeter(meter, nowMs)), nowMs);
    expect(ratesOf(again, nowMs)).toEqual(ratesOf(meter, nowMs));
    expect(profileRatesOf(again, 60, nowMs)).toEqual(profileRatesOf(meter, 60, nowMs));
    expect(minutesOf(again, nowMs)).toEqual(minutesOf(meter, nowMs));
    expect(again.totals).toEqual(meter.totals);
    expect(again.events).toEqual(meter.events);
    expect(again.startedMs).toBe(T);
    const repeat = flushOf({ admitted: 50 }, { isolate: "i0", number: 100, spanMs: 5_000 });
    expect(absorb(again, repeat, nowMs + 1_000)).toBe(false);
  });

  it("survives JSON as well", () => {
    const meter = steady(20, 10, 2, (units) => ({ admitted: units }));
    const copy = copyMeter(meter, T + 20 * S);
    expect(JSON.parse(JSON.stringify(copy))).toEqual(copy);
  });

  it("is not changed by what comes after it", () => {
    const { meter } = told([0, flushOf({ admitted: 10 })]);
    const copy = copyMeter(meter, T);
    absorb(meter, flushOf({ admitted: 10 }, { number: 2 }), T);
    expect(copy.totals[0]?.[1][0]).toBe(10);
  });

  it("counts a flush in totals and among the reported, or in neither", () => {
    const { meter } = told([0, flushOf({ admitted: 10 })]);
    const before = copyMeter(meter, T);
    const next = flushOf({ admitted: 5 }, { number: 2 });
    absorb(meter, next, T + 1_000);
    // The machine dies, its answer may or may not have arrived: the isolate repeats.
    const again = openMeter(before, T + 2_000);
    expect(absorb(again, { ...next, ageMs: 5_000 }, T + 6_000)).toBe(true);
    expect(again.totals.get("default")?.[0]).toBe(15);
  });

  it("makes a fresh meter where there is none", () => {
    expect(openMeter(null, T)).toEqual(newMeter(T));
  });
});

describe("the bounds of the meter", () => {
  it("add up profiles beyond the last in one row", () => {
    const meter = newMeter(T);
    for (let i = 0; i < 300; i++) absorb(meter, flushOf({ admitted: 1 }, { number: i + 1, profile: `p${i}` }), T);
    expect(meter.totals.size).toBe(ROWS_MAX + 1);
    expect(meter.profiles.size).toBe(ROWS_MAX + 1);
    expect(meter.totals.get(OTHER_PROFILES)?.[0]).toBe(300 - ROWS_MAX);
    expect(ratesOf(meter, T).admittedPerMinute).toBe(300);
  });

  it("hold at 2,000 flushes a second from 10,000 isolates, at a cost that is stated", () => {
    const meter = newMeter(T);
    const templates = ["default", "ai-chat", "workflows", "billing", "health"].map(
      (profile) => flushOf({ admitted: 8, refused: 2 }, { profile }).rows[0] ?? ([profile, []] as const),
    );
    const flushes = 60_000;
    const heapBefore = measuredHeap();
    const startMs = performance.now();
    for (let i = 0; i < flushes; i++) {
      const isolate = `00000000-0000-4000-8000-${String(i % 10_000).padStart(12, "0")}`;
      const flush = { ...flushOf({}), isolate, number: Math.floor(i / 10_000) + 1, spanMs: 5_000, rows: templates };
      absorb(meter, flush, T + Math.floor(i / 2));
    }
    const perFlushUs = ((performance.now() - startMs) * 1_000) / flushes;
    const heapMb = (measuredHeap() - heapBefore) / 1_048_576;
    console.log(
      `meter: ${perFlushUs.toFixed(1)} us a flush of 5 profiles, ${((2_000 * perFlushUs) / 10_000).toFixed(1)} % of a ` +
        `processor at 2,000 a second; ${meter.isolates.young.size} isolates, heap ${heapMb.toFixed(1)} MB; ` +
        `copy ${(JSON.stringify(copyMeter(meter, T + flushes / 2)).length / 1024).toFixed(0)} KB`,
    );
    expect(meter.isolates.young.size + meter.isolates.old.size).toBeLessThanOrEqual(2 * ISOLATES);
    expect(slotsOf(meter.seconds)).toBe(900);
    expect(slotsOf(meter.minutes)).toBe(60);
    expect([...meter.profiles.values()].every((ring) => slotsOf(ring) === 120)).toBe(true);
    expect(ratesOf(meter, T + flushes / 2).admittedPerMinute).toBe(flushes * 40);
    // Half a processor, on a machine that does something else as well.
    expect(perFlushUs).toBeLessThan(250);
  });

  it("remember isolates in two generations, whoever calls", () => {
    const meter = newMeter(T);
    for (let i = 0; i < 3 * ISOLATES; i++) absorb(meter, { ...EMPTY, isolate: `i${i}` }, T + Math.floor(i / 1_000) * S);
    expect(meter.isolates.young.size + meter.isolates.old.size).toBeLessThanOrEqual(2 * ISOLATES);
    expect(absorb(meter, { ...EMPTY, isolate: `i${3 * ISOLATES - 1}` }, T + 60_000)).toBe(false);
    expect(absorb(meter, { ...EMPTY, isolate: `i${2 * ISOLATES - 1}` }, T + 60_000)).toBe(false);
  });

  it("keep the copy under a storage row's 2 MB, with every profile and more isolates than it takes", () => {
    const meter = newMeter(T);
    const name = (i: number) => `00000000-0000-4000-8000-${String(i).padStart(12, "0")}`;
    for (let i = 0; i < 12_000; i++) absorb(meter, { ...EMPTY, isolate: name(i) }, T + 60 * S);
    for (let second = 0; second < 120; second++)
      for (let profile = 0; profile < 64; profile++)
        absorb(
          meter,
          flushOf(
            { admitted: 1, refused: 1 },
            { isolate: `p${profile}`, number: second + 1, profile: `profile-${profile}` },
          ),
          T + second * S,
        );
    const bytes = JSON.stringify(copyMeter(meter, T + 120 * S)).length;
    expect(bytes).toBeLessThan(2_000_000);
  });
});

const EMPTY: Flush = { isolate: "a", number: 1, spanMs: 0, ageMs: 0, rows: [], events: [], ...AT_REST };

function slotsOf({ stamps, values, width }: Ring): number {
  expect(values.length).toBe(stamps.length * width);
  return stamps.length;
}

/** Node's own; the types of tests are those of the Workers runtime. */
function measuredHeap(): number {
  const { process } = globalThis as unknown as {
    process: { memoryUsage: () => { heapUsed: number; arrayBuffers: number } };
  };
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
