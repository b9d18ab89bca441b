import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import {
  deriveLoad,
  estimateLoadFromRequests,
  type Pin,
  type Published,
  type Signal,
  type UnusableSignal,
} from "../../src/policy/load.ts";

/** Random cases take their time on a machine that does something else as well. */
vi.setConfig({ testTimeout: 60_000 });

const NOW = 1_764_000_000_000;
const RULES = { capacityRpm: 1_000, maxAgeMs: 180_000 };
const GARBAGE: UnusableSignal = { source: "external", unusable: "expected JSON" };

function signal(requestsPerMinute: number, ageMs: number | null = 0, more: Partial<Signal> = {}): Signal {
  const publishedAtMs = ageMs === null ? null : NOW - ageMs;
  return { source: "external", requestsPerMinute, capacity: null, publishedAtMs, ...more };
}

describe("estimateLoadFromRequests", () => {
  it.each([
    { rate: 0, capacity: 1_000, load: 0 },
    { rate: 450, capacity: 1_000, load: 0.45 },
    { rate: 1_000, capacity: 1_000, load: 1 },
    { rate: 1_001, capacity: 1_000, load: 1 },
    { rate: Number.MAX_VALUE, capacity: Number.MIN_VALUE, load: 1 },
    { rate: 30, capacity: 60, load: 0.5 },
    { rate: 0.5, capacity: 1, load: 0.5 },
  ])("reads $rate of $capacity as $load", ({ rate, capacity, load }) => {
    expect(estimateLoadFromRequests(rate, capacity)).toBe(load);
  });

  it("takes 1,000 a minute for the capacity where none is named", () => {
    expect(estimateLoadFromRequests(450)).toBe(0.45);
  });

  it.each([-1, -Number.MIN_VALUE, Number.NaN, Number.POSITIVE_INFINITY])("throws on a rate of %s", (rate) => {
    expect(() => estimateLoadFromRequests(rate)).toThrow(RangeError);
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])("throws on a capacity of %s", (capacity) => {
    expect(() => estimateLoadFromRequests(1, capacity)).toThrow(RangeError);
  });
});

describe("deriveLoad", () => {
  const measured = (load: number, ageMs: number | null, source = "external") => ({
    kind: "measured",
    load,
    source,
    ageMs,
  });

  it.each<{ name: string; signals: Published["signals"]; expected: unknown }>([
    { name: "is unpublished where nothing is", signals: [], expected: { kind: "unpublished" } },
    { name: "uses a signal of this moment", signals: [signal(450)], expected: measured(0.45, 0) },
    { name: "uses a signal of the greatest age", signals: [signal(450, 180_000)], expected: measured(0.45, 180_000) },
    { name: "is stale 1 ms later", signals: [signal(450, 180_001)], expected: { kind: "stale" } },
    { name: "never ages a signal without a moment", signals: [signal(450, null)], expected: measured(0.45, null) },
    { name: "reads a moment 60 s ahead as now", signals: [signal(450, -60_000)], expected: measured(0.45, 0) },
    { name: "is stale for a moment further ahead", signals: [signal(450, -60_001)], expected: { kind: "stale" } },
    { name: "is stale where all that stands there is garbage", signals: [GARBAGE], expected: { kind: "stale" } },
    { name: "is measured at load 0, not unpublished", signals: [signal(0)], expected: measured(0, 0) },
    { name: "caps load at 1", signals: [signal(5_000)], expected: measured(1, 0) },
    {
      name: "divides by the signal's own capacity",
      signals: [signal(450, 0, { capacity: 500 })],
      expected: measured(0.9, 0),
    },
    {
      name: "takes the higher of two, the first",
      signals: [signal(700, 5), signal(300, 0, { source: "edge" })],
      expected: measured(0.7, 5),
    },
    {
      name: "takes the higher of two, the second",
      signals: [signal(300, 0), signal(700, 5, { source: "edge" })],
      expected: measured(0.7, 5, "edge"),
    },
    {
      name: "takes the higher load, not the higher rate",
      signals: [signal(700, 0), signal(300, 5, { source: "edge", capacity: 300 })],
      expected: measured(1, 5, "edge"),
    },
    {
      name: "takes the fresh one where the higher is stale",
      signals: [signal(900, 200_000), signal(300, 5, { source: "edge" })],
      expected: measured(0.3, 5, "edge"),
    },
    {
      name: "takes the fresh one beside garbage",
      signals: [GARBAGE, signal(300, 5, { source: "edge" })],
      expected: measured(0.3, 5, "edge"),
    },
    {
      name: "is stale where one is stale and one is garbage",
      signals: [GARBAGE, signal(300, 200_000, { source: "edge" })],
      expected: { kind: "stale" },
    },
    {
      name: "takes the one without a moment where the other is stale",
      signals: [signal(900, 200_000), signal(0, null, { source: "edge" })],
      expected: measured(0, null, "edge"),
    },
  ])("$name", ({ signals, expected }) => {
    expect(deriveLoad({ signals, pin: null }, RULES, NOW)).toEqual(expected);
  });

  it.each<{ name: string; signals: Published["signals"]; pin: Pin; expected: unknown }>([
    {
      name: "lets a pin win over a higher load",
      signals: [signal(1_000)],
      pin: { load: 0.1, untilMs: null },
      expected: { kind: "pinned", load: 0.1, untilMs: null },
    },
    {
      name: "lets a pin win over a lower load",
      signals: [signal(0)],
      pin: { load: 0.9, untilMs: null },
      expected: { kind: "pinned", load: 0.9, untilMs: null },
    },
    {
      name: "lets a pin win over nothing",
      signals: [],
      pin: { load: 0.9, untilMs: NOW + 1 },
      expected: { kind: "pinned", load: 0.9, untilMs: NOW + 1 },
    },
    {
      name: "lets a pin win over garbage",
      signals: [GARBAGE],
      pin: { load: 0, untilMs: null },
      expected: { kind: "pinned", load: 0, untilMs: null },
    },
    {
      name: "goes by the signals from the moment the pin ends",
      signals: [signal(300)],
      pin: { load: 0.9, untilMs: NOW },
      expected: measured(0.3, 0),
    },
    {
      name: "is unpublished when a pin has ended over nothing",
      signals: [],
      pin: { load: 0.9, untilMs: NOW - 1 },
      expected: { kind: "unpublished" },
    },
    {
      name: "is stale when a pin has ended over garbage",
      signals: [GARBAGE],
      pin: { load: 0.9, untilMs: 0 },
      expected: { kind: "stale" },
    },
  ])("$name", ({ signals, pin, expected }) => {
    expect(deriveLoad({ signals, pin }, RULES, NOW)).toEqual(expected);
  });

  it("follows the rules it is given", () => {
    const published = { signals: [signal(450, 10_000)], pin: null };
    expect(deriveLoad(published, { capacityRpm: 900, maxAgeMs: 10_000 }, NOW)).toEqual(measured(0.5, 10_000));
    expect(deriveLoad(published, { capacityRpm: 900, maxAgeMs: 9_999 }, NOW)).toEqual({ kind: "stale" });
  });

  it("is the highest load among the fresh, in whatever order they stand", () => {
    const aSignal = fc.record({
      source: fc.constantFrom("external" as const, "edge" as const),
      requestsPerMinute: fc.double({ min: 0, max: 5_000, noNaN: true }),
      capacity: fc.option(fc.double({ min: 1, max: 5_000, noNaN: true })),
      publishedAtMs: fc.option(fc.integer({ min: -400_000, max: 100_000 }).map((away) => NOW + away)),
    });
    fc.assert(
      fc.property(fc.array(fc.oneof(aSignal, fc.constant(GARBAGE)), { maxLength: 4 }), (signals) => {
        const fresh = signals.flatMap((one) => {
          if ("unusable" in one) return [];
          const { publishedAtMs: atMs } = one;
          if (atMs !== null && (atMs < NOW - 180_000 || atMs > NOW + 60_000)) return [];
          return [Math.min(1, one.requestsPerMinute / (one.capacity ?? 1_000))];
        });
        for (const order of [signals, signals.toReversed()]) {
          const load = deriveLoad({ signals: order, pin: null }, RULES, NOW);
          if (signals.length === 0) expect(load.kind).toBe("unpublished");
          else if (fresh.length === 0) expect(load.kind).toBe("stale");
          else expect(load).toMatchObject({ kind: "measured", load: Math.max(...fresh) });
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
