import { describe, expect, it } from "vitest";
import { runCrashing } from "./crash.ts";
import { runEvicted } from "./eviction.ts";
import { mostCertain, worstStretch } from "./judge.ts";
import { runTroubled, type TroubleOptions, type TroubleResult } from "./trouble.ts";

const ADMITTED = 200;
const WINDOW_MS = 4_000;
const LIMITS = { low: 200, medium: 100, high: 70, critical: 50 };
/** One load for each tier, and never a step to the tier beside. */
const PINS = [0, 0.9, 0.4, 0.7];
const CALM: TroubleOptions = {
  windowMs: WINDOW_MS,
  limits: LIMITS,
  perSecond: 75,
  seconds: 10,
  dieEveryMs: 0,
  abortEveryMs: 0,
  pins: [],
  pinEveryMs: 1_500,
  seed: 5,
};

describe("a fleet that is hurt while it runs", () => {
  it.each<{ name: string; options: TroubleOptions }>([
    { name: "while isolates die with what they have borrowed", options: { ...CALM, dieEveryMs: 700 } },
    { name: "while counters are reset", options: { ...CALM, abortEveryMs: 600 } },
    { name: "while the tier changes", options: { ...CALM, pins: PINS } },
    { name: "under all of these at once", options: { ...CALM, dieEveryMs: 1_100, abortEveryMs: 900, pins: PINS } },
  ])("never admits more than the limit in force, $name", async ({ options }) => {
    const result = await runTroubled(options);
    const { units, books, sent, deaths, abortsMs, pinned } = result;
    const { share } = worstStretch(units, WINDOW_MS);
    expect(share).toBeLessThanOrEqual(1);
    expect(share, "the limit was reached").toBeGreaterThan(0.9);
    expect(books.unfounded).toBe(0);
    expect(sent.filter(({ status }) => status === ADMITTED).length).toBeLessThanOrEqual(units.length);
    expect(wentBack(result)).toEqual([]);
    expect(deaths > 5, "isolates died").toBe(options.dieEveryMs > 0);
    expect(abortsMs.length > 5 && books.loads > 5, "counters were reset").toBe(options.abortEveryMs > 0);
    expect(pinned.length > 5, "the tier changed").toBe(options.pins.length > 0);
  });

  it.concurrent("never admits more than the limit in a window through SIGKILL and start", async () => {
    const [limit, windowMs] = [200, 6_000];
    const { admitted, kills } = await runCrashing({
      limit,
      windowMs,
      perSecond: 100,
      seconds: 18,
      killsMs: [1_100, 7_500, 13_300],
      seed: 3,
    });
    expect(mostCertain(admitted, windowMs)).toBeLessThanOrEqual(limit);
    expect(mostCertain(admitted, windowMs)).toBeGreaterThan(0.9 * limit);
    expect(kills).toHaveLength(3);
  });

  it.concurrent("remembers a client when its counter was idle so long that it left memory", async () => {
    const { first, second, worst, loads } = await runEvicted({
      limit: 100,
      windowMs: 40_000,
      first: 60,
      idleMs: 16_000,
    });
    expect(loads, "counters loaded anew").toBeGreaterThan(0);
    expect(first).toBe(60);
    expect(second).toBe(40);
    expect(worst.units).toBe(100);
  });
});

/** Limits by which a counter decided after it had decided by a newer one. */
function wentBack({ units, pinned }: TroubleResult): readonly number[] {
  let newest = 0;
  return units
    .toSorted((a, b) => a.grant - b.grant)
    .flatMap(({ limit, atMs }) => {
      const later = pinned.findIndex(([sinceMs, load], i) => i >= newest && sinceMs <= atMs && limitAt(load) === limit);
      if (later < 0) return [limit];
      newest = later;
      return [];
    });
}

function limitAt(load: number): number {
  if (load >= 0.8) return LIMITS.critical;
  if (load >= 0.6) return LIMITS.high;
  return load >= 0.3 ? LIMITS.medium : LIMITS.low;
}
