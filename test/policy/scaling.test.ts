import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  neededInstances,
  peakRpsOf,
  type Readings,
  recommendInstances,
  SCALING,
  TRIGGER_NAMES,
  TRIGGERS,
  type TriggerName,
  type TriggerReport,
  UNWATCHED,
  watchTriggers,
} from "../../src/policy/scaling.ts";

const T = 1_764_000_000_000;
const SECOND = 1_000;
const MINUTE = 60_000;
const UNKNOWN: Readings = { response_time_p95_ms: null, queue_pending: null, cpu_percent: null, memory_percent: null };

/** A stretch of equal readings: so many minutes, one every `everyMs`. */
interface Stretch {
  readonly minutes: number;
  readonly reading: number | null;
  readonly everyMs?: number;
}

/** What one trigger said after each reading of a story, which begins at `T`. */
function tell(name: TriggerName, stretches: readonly Stretch[]): readonly (TriggerReport & { atMs: number })[] {
  let states = UNWATCHED;
  let atMs = 0;
  const told: (TriggerReport & { atMs: number })[] = [];
  for (const { minutes, reading, everyMs = 10 * SECOND } of stretches) {
    for (const endMs = atMs + minutes * MINUTE; atMs < endMs; atMs += everyMs) {
      const watched = watchTriggers(states, { ...UNKNOWN, [name]: reading }, T + atMs);
      states = watched.states;
      const report = watched.reports.find((found) => found.name === name);
      if (report !== undefined) told.push({ ...report, atMs });
    }
  }
  return told;
}

function lastOf<V>(values: readonly V[]): V {
  const last = values.at(-1);
  if (last === undefined) throw new RangeError("values: expected at least one");
  return last;
}

function verdicts(name: TriggerName, stretches: readonly Stretch[]): ReadonlySet<string> {
  return new Set(tell(name, stretches).map(({ verdict }) => verdict));
}

/** Minutes from the start until a trigger first says `verdict`; null: never. */
function firstMinute(name: TriggerName, stretches: readonly Stretch[], verdict: string): number | null {
  const found = tell(name, stretches).find((report) => report.verdict === verdict);
  return found === undefined ? null : found.atMs / MINUTE;
}

describe("recommendInstances", () => {
  it.each([
    { name: "asks for the minimum when nothing comes", peakRps: 0, instances: 2 },
    { name: "asks for the minimum below one instance", peakRps: 1, instances: 2 },
    { name: "still finds two enough at exactly one instance's share", peakRps: 75, instances: 2 },
    { name: "asks for a third just above it", peakRps: 75.1, instances: 3 },
    { name: "turns 500 a second into 8", peakRps: 500, instances: 8 },
    { name: "reaches the maximum with room to spare", peakRps: 675, instances: 10 },
    { name: "never passes the maximum", peakRps: 1e9, instances: 10 },
  ])("$name", ({ peakRps, instances }) => {
    expect(recommendInstances(peakRps)).toBe(instances);
  });

  it.each([Number.NaN, -1, Number.POSITIVE_INFINITY])("refuses a peak of %s", (peakRps) => {
    expect(() => recommendInstances(peakRps)).toThrow(RangeError);
  });

  it("follows rules other than the built-in ones", () => {
    expect(recommendInstances(500, { minInstances: 1, maxInstances: 100, rpsPerInstance: 10 })).toBe(51);
    expect(recommendInstances(0, { minInstances: 1, maxInstances: 100, rpsPerInstance: 10 })).toBe(1);
  });

  it("always leaves an instance to spare, and never two", () => {
    const whole = fc.integer({ min: 0, max: 60_000_000 });
    fc.assert(
      fc.property(whole, fc.integer({ min: 1, max: 100_000 }), (offeredPerMinute, rpsPerInstance) => {
        const perMinute = rpsPerInstance * 60;
        const spare = neededInstances(offeredPerMinute / 60, rpsPerInstance) - 1;
        expect(spare * perMinute).toBeGreaterThanOrEqual(offeredPerMinute);
        if (spare > 0) expect((spare - 1) * perMinute).toBeLessThan(offeredPerMinute);
      }),
      { numRuns: 5000 },
    );
  });

  it("never asks for fewer when more is offered", () => {
    const rps = fc.double({ min: 0, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(rps, rps, (one, other) => {
        const [less, more] = one < other ? [one, other] : [other, one];
        expect(recommendInstances(less)).toBeLessThanOrEqual(recommendInstances(more));
        expect(recommendInstances(more)).toBeGreaterThanOrEqual(SCALING.minInstances);
        expect(recommendInstances(more)).toBeLessThanOrEqual(SCALING.maxInstances);
      }),
    );
  });
});

describe("peakRpsOf", () => {
  it("takes the busiest minute", () => {
    expect(peakRpsOf([60, 30_000, 600])).toBe(500);
  });
  it("is 0 while no minute is over", () => {
    expect(peakRpsOf([])).toBe(0);
  });
});

describe("watchTriggers", () => {
  it.each<{ name: TriggerName; up: number; down: number; downMinutes: number }>([
    { name: "response_time_p95_ms", up: 500, down: 100, downMinutes: 5 },
    { name: "queue_pending", up: 100, down: 10, downMinutes: 5 },
    { name: "cpu_percent", up: 70, down: 30, downMinutes: 10 },
    { name: "memory_percent", up: 80, down: 40, downMinutes: 5 },
  ])("goes by the thresholds of $name, which themselves are neither", ({ name, up, down, downMinutes }) => {
    expect(firstMinute(name, [{ minutes: 20, reading: up + 1 }], "up")).toBe(5);
    expect(firstMinute(name, [{ minutes: 20, reading: down - 1 }], "down")).toBe(downMinutes);
    expect(verdicts(name, [{ minutes: 20, reading: up }])).toEqual(new Set(["hold"]));
    expect(verdicts(name, [{ minutes: 20, reading: down }])).toEqual(new Set(["hold"]));
  });

  it.each<{ name: string; stretches: readonly Stretch[]; expected: Partial<TriggerReport> }>([
    {
      name: "says how long it has held, and holds until it is long enough",
      stretches: [{ minutes: 4, reading: 90 }],
      expected: { verdict: "hold", value: 90, threshold: 70, heldMs: 4 * MINUTE - 10 * SECOND, forMs: 5 * MINUTE },
    },
    {
      name: "goes on saying up for as long as it lasts",
      stretches: [{ minutes: 60, reading: 90 }],
      expected: { verdict: "up", heldMs: 60 * MINUTE - 10 * SECOND },
    },
    {
      name: "names the lower threshold while it is below that",
      stretches: [{ minutes: 12, reading: 20 }],
      expected: { verdict: "down", threshold: 30, forMs: 10 * MINUTE },
    },
    {
      name: "has held nothing between both thresholds",
      stretches: [{ minutes: 12, reading: 50 }],
      expected: { verdict: "hold", threshold: 70, heldMs: 0 },
    },
    {
      name: "has held nothing at the upper threshold itself",
      stretches: [{ minutes: 12, reading: 70 }],
      expected: { verdict: "hold", value: 70, heldMs: 0 },
    },
    {
      name: "has held nothing at the lower threshold itself",
      stretches: [{ minutes: 12, reading: 30 }],
      expected: { verdict: "hold", value: 30, threshold: 70, heldMs: 0 },
    },
    {
      name: "does not go down while the latest reading is high",
      stretches: [
        { minutes: 14, reading: 5 },
        { minutes: 0.5, reading: 60 },
      ],
      expected: { verdict: "hold", latest: 60, threshold: 30 },
    },
    {
      name: "is unknown when nobody knows the value",
      stretches: [{ minutes: 12, reading: null }],
      expected: { verdict: "unknown", value: null, latest: null, heldMs: 0 },
    },
    {
      name: "forgets what had held when the value becomes unknown",
      stretches: [
        { minutes: 12, reading: 90 },
        { minutes: 0.1, reading: null },
        { minutes: 4, reading: 90 },
      ],
      expected: { verdict: "hold", heldMs: 4 * MINUTE - 10 * SECOND },
    },
    {
      name: "is not held up by a dip",
      stretches: [
        { minutes: 12, reading: 90 },
        { minutes: 0.5, reading: 10 },
        { minutes: 0.5, reading: 90 },
      ],
      expected: { verdict: "up" },
    },
    {
      name: "does not go up while the latest reading is low",
      stretches: [
        { minutes: 12, reading: 90 },
        { minutes: 0.5, reading: 60 },
      ],
      expected: { verdict: "hold", latest: 60, threshold: 70 },
    },
    {
      name: "counts a stretch once, however often it was read",
      stretches: [
        { minutes: 5, reading: 60, everyMs: 30 * SECOND },
        { minutes: 0.5, reading: 100, everyMs: 10 },
      ],
      expected: { verdict: "hold", value: (10 * 60 + 100) / 11 },
    },
    {
      name: "keeps what has held between readings that are a minute apart",
      stretches: [{ minutes: 7, reading: 90, everyMs: MINUTE }],
      expected: { verdict: "up" },
    },
    {
      name: "starts anew after a longer silence",
      stretches: [{ minutes: 60, reading: 90, everyMs: 151 * SECOND }],
      expected: { verdict: "hold", heldMs: 0 },
    },
  ])("$name", ({ stretches, expected }) => {
    expect(lastOf(tell("cpu_percent", stretches))).toMatchObject(expected);
  });

  it("believes a step within ten minutes", () => {
    const step: readonly Stretch[] = [
      { minutes: 30, reading: 50 },
      { minutes: 20, reading: 600 },
    ];
    const minute = firstMinute("response_time_p95_ms", step, "up");
    expect(minute).toBeGreaterThan(30 + 5);
    expect(minute).toBeLessThanOrEqual(30 + 10);
  });

  it("restarts what has held when the clock steps back", () => {
    let states = UNWATCHED;
    for (let atMs = 0; atMs <= 10 * MINUTE; atMs += 10 * SECOND)
      states = watchTriggers(states, { ...UNKNOWN, cpu_percent: 90 }, T + atMs).states;
    const { reports } = watchTriggers(states, { ...UNKNOWN, cpu_percent: 90 }, T - MINUTE);
    expect(reports.find(({ name }) => name === "cpu_percent")).toMatchObject({ verdict: "hold", heldMs: 0, value: 90 });
  });

  it("judges each trigger by itself", () => {
    const readings: Readings = {
      response_time_p95_ms: 900,
      queue_pending: 0,
      cpu_percent: null,
      memory_percent: 50,
    };
    let states = UNWATCHED;
    let reports: readonly TriggerReport[] = [];
    for (let atMs = 0; atMs <= 5 * MINUTE; atMs += 10 * SECOND)
      ({ states, reports } = watchTriggers(states, readings, T + atMs));
    expect(reports.map(({ name, verdict }) => [name, verdict])).toEqual([
      ["response_time_p95_ms", "up"],
      ["queue_pending", "down"],
      ["cpu_percent", "unknown"],
      ["memory_percent", "hold"],
    ]);
  });

  it.each([Number.NaN, -1, Number.POSITIVE_INFINITY])("refuses a reading of %s", (reading) => {
    expect(() => watchTriggers(UNWATCHED, { ...UNKNOWN, queue_pending: reading }, T)).toThrow(RangeError);
  });

  it.each([
    { name: "spike", calm: { min: 100, max: 500 }, off: { min: 500, max: 1e12 } },
    { name: "dip", calm: { min: 100, max: 500 }, off: { min: 0, max: 100 } },
  ])("never scales for a single $name shorter than five minutes, wherever it begins", ({ calm, off }) => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 20 * MINUTE }),
        fc.integer({ min: 1, max: 5 * MINUTE - 1 }),
        fc.double({ ...off, noNaN: true }),
        fc.array(fc.tuple(fc.integer({ min: 1, max: MINUTE }), fc.integer(calm)), { minLength: 60, maxLength: 120 }),
        (startMs, lengthMs, height, steps) => {
          let states = UNWATCHED;
          let atMs = 0;
          for (const [waitMs, calmReading] of steps) {
            const reading = atMs >= startMs && atMs < startMs + lengthMs ? height : calmReading;
            const watched = watchTriggers(states, { ...UNKNOWN, response_time_p95_ms: reading }, T + atMs);
            states = watched.states;
            expect(watched.reports[0]?.verdict).toBe("hold");
            atMs += waitMs;
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it("never says up and down of one value, nor anything that its own figures do not say", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...TRIGGER_NAMES),
        fc.array(
          fc.tuple(fc.integer({ min: -MINUTE, max: 3 * MINUTE }), fc.option(fc.integer({ min: 0, max: 1000 }))),
          { maxLength: 100 },
        ),
        (name, steps) => {
          let states = UNWATCHED;
          let atMs = 0;
          for (const [waitMs, reading] of steps) {
            const watched = watchTriggers(states, { ...UNKNOWN, [name]: reading }, T + atMs);
            states = watched.states;
            const report = watched.reports.find((found) => found.name === name);
            if (report === undefined) throw new RangeError(`no report of ${name}`);
            expect(report.heldMs).toBeGreaterThanOrEqual(0);
            expect(states[name].slots.length).toBeLessThanOrEqual(11);
            if (report.verdict === "up") {
              expect(report.value).toBeGreaterThan(TRIGGERS[name].up.threshold);
              expect(report.heldMs).toBeGreaterThanOrEqual(TRIGGERS[name].up.forMs);
            }
            if (report.verdict === "down") {
              expect(report.value).toBeLessThan(TRIGGERS[name].down.threshold);
              expect(report.heldMs).toBeGreaterThanOrEqual(TRIGGERS[name].down.forMs);
            }
            expect(report.verdict === "unknown").toBe(reading === null);
            atMs += waitMs;
          }
        },
      ),
    );
  });
});
