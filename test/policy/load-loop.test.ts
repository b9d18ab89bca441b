import { describe, expect, it } from "vitest";
import { acknowledge, type Flush, flushWaitMs, newReporter, nextFlush } from "../../src/policy/flush.ts";
import { BUILT_IN } from "../../src/policy/limits.ts";
import {
  copyLoop,
  dueAt,
  type LoadLoop,
  type LoopRules,
  openLoop,
  published,
  publishing,
  receive,
  signalAt,
} from "../../src/policy/load-loop.ts";
import { countOutcome } from "../../src/policy/tally.ts";
import { AT_REST, flushOf } from "./flushes.ts";

const T = Date.UTC(2026, 10, 23, 15, 0, 0);
const S = 1_000;
const RULES: LoopRules = { tables: BUILT_IN, publishMs: 10_000, external: null, pin: null, documentsAsOfMs: T };

/** Flushes of one isolate that admits so many a second, every five seconds. */
function feed(loop: LoadLoop, from: number, to: number, perSecond: number, rules = RULES): void {
  for (let at = from + 5; at <= to; at += 5)
    receive(loop, flushOf({ admitted: 5 * perSecond }, { number: at, spanMs: 5_000 }), rules, T + at * S);
}

describe("receive", () => {
  it("answers with what the meter knows", () => {
    const loop = openLoop(null, T);
    feed(loop, 0, 70, 11);
    expect(signalAt(loop, RULES, T + 70 * S)).toMatchObject({
      requestsPerMinute: 660,
      offeredPerMinute: 660,
      capacity: 1_000,
      tier: "high",
      publishedAtMs: T + 70 * S,
      shed: {},
    });
  });

  it("says that a repeat was counted before, and answers it all the same", () => {
    const loop = openLoop(null, T);
    const flush = flushOf({ admitted: 10 });
    expect(receive(loop, flush, RULES, T).isCounted).toBe(true);
    const again = receive(loop, flush, RULES, T + S);
    expect([again.isCounted, again.signal.requestsPerMinute]).toEqual([false, 10]);
  });

  it("reckons no oftener than it has to, and again when the clock steps back", () => {
    const loop = openLoop(null, T);
    const first = signalAt(loop, RULES, T);
    expect(signalAt(loop, RULES, T + 249)).toBe(first);
    expect(signalAt(loop, RULES, T + 250)).not.toBe(first);
    const later = signalAt(loop, RULES, T + 500);
    expect(signalAt(loop, RULES, T - 3_600_000)).not.toBe(later);
  });

  it("does not tighten for a flood of refused requests, a hundred times the capacity", () => {
    const loop = openLoop(null, T);
    for (let at = 5; at <= 120; at += 5) {
      const row = flushOf({ admitted: 1 }).rows[0]?.[1].map((units) => units * 20) ?? [];
      row[4] = 8_000;
      const flush = { ...flushOf({}, { number: at, spanMs: 5_000 }), rows: [["default", row]] as const };
      receive(loop, flush, RULES, T + at * S);
    }
    const signal = signalAt(loop, RULES, T + 120 * S);
    expect(signal.offeredPerMinute).toBeGreaterThan(96_000);
    expect(signal).toMatchObject({ requestsPerMinute: 240, tier: "low" });
  });

  it("does not tell a pin as if it were load: an isolate drops it the moment it ends", () => {
    const loop = openLoop(null, T);
    const rules: LoopRules = { ...RULES, pin: { load: 0.9, untilMs: null } };
    feed(loop, 0, 60, 1, rules);
    expect(loop.fleet.tier).toBe("critical");
    expect(signalAt(loop, rules, T + 60 * S).tier).toBe("low");
  });

  it("names shares to shed where there is a ceiling", () => {
    const tables = { ...BUILT_IN, overload: { shedAbove: 0.95, order: ["default"] } };
    const rules = { ...RULES, tables };
    const loop = openLoop(null, T);
    feed(loop, 0, 60, 100, rules);
    expect(signalAt(loop, rules, T + 60 * S).shed["default"]).toBeCloseTo(1 - 950 / 6_000, 2);
  });
});

describe("dueAt", () => {
  it("publishes while there is traffic, and closes when it has ended", () => {
    const loop = openLoop(null, T);
    const kinds: string[] = [];
    feed(loop, 0, 30, 11);
    for (let at = 30; at < 200; at++) {
      const due = dueAt(loop, RULES, T + at * S);
      if (due.kind === "wait") continue;
      publishing(loop, due.kind, T + at * S);
      published(loop, due.kind, true);
      kinds.push(`${at} ${due.kind} ${due.document.requests_per_minute}`);
    }
    expect(kinds[0]).toBe("30 publish 330");
    expect(kinds.at(-1)).toBe("100 close 0");
    expect(dueAt(loop, RULES, T + 500 * S)).toEqual({ kind: "wait", waitMs: null });
  });
});

describe("a loop that is taken up again", () => {
  it("goes on as if nothing had happened", () => {
    const loop = openLoop(null, T);
    feed(loop, 0, 60, 14);
    publishing(loop, "publish", T + 60 * S);
    const again = openLoop(structuredClone(copyLoop(loop, T + 60 * S)), T + 61 * S);
    for (const at of [62, 65, 70]) {
      expect(signalAt(again, RULES, T + at * S)).toEqual(signalAt(loop, RULES, T + at * S));
      expect(dueAt(again, RULES, T + at * S)).toEqual(dueAt(loop, RULES, T + at * S));
    }
    expect(again.fleet).toEqual(loop.fleet);
  });

  it("counts every request once, though the meter is evicted, restarted from an older copy and away for a minute", () => {
    const reporters = Array.from({ length: 8 }, (_, i) => newReporter(`i${i}`));
    let loop = openLoop(null, T);
    let stored = copyLoop(loop, T);
    let offered = 0;
    let lost = 0;
    for (let at = 0; at < 600; at++) {
      const nowMs = T + at * S;
      if (at % 10 === 0) stored = structuredClone(copyLoop(loop, nowMs));
      // Evicted after a write at 100 s, dead between two writes at 207 s.
      if (at === 100 || at === 207) {
        const before = totalOf(loop);
        loop = openLoop(stored, nowMs);
        lost += before - totalOf(loop);
      }
      const isAway = at >= 300 && at < 360;
      for (const [i, reporter] of reporters.entries()) {
        for (let n = 0; n < 3; n++) countOutcome(reporter.tally, "default", "low", "admitted", nowMs);
        offered += 3;
        if (flushWaitMs(reporter, nowMs) !== 0) continue;
        const flush = nextFlush(reporter, AT_REST, nowMs);
        if (flush === null || isAway) continue;
        receive(loop, flush, RULES, nowMs);
        // One answer in seven is lost on its way back.
        if ((at + i) % 7 !== 0) acknowledge(reporter, flush.number);
      }
    }
    for (let more = 0; more < 4; more++)
      for (const reporter of reporters) {
        const flush = nextFlush(reporter, AT_REST, T + (600 + 5 * more) * S);
        if (flush === null) continue;
        receive(loop, flush, RULES, T + (600 + 5 * more) * S);
        acknowledge(reporter, flush.number);
      }
    console.log(
      `meter: ${offered} requests, ${totalOf(loop)} counted, ${offered - totalOf(loop)} lost with a machine that died`,
    );
    expect(totalOf(loop)).toBeLessThanOrEqual(offered);
    // Nothing is counted twice; what died with the machine and had not been acknowledged was told again.
    expect(totalOf(loop)).toBeGreaterThanOrEqual(offered - lost);
    expect(lost).toBeLessThan(0.02 * offered);
  });
});

describe("a flush that was away for a minute", () => {
  it("does not look like a spike", () => {
    const loop = openLoop(null, T);
    feed(loop, 0, 60, 4);
    const late: Flush = flushOf({ admitted: 240 }, { number: 1_000, spanMs: 60_000 });
    const { signal } = receive(loop, late, RULES, T + 120 * S);
    expect(signal.tier).toBe("low");
    expect(signal.requestsPerMinute).toBeLessThanOrEqual(264);
  });
});

function totalOf({ meter }: LoadLoop): number {
  return meter.totals.get("default")?.[0] ?? 0;
}
