import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import {
  advance,
  charge,
  discharge,
  emptyAtMs,
  emptyWindow,
  fitsAfterMs,
  growsAfterMs,
  lastMsOf,
  remainingOf,
  resize,
  sliceAt,
  sliceMsOf,
  take,
  usedOf,
  type Window,
} from "../../src/policy/window.ts";

/** Random cases take their time on a machine that does something else as well. */
vi.setConfig({ testTimeout: 60_000 });

/** A moment at which a slice begins, for every window whose slice is a whole number of seconds up to an hour's. */
const T = 1_764_000_000_000;
const MINUTE = 60_000;
const HOUR = 3_600_000;

/** One take of a story: when (ms after `T`), under which limit, for how much, and what comes of it. */
interface Step {
  readonly at: number;
  readonly limit: number;
  readonly cost?: number;
  readonly granted: boolean;
  readonly remaining: number;
  /** Left out where a clock that runs behind leaves open from when it counts. */
  readonly retryAfterMs?: number;
}

function tell(start: Window, steps: readonly Step[]): Window {
  let window = start;
  for (const { at, limit, cost = 1, ...expected } of steps) {
    const { window: after, ...taken } = take(frozen(window), limit, cost, T + at);
    expect(taken, `take of ${cost} of ${limit} at T${at < 0 ? "" : "+"}${at}`).toMatchObject(expected);
    window = after;
  }
  return window;
}

/** Whoever writes to a frozen window throws: every answer has to be a window of its own. */
function frozen(window: Window): Window {
  Object.freeze(window.slices);
  return Object.freeze(window);
}

function minute(...charges: readonly (readonly [at: number, units: number])[]): Window {
  return charges.reduce((window, [at, units]) => charge(window, T + at, units), emptyWindow(MINUTE, T));
}

describe("take", () => {
  it.each<{ name: string; window?: Window; steps: readonly Step[] }>([
    {
      name: "grants the first unit of an empty window",
      steps: [{ at: 0, limit: 3, granted: true, remaining: 2, retryAfterMs: 0 }],
    },
    {
      name: "grants the last unit",
      window: minute([0, 2]),
      steps: [{ at: 0, limit: 3, granted: true, remaining: 0, retryAfterMs: 0 }],
    },
    {
      name: "refuses one over the limit and tells when its slice has left the window",
      window: minute([0, 3]),
      steps: [{ at: 0, limit: 3, granted: false, remaining: 0, retryAfterMs: 61_000 }],
    },
    {
      name: "gives back half-way what was taken first, and no more",
      window: minute([0, 2], [30_000, 1]),
      steps: [
        { at: 61_000, limit: 3, granted: true, remaining: 1, retryAfterMs: 0 },
        { at: 61_000, limit: 3, granted: true, remaining: 0, retryAfterMs: 0 },
        { at: 61_000, limit: 3, granted: false, remaining: 0, retryAfterMs: 30_000 },
        { at: 90_999, limit: 3, granted: false, remaining: 0, retryAfterMs: 1 },
        { at: 91_000, limit: 3, granted: true, remaining: 0, retryAfterMs: 0 },
      ],
    },
    {
      name: "counts a slice whole until its last millisecond has left the window",
      window: minute([999, 1]),
      steps: [
        { at: 60_999, limit: 1, granted: false, remaining: 0, retryAfterMs: 1 },
        { at: 61_000, limit: 1, granted: true, remaining: 0, retryAfterMs: 0 },
      ],
    },
    {
      name: "gives back the first millisecond of a slice one slice late, not later",
      window: minute([0, 1]),
      steps: [
        { at: 60_000, limit: 1, granted: false, remaining: 0, retryAfterMs: 1_000 },
        { at: 61_000, limit: 1, granted: true, remaining: 0, retryAfterMs: 0 },
      ],
    },
    {
      name: "tells a cost of many units when enough slices have left",
      window: minute([0, 2], [10_000, 2], [20_000, 2]),
      steps: [
        { at: 20_000, limit: 7, cost: 4, granted: false, remaining: 1, retryAfterMs: 51_000 },
        { at: 20_000, limit: 7, cost: 3, granted: false, remaining: 1, retryAfterMs: 41_000 },
        { at: 20_000, limit: 7, cost: 1, granted: true, remaining: 0, retryAfterMs: 0 },
      ],
    },
    {
      name: "forgets everything after a pause",
      window: minute([0, 9]),
      steps: [{ at: 20 * HOUR, limit: 9, cost: 9, granted: true, remaining: 0, retryAfterMs: 0 }],
    },
    {
      name: "reads a clock that stepped back as the newest moment seen",
      window: minute([0, 1]),
      steps: [
        { at: -30_000, limit: 1, granted: false, remaining: 0 },
        { at: 60_999, limit: 1, granted: false, remaining: 0, retryAfterMs: 1 },
        { at: 61_000, limit: 1, granted: true, remaining: 0, retryAfterMs: 0 },
      ],
    },
    {
      name: "charges at the newest moment seen while the clock is behind",
      window: minute([0, 1]),
      steps: [
        { at: -30_000, limit: 2, granted: true, remaining: 0 },
        { at: 60_999, limit: 2, granted: false, remaining: 0, retryAfterMs: 1 },
        { at: 61_000, limit: 2, cost: 2, granted: true, remaining: 0, retryAfterMs: 0 },
      ],
    },
    {
      name: "reads a clock behind by exactly a window as the newest moment seen",
      window: minute([0, 1]),
      steps: [
        { at: -60_000, limit: 1, granted: false, remaining: 0 },
        { at: 60_999, limit: 1, granted: false, remaining: 0, retryAfterMs: 1 },
      ],
    },
    {
      name: "moves the history back with a clock that is behind by more than a window",
      window: minute([0, 1]),
      steps: [
        { at: -60_001, limit: 1, granted: false, remaining: 0 },
        { at: 999, limit: 1, granted: false, remaining: 0, retryAfterMs: 1 },
        { at: 1_000, limit: 1, granted: true, remaining: 0, retryAfterMs: 0 },
      ],
    },
    {
      name: "moves the history back by whole slices when the clock is behind by an hour",
      window: minute([400, 1]),
      steps: [
        { at: -HOUR, limit: 1, granted: false, remaining: 0, retryAfterMs: 61_000 },
        { at: 60_999 - HOUR, limit: 1, granted: false, remaining: 0, retryAfterMs: 1 },
        { at: 61_000 - HOUR, limit: 1, granted: true, remaining: 0, retryAfterMs: 0 },
      ],
    },
    {
      name: "keeps what was used when the limit falls",
      window: minute([0, 6], [10_000, 4]),
      steps: [
        { at: 20_000, limit: 5, granted: false, remaining: 0, retryAfterMs: 41_000 },
        { at: 61_000, limit: 5, granted: true, remaining: 0, retryAfterMs: 0 },
      ],
    },
    {
      name: "keeps what was used when the limit rises",
      window: minute([0, 5]),
      steps: [
        { at: 0, limit: 5, granted: false, remaining: 0, retryAfterMs: 61_000 },
        { at: 0, limit: 8, granted: true, remaining: 2, retryAfterMs: 0 },
      ],
    },
    {
      name: "refuses all under a limit of 0 and names the window",
      steps: [{ at: 0, limit: 0, granted: false, remaining: 0, retryAfterMs: MINUTE }],
    },
    {
      name: "refuses all under a limit that fell to 0 while in use and names the window",
      window: minute([0, 3]),
      steps: [{ at: 30_000, limit: 0, granted: false, remaining: 0, retryAfterMs: MINUTE }],
    },
    {
      name: "only looks when the cost is 0",
      window: minute([0, 2]),
      steps: [
        { at: 0, limit: 3, cost: 0, granted: true, remaining: 1, retryAfterMs: 0 },
        { at: 0, limit: 3, cost: 0, granted: true, remaining: 1, retryAfterMs: 0 },
        { at: 0, limit: 2, cost: 0, granted: true, remaining: 0, retryAfterMs: 0 },
      ],
    },
    {
      name: "refuses a cost over the limit, consumes nothing and names the window",
      steps: [
        { at: 0, limit: 5, cost: 6, granted: false, remaining: 5, retryAfterMs: MINUTE },
        { at: 0, limit: 5, cost: 5, granted: true, remaining: 0, retryAfterMs: 0 },
      ],
    },
    {
      name: "counts units that were lent until later",
      window: minute([5_000, 3]),
      steps: [
        { at: 0, limit: 4, granted: true, remaining: 0, retryAfterMs: 0 },
        { at: 0, limit: 4, granted: false, remaining: 0, retryAfterMs: 61_000 },
        { at: 0, limit: 4, cost: 2, granted: false, remaining: 0, retryAfterMs: 66_000 },
        { at: 61_000, limit: 4, cost: 2, granted: false, remaining: 1, retryAfterMs: 5_000 },
        { at: 66_000, limit: 4, cost: 4, granted: true, remaining: 0, retryAfterMs: 0 },
      ],
    },
    {
      name: "moves lent units back with a clock that is behind by an hour",
      window: minute([5_000, 1]),
      steps: [
        { at: -HOUR, limit: 1, granted: false, remaining: 0, retryAfterMs: 66_000 },
        { at: 66_000 - HOUR, limit: 1, granted: true, remaining: 0, retryAfterMs: 0 },
      ],
    },
  ])("$name", ({ window = emptyWindow(MINUTE, T), steps }) => {
    tell(window, steps);
  });

  it.each([
    { name: "1 s", windowMs: 1_000, backAtMs: 1_017 },
    { name: "10 s", windowMs: 10_000, backAtMs: 10_167 },
    { name: "60 s", windowMs: 60_000, backAtMs: 61_000 },
    { name: "3600 s", windowMs: 3_600_000, backAtMs: 3_660_000 },
    { name: "1 ms", windowMs: 1, backAtMs: 2 },
    { name: "60 ms", windowMs: 60, backAtMs: 61 },
    { name: "61 ms", windowMs: 61, backAtMs: 63 },
  ])("gives a unit back after $name and its slice", ({ windowMs, backAtMs }) => {
    const { window } = take(emptyWindow(windowMs, 0), 1, 1, 0);
    expect(take(window, 1, 1, 0).retryAfterMs).toBe(backAtMs);
    expect(take(window, 1, 1, backAtMs - 1).granted).toBe(false);
    expect(take(window, 1, 1, backAtMs).granted).toBe(true);
  });

  it.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])("throws on a limit or cost of %s", (value) => {
    const window = emptyWindow(MINUTE, T);
    expect(() => take(window, value, 1, T)).toThrow(
      new RangeError(`limit: expected a whole number >= 0, got ${value}`),
    );
    expect(() => take(window, 1, value, T)).toThrow(new RangeError(`cost: expected a whole number >= 0, got ${value}`));
  });
});

/** Cases of other limiters' suites that fit a sliding window, in their order. */
describe("take, by the vectors of its peers", () => {
  it.each<{ name: string; window?: Window; steps: readonly Step[] }>([
    {
      name: "throttled: refuses 6 of 5, counts down 4..0, refuses the sixth, looks for nothing",
      steps: [
        { at: 0, limit: 5, cost: 6, granted: false, remaining: 5 },
        ...[4, 3, 2, 1, 0].map((remaining) => ({ at: 0, limit: 5, granted: true, remaining, retryAfterMs: 0 })),
        { at: 0, limit: 5, granted: false, remaining: 0, retryAfterMs: 61_000 },
        { at: 0, limit: 5, cost: 0, granted: true, remaining: 0, retryAfterMs: 0 },
      ],
    },
    {
      name: "throttled: refuses 5 with 4 left until it would fit",
      window: minute([0, 1]),
      steps: [{ at: 3_000, limit: 5, cost: 5, granted: false, remaining: 4, retryAfterMs: 58_000 }],
    },
    {
      name: "boulder: never holds more than the limit after 20 hours",
      window: minute([0, 20]),
      steps: [
        { at: 20 * HOUR, limit: 20, cost: 0, granted: true, remaining: 20 },
        { at: 20 * HOUR, limit: 20, cost: 21, granted: false, remaining: 20 },
      ],
    },
    {
      name: "unkey: grants the tenth of ten",
      window: minute([0, 9]),
      steps: [{ at: 0, limit: 10, granted: true, remaining: 0 }],
    },
    {
      name: "unkey: refuses the eleventh of ten",
      window: minute([0, 10]),
      steps: [{ at: 0, limit: 10, granted: false, remaining: 0 }],
    },
    {
      name: "unkey: refuses 100 of 10 in an empty window",
      steps: [{ at: 0, limit: 10, cost: 100, granted: false, remaining: 10 }],
    },
    {
      name: "unkey: grants when all ten are of the window before",
      window: minute([0, 10]),
      steps: [{ at: 61_000, limit: 10, granted: true, remaining: 9 }],
    },
    {
      name: "gubernator: follows a limit of 100 to 10 and to 200",
      window: minute([0, 2]),
      steps: [
        { at: 0, limit: 10, granted: true, remaining: 7 },
        { at: 0, limit: 10, granted: true, remaining: 6 },
        { at: 0, limit: 200, granted: true, remaining: 195 },
      ],
    },
    {
      name: "gubernator: refuses more than is left and leaves it to those who fit",
      window: minute([0, 1_000]),
      steps: [
        { at: 0, limit: 2_000, cost: 1_500, granted: false, remaining: 1_000 },
        { at: 0, limit: 2_000, cost: 500, granted: true, remaining: 500 },
        { at: 0, limit: 2_000, cost: 400, granted: true, remaining: 100 },
        { at: 0, limit: 2_000, cost: 100, granted: true, remaining: 0 },
        { at: 0, limit: 2_000, cost: 1, granted: false, remaining: 0 },
      ],
    },
    {
      name: "gubernator: carries a limit larger than the window has milliseconds",
      window: emptyWindow(1_000, T),
      steps: [
        { at: 0, limit: 100_000, cost: 99_999, granted: true, remaining: 1 },
        { at: 1, limit: 100_000, granted: true, remaining: 0 },
        { at: 2, limit: 100_000, granted: false, remaining: 0 },
      ],
    },
    {
      name: "tower: grants 100 just before and none just after where two windows would meet",
      window: emptyWindow(1_000, T),
      steps: [
        { at: 900, limit: 100, cost: 100, granted: true, remaining: 0 },
        { at: 1_100, limit: 100, granted: false, remaining: 0 },
      ],
    },
    {
      name: "express-rate-limit: refuses all when the limit is 0",
      steps: [
        { at: 0, limit: 0, granted: false, remaining: 0 },
        { at: 120_000, limit: 0, granted: false, remaining: 0 },
      ],
    },
  ])("$name", ({ window = emptyWindow(MINUTE, T), steps }) => {
    tell(window, steps);
  });

  it("convex: leaves units and slices of a refused take as they were", () => {
    const window = minute([0, 5]);
    expect(take(window, 5, 1, T).window).toEqual(window);
  });

  it("express-rate-limit: gives nothing back for what has left the window", () => {
    const later = take(minute([0, 1]), 5, 1, T + 120_000).window;
    const returned = [0, 0, 0].reduce((window) => discharge(window, T, 1), later);
    expect(usedOf(returned)).toBe(1);
  });
});

describe("what a window says of itself", () => {
  it.each([
    { windowMs: 1, sliceMs: 1 },
    { windowMs: 60, sliceMs: 1 },
    { windowMs: 61, sliceMs: 2 },
    { windowMs: 1_000, sliceMs: 17 },
    { windowMs: 60_000, sliceMs: 1_000 },
    { windowMs: 3_600_000, sliceMs: 60_000 },
  ])("has slices of $sliceMs ms in $windowMs ms", ({ windowMs, sliceMs }) => {
    expect(sliceMsOf(windowMs)).toBe(sliceMs);
    expect(sliceAt(3 * sliceMs, windowMs)).toBe(3);
    expect(sliceAt(3 * sliceMs - 1, windowMs)).toBe(2);
    expect(lastMsOf(2, windowMs)).toBe(3 * sliceMs - 1);
  });

  it.each([
    { name: "nothing used", window: emptyWindow(MINUTE, T), limit: 5, grows: null, empty: T },
    { name: "nothing used and a limit of 0", window: emptyWindow(MINUTE, T), limit: 0, grows: MINUTE, empty: T },
    { name: "one used", window: minute([0, 1]), limit: 5, grows: 61_000, empty: T + 61_000 },
    { name: "all used", window: minute([0, 1], [9_000, 4]), limit: 5, grows: 61_000, empty: T + 70_000 },
    { name: "used over the limit", window: minute([0, 1], [9_000, 4]), limit: 3, grows: 70_000, empty: T + 70_000 },
    { name: "a limit fallen to 0", window: minute([0, 1]), limit: 0, grows: MINUTE, empty: T + 61_000 },
    { name: "units lent until later", window: minute([5_000, 1]), limit: 1, grows: 66_000, empty: T + 66_000 },
  ])("says when more units come and when it is empty: $name", ({ window, limit, grows, empty }) => {
    expect(growsAfterMs(window, limit)).toBe(grows);
    expect(emptyAtMs(window)).toBe(empty);
  });

  it("is empty at emptyAtMs and not 1 ms before", () => {
    const window = minute([0, 1], [9_500, 4]);
    expect(usedOf(advance(window, emptyAtMs(window) - 1))).toBe(4);
    expect(usedOf(advance(window, emptyAtMs(window)))).toBe(0);
  });
});

describe("charge and discharge", () => {
  const window = minute([0, 2], [2_000, 3]);
  const slice = T / 1_000;

  it.each([
    { name: "adds to the slice of the moment", after: charge(window, T + 999, 1), slices: [0, 3, 2, 3] },
    { name: "adds to a slice that is not the last", after: charge(window, T + 1, 4), slices: [0, 6, 2, 3] },
    { name: "puts a slice between two", after: charge(window, T + 1_000, 1), slices: [0, 2, 1, 1, 2, 3] },
    { name: "puts a slice before the first", after: charge(window, T - 1, 1), slices: [-1, 1, 0, 2, 2, 3] },
    { name: "puts a slice after the last", after: charge(window, T + 3_000, 1), slices: [0, 2, 2, 3, 3, 1] },
    { name: "writes nothing for no units", after: charge(window, T + 1_000, 0), slices: [0, 2, 2, 3] },
    { name: "takes units off their slice", after: discharge(window, T + 2_999, 2), slices: [0, 2, 2, 1] },
    { name: "drops a slice with its last unit", after: discharge(window, T, 2), slices: [2, 3] },
    { name: "owes nothing beyond what stands there", after: discharge(window, T, 99), slices: [2, 3] },
    { name: "finds nothing where nothing stands", after: discharge(window, T + 1_000, 1), slices: [0, 2, 2, 3] },
  ])("$name", ({ after, slices }) => {
    expect(after.slices).toEqual(slices.map((value, index) => (index % 2 === 0 ? slice + value : value)));
    expect(after.newestMs).toBe(T);
  });
});

describe("resize", () => {
  it.each([
    {
      name: "grows: the slice that holds the last millisecond",
      from: 60_000,
      to: 3_600_000,
      at: 0,
      backAtMs: 3_660_000,
    },
    { name: "shrinks: no earlier than the old slice ends", from: 60_000, to: 10_000, at: 0, backAtMs: 11_002 },
    { name: "shrinks from the longest to the default", from: 3_600_000, to: 60_000, at: 0, backAtMs: 120_000 },
    { name: "shrinks to 1 ms", from: 60, to: 1, at: 7, backAtMs: 9 },
  ])("keeps what was used when it $name", ({ from, to, at, backAtMs }) => {
    const resized = resize(charge(emptyWindow(from, at), at, 4), to);
    expect(resized).toMatchObject({ windowMs: to, newestMs: at });
    expect(usedOf(resized)).toBe(4);
    expect(emptyAtMs(resized)).toBe(backAtMs);
  });

  it("is the same window when the length is the same", () => {
    const window = minute([0, 1]);
    expect(resize(window, MINUTE)).toBe(window);
  });

  it("merges slices that fall into one", () => {
    expect(resize(minute([0, 1], [1_000, 2], [59_999, 4]), HOUR).slices).toEqual([T / MINUTE, 7]);
  });

  it("knows the shorter of both after a change and back", () => {
    const shrunk = advance(resize(minute([0, 1], [50_000, 2]), 10_000), T + 50_000);
    expect(usedOf(resize(shrunk, MINUTE))).toBe(2);
  });
});

/**
 * What was granted, kept beside the window and without its slices, by the clock as the window ran it: a clock behind by
 * at most a window counts as the newest moment seen, one further behind takes the history back with it by whole slices.
 */
function truthLog(startMs: number) {
  let newestMs = startMs;
  let grants: { atMs: number; units: number }[] = [];
  return {
    newestMs: () => newestMs,
    follow(clockMs: number, windowMs: number) {
      const sliceMs = Math.ceil(windowMs / 60);
      const behindMs = newestMs - clockMs;
      const backMs = behindMs > windowMs ? Math.floor(behindMs / sliceMs) * sliceMs : 0;
      newestMs = Math.max(newestMs - backMs, clockMs);
      if (backMs > 0) grants = grants.map(({ atMs, units }) => ({ atMs: atMs - backMs, units }));
    },
    granted(units: number) {
      grants.push({ atMs: newestMs, units });
    },
    /** Drops what is no longer in `(newest - spanMs, newest]`, for good: what has left a window stays out of it. */
    forget(spanMs: number) {
      grants = grants.filter(({ atMs }) => atMs > newestMs - spanMs);
    },
    /** Units granted in `(newest - spanMs, newest]`. */
    usedIn(spanMs: number): number {
      return grants.reduce((sum, { atMs, units }) => (atMs > newestMs - spanMs ? sum + units : sum), 0);
    },
    /** The moment at which `over` of the oldest units in the window have left it. */
    leftAtMs(over: number, windowMs: number): number {
      let left = over;
      for (const { atMs, units } of grants) {
        if (atMs <= newestMs - windowMs) continue;
        left -= units;
        if (left <= 0) return atMs + windowMs;
      }
      return Number.POSITIVE_INFINITY;
    },
  };
}

const WINDOWS = [1, 7, 60, 61, 1_000, 10_000, 60_000, 3_600_000] as const;
const COSTS = [1, 1, 1, 1, 2, 3, 0, 7] as const;
/** Limits stay for a while: most picks lie past the end and keep the one in force. */
const LIMITS = [0, 1, 2, 3, 5, 8, 13, 40] as const;

/** `[how the clock moves, by how much, limit, cost, window]`, each a number that the history reads in its own way. */
const aStep = fc.tuple(fc.nat(15), fc.nat(63), fc.nat(31), fc.nat(7), fc.nat(40));
const aHistory = fc.tuple(
  fc.nat(WINDOWS.length - 1),
  fc.nat(),
  fc.array(aStep, { minLength: 1, maxLength: 40, size: "max" }),
);

/** The next reading of a clock that mostly creeps, at times leaps, stands, or steps back by little or by much. */
function nextClock(kind: number, amount: number, clockMs: number, windowMs: number, toldMs: number): number {
  const sliceMs = Math.ceil(windowMs / 60);
  const share = Math.floor((windowMs * amount) / 64);
  if (kind < 3) return clockMs;
  if (kind < 5) return clockMs + 1;
  if (kind < 7) return clockMs + Math.floor((sliceMs * amount) / 32);
  if (kind < 9) return clockMs + share;
  if (kind === 9) return clockMs + windowMs + Math.floor((sliceMs * amount) / 32);
  if (kind === 10) return Math.max(clockMs, toldMs);
  if (kind === 11) return Math.max(clockMs, toldMs - 1);
  if (kind === 12) return clockMs + amount * windowMs;
  if (kind === 13) return clockMs - share;
  if (kind === 14) return clockMs - windowMs - (amount % 3) + 1;
  return clockMs - amount * windowMs - 1;
}

function hold(promise: boolean, what: string): void {
  if (!promise) throw new Error(what);
}

describe("take, over random histories", () => {
  it("is never over, never late by more than a slice, and keeps its word", () => {
    fc.assert(
      fc.property(aHistory, ([size, start, steps]) => {
        const windowMs = WINDOWS[size] ?? 1;
        const sliceMs = Math.ceil(windowMs / 60);
        let clockMs = T + start;
        let limit = 5;
        let toldMs = clockMs;
        let window = frozen(emptyWindow(windowMs, clockMs));
        const truth = truthLog(clockMs);
        for (const [kind, amount, limitPick, costPick] of steps) {
          clockMs = nextClock(kind, amount, clockMs, windowMs, toldMs);
          limit = LIMITS[limitPick] ?? limit;
          const cost = COSTS[costPick] ?? 1;
          const taken = take(window, limit, cost, clockMs);
          window = frozen(taken.window);
          truth.follow(clockMs, windowMs);
          truth.forget(windowMs + sliceMs);
          hold(window.newestMs === truth.newestMs(), "runs the clock as it says");
          const usedBefore = { least: truth.usedIn(windowMs), most: truth.usedIn(windowMs + sliceMs) };
          if (taken.granted) truth.granted(cost);
          // The stretch that ends at a grant holds all of any later stretch that this grant is the latest of.
          if (taken.granted && cost > 0) hold(truth.usedIn(windowMs) <= limit, "is never over");
          if (!taken.granted) hold(usedBefore.most + cost > limit, "refuses only what a slice's grace would refuse");
          hold(taken.granted === (taken.retryAfterMs === 0), "asks only the refused to wait");
          const used = usedOf(window);
          hold(used >= truth.usedIn(windowMs), "forgets nothing in the window");
          hold(used <= truth.usedIn(windowMs + sliceMs), "returns a unit at most one slice late");
          for (const other of [limit, 0, 1, 4, 40]) {
            const { remaining } = take(window, other, 0, window.newestMs);
            hold(remaining === Math.max(0, other - used), "keeps what was used under any limit");
            if (other === limit) hold(taken.remaining === remaining, "says what is left");
          }
          if (taken.granted || cost > limit || window.newestMs !== clockMs) continue;
          toldMs = clockMs + taken.retryAfterMs;
          hold(take(window, limit, cost, toldMs).granted, "grants at retryAfterMs");
          hold(!take(window, limit, cost, toldMs - 1).granted, "does not grant 1 ms before");
          hold(
            !take(window, limit, cost, Math.max(clockMs, toldMs - sliceMs)).granted,
            "does not grant a slice before",
          );
          const leftMs = truth.leftAtMs(truth.usedIn(windowMs) + cost - limit, windowMs);
          if (usedBefore.least + cost > limit)
            hold(toldMs >= leftMs && toldMs <= leftMs + sliceMs, "names the true moment, or one within its slice");
        }
      }),
      { numRuns: 40_000 },
    );
  });

  it("is never over while windows change: it knows the shorter of both", () => {
    fc.assert(
      fc.property(aHistory, ([size, start, steps]) => {
        let windowMs = WINDOWS[size] ?? 1;
        let clockMs = T + start;
        let limit = 5;
        let window = frozen(emptyWindow(windowMs, clockMs));
        const truth = truthLog(clockMs);
        for (const [kind, amount, limitPick, costPick, sizePick] of steps) {
          windowMs = WINDOWS[sizePick] ?? windowMs;
          window = frozen(resize(window, windowMs));
          clockMs = nextClock(kind, amount, clockMs, windowMs, clockMs);
          limit = LIMITS[limitPick] ?? limit;
          const cost = COSTS[costPick] ?? 1;
          const taken = take(window, limit, cost, clockMs);
          window = frozen(taken.window);
          truth.follow(clockMs, windowMs);
          // What has left the shorter of two windows is gone for the longer one too.
          truth.forget(windowMs);
          if (taken.granted) truth.granted(cost);
          if (taken.granted && cost > 0) hold(truth.usedIn(windowMs) <= limit, "is never over");
          hold(usedOf(window) >= truth.usedIn(windowMs), "forgets nothing in the window");
          holdSlices(window);
          if (taken.granted || cost > limit || window.newestMs !== clockMs) continue;
          hold(take(window, limit, cost, clockMs + taken.retryAfterMs).granted, "grants at retryAfterMs");
          hold(!take(window, limit, cost, clockMs + taken.retryAfterMs - 1).granted, "does not grant 1 ms before");
        }
      }),
      { numRuns: 20_000 },
    );
  });

  it("answers as if refused takes had never been asked", () => {
    fc.assert(
      fc.property(aHistory, ([size, start, steps]) => {
        const windowMs = WINDOWS[size] ?? 1;
        let clockMs = T + start;
        let limit = 5;
        let disturbed = emptyWindow(windowMs, clockMs);
        let undisturbed = disturbed;
        for (const [kind, amount, limitPick, costPick] of steps) {
          // A clock that only moves on: looking at a window also tells it the time.
          clockMs = Math.max(clockMs, nextClock(kind, amount, clockMs, windowMs, clockMs));
          limit = LIMITS[limitPick] ?? limit;
          const cost = COSTS[costPick] ?? 1;
          for (const greedy of [limit + 1, remainingOf(advance(disturbed, clockMs), limit) + 1]) {
            const refused = take(frozen(disturbed), limit, greedy, clockMs);
            hold(!refused.granted, "refuses what does not fit");
            disturbed = refused.window;
          }
          const [one, other] = [take(disturbed, limit, cost, clockMs), take(undisturbed, limit, cost, clockMs)];
          hold(JSON.stringify(one) === JSON.stringify(other), "answers both alike");
          if (one.granted) [disturbed, undisturbed] = [one.window, other.window];
        }
      }),
      { numRuns: 5_000 },
    );
  });
});

/** Slices rise, and every one holds a whole number of units above 0. */
function holdSlices({ slices }: Window): void {
  for (let i = 0; i < slices.length; i += 2) {
    hold(i === 0 || (slices[i - 2] ?? 0) < (slices[i] ?? 0), "keeps slices sorted");
    hold(Number.isSafeInteger(slices[i]), "numbers slices in whole numbers");
    hold(Number.isSafeInteger(slices[i + 1]) && (slices[i + 1] ?? 0) > 0, "keeps units positive and whole");
  }
}

/** The moment each unit of a window counts as taken at, oldest first. */
function momentsOf({ slices, windowMs }: Window): number[] {
  return slices.flatMap((value, i) =>
    i % 2 === 0 ? Array<number>(slices[i + 1] ?? 0).fill(lastMsOf(value, windowMs)) : [],
  );
}

describe("charge, discharge and resize, over random histories", () => {
  it("keeps slices sorted, positive and whole, and returns no more than was charged", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...WINDOWS),
        fc.array(fc.tuple(fc.boolean(), fc.integer({ min: -80, max: 80 }), fc.nat(6)), { maxLength: 40 }),
        fc.nat(60),
        (windowMs, changes, later) => {
          const sliceMs = Math.ceil(windowMs / 60);
          const ledger = new Map<number, number>();
          let window = frozen(emptyWindow(windowMs, T));
          for (const [isCharge, slicesAway, units] of changes) {
            const atMs = T + slicesAway * sliceMs;
            const slice = Math.floor(atMs / sliceMs);
            window = frozen((isCharge ? charge : discharge)(window, atMs, units));
            const before = ledger.get(slice) ?? 0;
            ledger.set(slice, isCharge ? before + units : Math.max(0, before - units));
            holdSlices(window);
          }
          const expected = [...ledger].filter(([, units]) => units > 0).sort(([a], [b]) => a - b);
          hold(JSON.stringify(window.slices) === JSON.stringify(expected.flat()), "holds what the ledger holds");
          const moved = frozen(advance(window, T + later * sliceMs));
          holdSlices(moved);
          const used = usedOf(moved);
          const fits = fitsAfterMs(moved, 1 + Math.floor(used / 2), 1);
          hold(usedOf(advance(moved, moved.newestMs + fits)) <= Math.floor(used / 2), "fits when it says");
          if (fits > 0)
            hold(usedOf(advance(moved, moved.newestMs + fits - 1)) > Math.floor(used / 2), "and not 1 ms before");
        },
      ),
      { numRuns: 5_000 },
    );
  });

  it("never moves a unit earlier by a change of the window, and loses none", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...WINDOWS),
        fc.array(fc.integer({ min: 1, max: 4_000_000 }), { minLength: 1, maxLength: 4 }),
        fc.array(fc.tuple(fc.integer({ min: -200, max: 200 }), fc.integer({ min: 1, max: 4 })), { maxLength: 20 }),
        (windowMs, sizes, charges) => {
          const sliceMs = Math.ceil(windowMs / 60);
          let window = frozen(
            charges.reduce((sum, [away, units]) => charge(sum, T + away * sliceMs, units), emptyWindow(windowMs, T)),
          );
          for (const size of sizes) {
            const resized = frozen(resize(window, size));
            holdSlices(resized);
            const [before, after] = [momentsOf(window), momentsOf(resized)];
            hold(before.length === after.length, "loses no unit");
            const latestMs = Math.ceil(size / 60) - 1;
            for (const [index, moment] of before.entries()) {
              const moved = (after[index] ?? Number.NaN) - moment;
              hold(moved >= 0, "moves no unit earlier");
              hold(moved <= latestMs, "moves no unit later than the end of its new slice");
            }
            hold(resized.newestMs === window.newestMs && resized.windowMs === size, "keeps the time");
            window = resized;
          }
        },
      ),
      { numRuns: 5_000 },
    );
  });
});

it.each([1, 30_000, 60_000, 60_500])("grants at retryAfterMs of a clock that is %i ms behind, not before", (behind) => {
  const start = 1_764_000_000_000;
  const { window } = take(emptyWindow(60_000, start), 1, 1, start);
  const refused = take(window, 1, 1, start - behind);
  expect(refused.granted).toBe(false);
  expect(take(refused.window, 1, 1, start - behind + refused.retryAfterMs).granted).toBe(true);
  expect(take(refused.window, 1, 1, start - behind + refused.retryAfterMs - 1).granted).toBe(false);
});
