import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { takeLocally } from "../../src/policy/local.ts";
import type { Window } from "../../src/policy/window.ts";

const T = 1_764_000_000_000;
const MINUTE = 60_000;

/** How many of `takes` single units are granted at once. */
function grantedOf(takes: number, lastRemaining: number | null, limit: number): number {
  let window: Window | null = null;
  let granted = 0;
  for (let i = 0; i < takes; i++) {
    const taken = takeLocally(window, lastRemaining, limit, MINUTE, 1, T);
    window = taken.window;
    if (taken.granted) granted++;
  }
  return granted;
}

describe("takeLocally", () => {
  it.each([
    {
      name: "grants an eighth of the limit where no counter ever answered",
      lastRemaining: null,
      limit: 80,
      granted: 10,
    },
    { name: "grants an eighth of the limit where more was left", lastRemaining: 70, limit: 80, granted: 10 },
    { name: "grants what was last seen remaining where that is less", lastRemaining: 3, limit: 80, granted: 3 },
    { name: "grants nothing where nothing was left", lastRemaining: 0, limit: 80, granted: 0 },
    { name: "rounds the eighth down", lastRemaining: null, limit: 15, granted: 1 },
    { name: "grants nothing of a limit that has no eighth", lastRemaining: null, limit: 7, granted: 0 },
    { name: "grants nothing of a limit of 0", lastRemaining: null, limit: 0, granted: 0 },
  ])("$name", ({ lastRemaining, limit, granted }) => {
    expect(grantedOf(100, lastRemaining, limit)).toBe(granted);
  });

  it("says when more fits, and keeps its word", () => {
    const first = takeLocally(null, null, 8, MINUTE, 1, T);
    const second = takeLocally(first.window, null, 8, MINUTE, 1, T + 500);
    expect(second).toMatchObject({ granted: false, remaining: 0, retryAfterMs: 60_500 });
    expect(takeLocally(second.window, null, 8, MINUTE, 1, T + 60_999).granted).toBe(false);
    expect(takeLocally(second.window, null, 8, MINUTE, 1, T + 61_000).granted).toBe(true);
  });

  it("keeps what it gave out when the window changes", () => {
    const { window } = takeLocally(null, null, 8, MINUTE, 1, T);
    expect(takeLocally(window, null, 8, 10_000, 1, T + 5_000).granted).toBe(false);
    expect(takeLocally(window, null, 8, 10_000, 1, T + 11_500).granted).toBe(true);
  });

  it("gives out, in any window, at most the smaller of what it last saw remaining and an eighth of the limit", () => {
    const aStep = fc.record({
      afterMs: fc.oneof(fc.nat(2_000), fc.nat(70_000), fc.integer({ min: -90_000, max: 0 })),
      cost: fc.integer({ min: 1, max: 5 }),
      limit: fc.constantFrom(0, 7, 8, 40, 100, 100, 100, 400),
      lastRemaining: fc.option(fc.nat(60), { nil: null, freq: 3 }),
    });
    fc.assert(
      fc.property(fc.constantFrom(1_000, 10_000, MINUTE), fc.array(aStep, { maxLength: 60 }), (windowMs, steps) => {
        let window: Window | null = null;
        let clockMs = T;
        let newestMs = T;
        const grants: { atMs: number; units: number }[] = [];
        for (const { afterMs, cost, limit, lastRemaining } of steps) {
          clockMs += afterMs;
          const taken = takeLocally(window, lastRemaining, limit, windowMs, cost, clockMs);
          // A clock that is a window behind takes the history with it.
          const backMs = newestMs - clockMs > windowMs ? newestMs - taken.window.newestMs : 0;
          for (const grant of grants) grant.atMs -= backMs;
          newestMs = taken.window.newestMs;
          expect(newestMs).toBeGreaterThanOrEqual(clockMs);
          window = taken.window;
          if (!taken.granted) continue;
          grants.push({ atMs: newestMs, units: cost });
          const used = grants.reduce((sum, { atMs, units }) => (atMs > newestMs - windowMs ? sum + units : sum), 0);
          expect(used).toBeLessThanOrEqual(Math.min(lastRemaining ?? limit, limit / 8));
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
