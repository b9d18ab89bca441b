import { describe, expect, it } from "vitest";
import {
  acknowledge,
  FLUSH_EVERY_MS,
  flushWaitMs,
  newReporter,
  nextFlush,
  PENDING_MAX_MS,
} from "../../src/policy/flush.ts";
import { countOutcome, outcomeAt } from "../../src/policy/tally.ts";
import { AT_REST } from "./flushes.ts";

const T = 1_764_000_000_000;

function counted(times: number, atMs: number, reporter = newReporter("a")) {
  for (let i = 0; i < times; i++) countOutcome(reporter.tally, "default", "low", "admitted", atMs);
  return reporter;
}

function admittedIn(flush: ReturnType<typeof nextFlush>): number {
  return flush?.rows[0]?.[1][outcomeAt("low", "admitted")] ?? 0;
}

describe("flushWaitMs", () => {
  it("is null while there is nothing to tell", () => {
    expect(flushWaitMs(newReporter("a"), T)).toBeNull();
  });

  it("lets the first flush go at once and the next after the pause", () => {
    const reporter = counted(1, T);
    expect(flushWaitMs(reporter, T)).toBe(0);
    const flush = nextFlush(reporter, AT_REST, T);
    acknowledge(reporter, flush?.number ?? 0);
    expect(flushWaitMs(reporter, T + 1_000)).toBeNull();
    counted(1, T + 1_000, reporter);
    expect(flushWaitMs(reporter, T + 1_000)).toBe(FLUSH_EVERY_MS - 1_000);
    expect(flushWaitMs(reporter, T + FLUSH_EVERY_MS)).toBe(0);
  });

  it("waits a pause at most after the clock has stepped back", () => {
    const reporter = counted(1, T);
    nextFlush(reporter, AT_REST, T);
    expect(flushWaitMs(reporter, T - 3_600_000)).toBe(FLUSH_EVERY_MS);
  });
});

describe("nextFlush", () => {
  it("carries what was counted, how long that took, and what is at the origin", () => {
    const reporter = counted(3, T);
    counted(2, T + 4_000, reporter);
    const flush = nextFlush(reporter, { inFlight: 7, isCircuitOpen: true }, T + 5_000);
    expect(flush).toMatchObject({ isolate: "a", number: 1, spanMs: 5_000, ageMs: 0, inFlight: 7, isCircuitOpen: true });
    expect(admittedIn(flush)).toBe(5);
  });

  it("sends again what was not acknowledged, as it was, and what came meanwhile afterwards", () => {
    const reporter = counted(3, T);
    const first = nextFlush(reporter, AT_REST, T);
    counted(4, T + 1_000, reporter);
    const again = nextFlush(reporter, AT_REST, T + 5_000);
    expect([again?.number, again?.ageMs, admittedIn(again)]).toEqual([first?.number, 5_000, 3]);
    acknowledge(reporter, 1);
    const second = nextFlush(reporter, AT_REST, T + 10_000);
    expect([second?.number, second?.spanMs, admittedIn(second)]).toEqual([2, 9_000, 4]);
  });

  it("keeps two tallies at most, however long the meter is away", () => {
    const reporter = newReporter("a");
    for (let at = 0; at < 600; at++) {
      counted(1, T + at * 1_000, reporter);
      if (flushWaitMs(reporter, T + at * 1_000) === 0) nextFlush(reporter, AT_REST, T + at * 1_000);
    }
    const first = nextFlush(reporter, AT_REST, T + 600_000);
    acknowledge(reporter, first?.number ?? 0);
    const rest = nextFlush(reporter, AT_REST, T + 605_000);
    expect(admittedIn(first) + admittedIn(rest)).toBe(600);
  });

  it("is not changed by what is counted after it", () => {
    const reporter = counted(1, T);
    const flush = nextFlush(reporter, AT_REST, T);
    counted(9, T, reporter);
    expect(admittedIn(flush)).toBe(1);
  });

  it("ignores an acknowledgement of another flush", () => {
    const reporter = counted(1, T);
    nextFlush(reporter, AT_REST, T);
    acknowledge(reporter, 7);
    expect(nextFlush(reporter, AT_REST, T + 5_000)?.number).toBe(1);
  });

  it("is null where nothing was counted", () => {
    expect(nextFlush(newReporter("a"), AT_REST, T)).toBeNull();
  });

  it("gives up a flush that nobody has answered for ten minutes: the meter may no longer know that it had it", () => {
    const reporter = newReporter("a");
    countOutcome(reporter.tally, "default", "low", "admitted", T);
    expect(nextFlush(reporter, AT_REST, T)?.number).toBe(1);
    expect(nextFlush(reporter, AT_REST, T + PENDING_MAX_MS)?.number).toBe(1);
    countOutcome(reporter.tally, "default", "low", "admitted", T + PENDING_MAX_MS);
    expect(nextFlush(reporter, AT_REST, T + PENDING_MAX_MS + 1)).toMatchObject({ number: 2 });
  });
});
