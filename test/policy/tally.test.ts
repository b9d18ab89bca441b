import { describe, expect, it } from "vitest";
import {
  BUCKET_COUNT,
  BUCKETS_AT,
  BUCKETS_MS,
  bucketOf,
  COUNTS_AS,
  countAnswer,
  countEvent,
  countOutcome,
  countRefusal,
  EVENTS,
  EXHAUSTED_AT,
  newTally,
  OTHER_PROFILES,
  OUTCOMES,
  outcomeAt,
  RESPONSE_MS_AT,
  ROW_LENGTH,
  ROWS_MAX,
  STATUS_AT,
  WITHHELD_AT,
} from "../../src/policy/tally.ts";
import { TIERS } from "../../src/policy/tier.ts";

const LIMITS = { low: 50, medium: 30, high: 20, critical: 10 };

describe("the columns of a row", () => {
  it("overlap nowhere and leave no gap", () => {
    const outcomes = TIERS.flatMap((tier) => OUTCOMES.map((outcome) => outcomeAt(tier, outcome)));
    const statuses = [0, 1, 2, 3].map((index) => STATUS_AT + index);
    const buckets = Array.from({ length: BUCKET_COUNT }, (_, index) => BUCKETS_AT + index);
    const all = [...outcomes, ...statuses, ...buckets, RESPONSE_MS_AT, WITHHELD_AT, EXHAUSTED_AT];
    expect(all).toEqual(Array.from({ length: ROW_LENGTH }, (_, index) => index));
  });
});

describe("COUNTS_AS", () => {
  it("is the table of the contract: no refusal is load, and what is exempt is nothing", () => {
    expect(COUNTS_AS).toEqual({
      admitted: { offered: true, load: true },
      failed: { offered: true, load: true },
      cached: { offered: true, load: false },
      shadow_refused: { offered: true, load: true },
      refused: { offered: true, load: false },
      shed: { offered: true, load: false },
      exempt: { offered: false, load: false },
    });
  });
});

describe("a tally", () => {
  it("counts by profile, tier and outcome, from the first count on", () => {
    const tally = newTally();
    expect(tally.startedMs).toBeNull();
    countOutcome(tally, "default", "high", "admitted", 1_000);
    countOutcome(tally, "default", "high", "admitted", 2_000);
    countOutcome(tally, "ai-chat", "low", "cached", 3_000);
    expect(tally.startedMs).toBe(1_000);
    expect(tally.rows.get("default")?.[outcomeAt("high", "admitted")]).toBe(2);
    expect(tally.rows.get("ai-chat")?.[outcomeAt("low", "cached")]).toBe(1);
  });

  it.each([
    [0, 0],
    [10, 0],
    [10.5, 1],
    [100, 3],
    [10_000, 9],
    [10_001, BUCKETS_MS.length],
  ])("puts %d ms into bucket %d", (ms, bucket) => {
    expect(bucketOf(ms)).toBe(bucket);
  });

  it.each([
    [200, 0],
    [304, 1],
    [404, 2],
    [503, 3],
  ])("counts status %d in its class", (status, index) => {
    const tally = newTally();
    countAnswer(tally, "default", status, 80, 0);
    const row = tally.rows.get("default") ?? [];
    expect(row.slice(STATUS_AT, STATUS_AT + 4)).toEqual([0, 1, 2, 3].map((at) => (at === index ? 1 : 0)));
    expect(row[BUCKETS_AT + 3]).toBe(1);
    expect(row[RESPONSE_MS_AT]).toBe(80);
  });

  it("counts an answer of the cache without a time, and an upgrade without a class", () => {
    const tally = newTally();
    countAnswer(tally, "default", 200, null, 0);
    countAnswer(tally, "default", 101, 5, 0);
    const row = tally.rows.get("default") ?? [];
    expect(row.slice(STATUS_AT, STATUS_AT + 4)).toEqual([1, 0, 0, 0]);
    expect(row.slice(BUCKETS_AT, BUCKETS_AT + BUCKET_COUNT).reduce((a, b) => a + b)).toBe(1);
  });

  it("counts refusals of a client as withheld up to the units one tier looser would add, its limit as exhausted once", () => {
    const tally = newTally();
    for (let nth = 1; nth <= 25; nth++) countRefusal(tally, "ai-chat", "critical", nth, LIMITS, 0);
    const row = tally.rows.get("ai-chat") ?? [];
    expect([row[outcomeAt("critical", "refused")], row[WITHHELD_AT], row[EXHAUSTED_AT]]).toEqual([25, 10, 10]);
  });

  it("withholds nothing at low: there is no looser tier", () => {
    const tally = newTally();
    countRefusal(tally, "ai-chat", "low", 1, LIMITS, 0);
    expect(tally.rows.get("ai-chat")?.[WITHHELD_AT]).toBe(0);
  });

  it("counts events", () => {
    const tally = newTally();
    countEvent(tally, "counterCalls", 2, 5);
    expect(tally.events).toEqual(EVENTS.map((name) => (name === "counterCalls" ? 2 : 0)));
    expect(tally.startedMs).toBe(5);
  });

  it("keeps so many profiles and adds up the rest in one row", () => {
    const tally = newTally();
    for (let i = 0; i < 2 * ROWS_MAX; i++) countOutcome(tally, `p${i}`, "low", "admitted", 0);
    expect(tally.rows.size).toBe(ROWS_MAX + 1);
    expect(tally.rows.get(OTHER_PROFILES)?.[outcomeAt("low", "admitted")]).toBe(ROWS_MAX);
  });
});
