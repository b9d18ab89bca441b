import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ask, type Breaker, CLOSED, type Outcome, report } from "../../src/policy/breaker.ts";

const START_MS = 1_800_000_000_000;
const PROBE_MS = 5_000;
const LEAST = () => 0;
const MOST = () => 0.999_999;

/** A breaker with a clock that a test moves. */
function breakerAt(nowMs = START_MS, random = LEAST) {
  let breaker: Breaker = CLOSED;
  const at = {
    nowMs,
    random,
    kind: () => breaker.kind,
    state: () => breaker,
    ask() {
      const asked = ask(breaker, PROBE_MS, at.nowMs, at.random);
      breaker = asked.breaker;
      return asked.permit;
    },
    /** Asks and fails the test if refused. */
    enter() {
      const permit = at.ask();
      if (!permit.granted) throw new Error("refused");
      return permit;
    },
    report(era: number, outcome: Outcome) {
      breaker = report(breaker, era, outcome, at.nowMs, at.random);
    },
    call(outcome: Outcome, times = 1) {
      for (let i = 0; i < times; i += 1) at.report(at.enter().era, outcome);
    },
    trip() {
      at.call("failed", 20);
      expect(at.kind()).toBe("open");
    },
    pass(ms: number) {
      at.nowMs += ms;
    },
    refusedForMs() {
      const permit = at.ask();
      if (permit.granted) throw new Error("granted");
      return permit.retryAfterMs;
    },
  };
  return at;
}

describe("a closed breaker", () => {
  it("stays closed at 19 failures of 19", () => {
    const at = breakerAt();
    at.call("failed", 19);
    expect(at.kind()).toBe("closed");
  });

  it("trips at the twentieth", () => {
    const at = breakerAt();
    at.call("failed", 20);
    expect(at.kind()).toBe("open");
  });

  it("trips when half of the calls failed, also where the last one was answered", () => {
    const at = breakerAt();
    at.call("failed", 10);
    at.call("answered", 9);
    expect(at.kind()).toBe("closed");
    at.call("answered");
    expect(at.kind()).toBe("open");
  });

  it("stays closed one failure below half", () => {
    const at = breakerAt();
    at.call("answered", 11);
    at.call("failed", 9);
    expect(at.kind()).toBe("closed");
    at.call("answered", 100);
    at.call("failed", 50);
    expect(at.kind()).toBe("closed");
  });

  it("forgets what is older than its window", () => {
    const at = breakerAt();
    at.call("failed", 19);
    at.pass(10_000);
    at.call("failed");
    expect(at.kind()).toBe("closed");
  });

  it("counts what came nine seconds apart together", () => {
    const at = breakerAt();
    at.call("failed", 19);
    at.pass(9_000);
    at.call("failed");
    expect(at.kind()).toBe("open");
  });

  it("does not count calls of which nothing can be said", () => {
    const at = breakerAt();
    at.call("unknown", 100);
    at.call("failed", 19);
    expect(at.kind()).toBe("closed");
  });

  it("drops what lies ahead of a clock that stepped back", () => {
    const at = breakerAt();
    at.call("failed", 19);
    at.pass(-60_000);
    at.call("failed", 19);
    expect(at.kind()).toBe("closed");
    at.call("failed");
    expect(at.kind()).toBe("open");
  });

  it("is never more than ten slices large", () => {
    const at = breakerAt();
    for (let i = 0; i < 100; i += 1, at.pass(700)) at.call("answered");
    const state = at.state();
    expect(state.kind === "closed" && state.slices.length).toBeLessThanOrEqual(30);
  });
});

describe("an open breaker", () => {
  it("refuses to the last millisecond of its pause and lets a probe through at its end", () => {
    const at = breakerAt();
    at.trip();
    at.pass(1_999);
    expect(at.ask().granted).toBe(false);
    at.pass(1);
    expect(at.ask()).toMatchObject({ granted: true, isProbe: true });
    expect(at.kind()).toBe("half-open");
  });

  it("pauses up to a quarter longer, as chance has it", () => {
    const at = breakerAt(START_MS, MOST);
    at.trip();
    at.pass(2_499);
    expect(at.ask().granted).toBe(false);
    at.pass(1);
    expect(at.ask().granted).toBe(true);
  });

  it("gives no retry time before the end of its pause, and spreads what it gives", () => {
    const at = breakerAt();
    at.trip();
    expect(at.refusedForMs()).toBe(2_000);
    at.pass(500);
    expect(at.refusedForMs()).toBe(1_500);
    at.random = MOST;
    expect(at.refusedForMs()).toBeGreaterThanOrEqual(3_490);
    expect(at.refusedForMs()).toBeLessThanOrEqual(3_500);
  });

  it("does not hear calls that were let through before it tripped", () => {
    const at = breakerAt();
    const early = at.enter();
    at.trip();
    at.report(early.era, "answered");
    at.report(early.era, "failed");
    expect(at.kind()).toBe("open");
    at.pass(2_000);
    const probe = at.enter();
    at.report(early.era, "answered");
    expect(at.kind()).toBe("half-open");
    at.report(probe.era, "failed");
    expect(at.kind()).toBe("open");
  });

  it("does not pause longer because the clock stepped back", () => {
    const at = breakerAt();
    at.trip();
    at.pass(-3_600_000);
    expect(at.refusedForMs()).toBe(2_500);
    at.pass(2_500);
    expect(at.ask().granted).toBe(true);
  });
});

describe("a half-open breaker", () => {
  function halfOpen() {
    const at = breakerAt();
    at.trip();
    at.pass(2_000);
    return { at, probe: at.enter() };
  }

  it("lets one probe through and nobody beside it", () => {
    const { at } = halfOpen();
    for (let i = 0; i < 50; i += 1) expect(at.ask().granted).toBe(false);
  });

  it("tells the others at least a second, spread", () => {
    const { at } = halfOpen();
    expect(at.refusedForMs()).toBe(1_000);
    at.random = MOST;
    expect(at.refusedForMs()).toBeGreaterThan(2_900);
  });

  it("closes on the probe's answer and has forgotten what tripped it", () => {
    const { at, probe } = halfOpen();
    at.report(probe.era, "answered");
    expect(at.kind()).toBe("closed");
    at.call("failed", 19);
    expect(at.kind()).toBe("closed");
  });

  it("doubles its pause with each failed probe, to 8 s", () => {
    const { at, probe } = halfOpen();
    at.report(probe.era, "failed");
    for (const pauseMs of [4_000, 8_000, 8_000, 8_000]) {
      at.pass(pauseMs - 1);
      expect(at.ask().granted).toBe(false);
      at.pass(1);
      at.report(at.enter().era, "failed");
    }
    expect(at.state()).toMatchObject({ kind: "open", pauseMs: 8_000 });
  });

  it("hears a probe once", () => {
    const { at, probe } = halfOpen();
    at.report(probe.era, "answered");
    at.report(probe.era, "failed");
    expect(at.kind()).toBe("closed");
  });

  it("gives the place to the next when a probe says nothing, without a longer pause", () => {
    const { at, probe } = halfOpen();
    at.report(probe.era, "unknown");
    expect(at.kind()).toBe("half-open");
    const next = at.enter();
    expect(next.isProbe).toBe(true);
    at.report(next.era, "failed");
    expect(at.state()).toMatchObject({ kind: "open", pauseMs: 4_000 });
  });

  it("gives the place to the next when a probe never reports, and does not hear it when it comes late", () => {
    const { at, probe } = halfOpen();
    at.pass(PROBE_MS - 1);
    expect(at.ask().granted).toBe(false);
    at.pass(1);
    const next = at.enter();
    at.report(probe.era, "failed");
    expect(at.kind()).toBe("half-open");
    at.report(next.era, "answered");
    expect(at.kind()).toBe("closed");
  });

  it("is not held by a clock that stepped back", () => {
    const { at } = halfOpen();
    at.pass(-3_600_000);
    expect(at.ask().granted).toBe(true);
  });
});

describe("a breaker that closed", () => {
  function closedAgain() {
    const at = breakerAt();
    at.trip();
    at.pass(2_000);
    at.call("failed");
    at.pass(4_000);
    at.call("answered");
    expect(at.kind()).toBe("closed");
    return at;
  }

  it("goes on where it had stopped if it trips within a window", () => {
    const at = closedAgain();
    at.pass(10_000);
    at.trip();
    expect(at.state()).toMatchObject({ pauseMs: 8_000 });
  });

  it("starts over after that", () => {
    const at = closedAgain();
    at.pass(10_001);
    at.trip();
    expect(at.state()).toMatchObject({ pauseMs: 2_000 });
  });
});

describe("any history", () => {
  const step = fc.record({
    passMs: fc.integer({ min: 0, max: 6_000 }),
    outcome: fc.constantFrom<Outcome | "lost">("answered", "failed", "failed", "unknown", "lost"),
    late: fc.boolean(),
    random: fc.double({ min: 0, max: 0.999, noNaN: true }),
  });

  it("never has two probes that are both heard, never stays shut for longer than it says, and ends closed once all is well", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const at = breakerAt();
        const late: number[] = [];
        for (const { passMs, outcome, late: isLate, random } of steps) {
          at.pass(passMs);
          at.random = () => random;
          const before = at.state();
          const permit = at.ask();
          if (!permit.granted) {
            expect(permit.retryAfterMs).toBeGreaterThan(0);
            if (before.kind === "open") expect(permit.retryAfterMs).toBeGreaterThanOrEqual(before.untilMs - at.nowMs);
            continue;
          }
          const under = before.kind === "half-open" ? before.probeUntilMs : null;
          expect(under === null || under <= at.nowMs).toBe(true);
          if (outcome === "lost" || isLate) late.push(permit.era);
          else at.report(permit.era, outcome);
          if (isLate && outcome !== "lost") at.report(late.shift() ?? permit.era, outcome);
        }
        // Whatever was lost, a healthy origin is found within the longest pause and one lost probe.
        at.pass(PROBE_MS + 20_000);
        at.call("answered");
        expect(at.kind()).toBe("closed");
      }),
      { numRuns: 2_000 },
    );
  });
});
