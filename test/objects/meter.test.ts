/** What the meter promises: the real object on the real storage and KV of the runtime. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { LoadMeter } from "../../src/objects/meter.ts";
import { EVENTS, outcomeAt } from "../../src/policy/tally.ts";
import type { MeterView } from "../../src/ports.ts";
import { type Counts, flushOf } from "../policy/flushes.ts";

/** In the future, so that no alarm goes off by itself. */
const START_MS = Date.UTC(2099, 10, 23, 12);
const EDGE = "request-rate:edge";

type Stub = DurableObjectStub<LoadMeter>;

let meters = 0;

/** A meter that no other test has. */
function freshMeter(): Stub {
  meters += 1;
  return env.METER.getByName(`meter-${meters}-${Date.now()}`);
}

/** Counts that isolate "a" tells of the last three quarters of a minute: too slow a rise to be a steep one. */
async function tell(meter: Stub, number: number, counts: Counts, documentsChangedMs = 0) {
  return await meter.report({ flush: flushOf(counts, { number, spanMs: 45_000 }), documentsChangedMs });
}

/** The platform's type for an RPC answer is `never` for what holds an `unknown`, here in a fault. */
async function look(meter: Stub): Promise<MeterView> {
  return await (meter.view(false) as Promise<MeterView>);
}

/** Requests of profile default under tier low, by outcome, since the beginning. */
async function totalOf(meter: Stub, outcome: "admitted" | "refused"): Promise<number> {
  const { totals } = await look(meter);
  return new Map(totals).get("default")?.[outcomeAt("low", outcome)] ?? 0;
}

async function published(): Promise<Record<string, unknown> | null> {
  return await env.EDGE_KV.get(EDGE, "json");
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: START_MS });
});
afterEach(async () => {
  vi.useRealTimers();
  for (const key of ["tier-tables", "tier-tables:good", "request-rate", EDGE, "load-pin"])
    await env.EDGE_KV.delete(key);
});

describe("a meter", () => {
  it("answers a flush with its word", async () => {
    expect(await tell(freshMeter(), 1, { admitted: 100, refused: 20 })).toMatchObject({
      requestsPerMinute: 100,
      offeredPerMinute: 120,
      capacity: 1_000,
      tier: "low",
      publishedAtMs: START_MS,
    });
  });

  it("counts a flush once, however often it comes, and goes on after an eviction", async () => {
    const meter = freshMeter();
    await tell(meter, 1, { admitted: 100 });
    await tell(meter, 1, { admitted: 100 });
    expect(await totalOf(meter, "admitted")).toBe(100);
    await evictDurableObject(meter);
    await tell(meter, 1, { admitted: 100 });
    expect(await totalOf(meter, "admitted")).toBe(100);
    vi.setSystemTime(START_MS + 1_000);
    const { requestsPerMinute } = await tell(meter, 2, { admitted: 50, refused: 3 });
    expect(requestsPerMinute).toBe(150);
    expect([await totalOf(meter, "admitted"), await totalOf(meter, "refused")]).toEqual([150, 3]);
  });

  it("has written down what it counted within moments, though nobody looks", async () => {
    const meter = freshMeter();
    await tell(meter, 1, { admitted: 7 });
    vi.useRealTimers();
    const untilMs = Date.now() + 30_000;
    const isStored = () => runInDurableObject(meter, (_, { storage }) => storage.kv.get("loop") !== undefined);
    while (!(await isStored()) && Date.now() < untilMs) await scheduler.wait(100);
    await evictDurableObject(meter);
    expect(await totalOf(meter, "admitted")).toBe(7);
  });

  it("publishes while there is traffic, and zero without a time when it has ended", async () => {
    const meter = freshMeter();
    await tell(meter, 1, { admitted: 450 });
    await runDurableObjectAlarm(meter);
    expect(await published()).toEqual({
      requests_per_minute: 450,
      capacity: 1_000,
      published_at: new Date(START_MS).toISOString(),
      tier: "medium",
      offered_per_minute: 450,
      error_rate: 0,
      avg_response_ms: 100,
    });
    vi.setSystemTime(START_MS + 70_000);
    await runDurableObjectAlarm(meter);
    expect(await published()).toEqual({
      requests_per_minute: 0,
      capacity: 1_000,
      tier: "low",
      offered_per_minute: 0,
      error_rate: 0,
      avg_response_ms: 0,
    });
    expect(await runDurableObjectAlarm(meter), "nothing more to do").toBe(false);
  });

  it("takes up its alarm again with the next request", async () => {
    const meter = freshMeter();
    await tell(meter, 1, { admitted: 1 });
    await runDurableObjectAlarm(meter);
    vi.setSystemTime(START_MS + 70_000);
    await runDurableObjectAlarm(meter);
    await evictDurableObject(meter);
    vi.setSystemTime(START_MS + 80_000);
    await tell(meter, 2, { admitted: 650 });
    await runDurableObjectAlarm(meter);
    expect(await published()).toMatchObject({ requests_per_minute: 650, tier: "high" });
  });
});

describe("documents of others", () => {
  it("decide with the first flush: tables, the signal of a publisher, a pin", async () => {
    await env.EDGE_KV.put("tier-tables", '{"capacity_rpm":100}');
    expect(await tell(freshMeter(), 1, { admitted: 65 })).toMatchObject({ capacity: 100, tier: "high" });
    await env.EDGE_KV.put("request-rate", "85");
    expect(await tell(freshMeter(), 1, { admitted: 1 })).toMatchObject({ tier: "critical" });
    await env.EDGE_KV.put("load-pin", '{"load":0.4}');
    const meter = freshMeter();
    const pin = { load: 0.4, untilMs: null };
    expect(await tell(meter, 1, { admitted: 1 })).toMatchObject({ tier: "critical", pin, documentsAsOfMs: START_MS });
    expect(await look(meter)).toMatchObject({
      tier: "medium",
      load: 0.4,
      source: "pin",
      signalAgeMs: null,
      capacityRpm: 100,
    });
  });

  it("are read again when an isolate has seen one change, and not for every flush", async () => {
    const meter = freshMeter();
    await tell(meter, 1, { admitted: 1 });
    await env.EDGE_KV.put("load-pin", '{"load":0.9}');
    vi.setSystemTime(START_MS + 2_000);
    expect(await tell(meter, 2, { admitted: 1 })).toMatchObject({ pin: null });
    vi.setSystemTime(START_MS + 3_000);
    expect(await tell(meter, 3, { admitted: 1 }, START_MS + 1_000)).toMatchObject({ pin: { load: 0.9 } });
  });

  it("that are no tables leave the last good ones in force, say why, and count once", async () => {
    await env.EDGE_KV.put("tier-tables", '{"capacity_rpm":100}');
    const meter = freshMeter();
    await tell(meter, 1, { admitted: 1 });
    await env.EDGE_KV.put("tier-tables", '{"capacity_rpm":0}');
    for (let look = 1; look <= 3; look += 1) {
      vi.setSystemTime(START_MS + look * 40_000);
      await tell(meter, 1 + look, { admitted: 1 });
      await runDurableObjectAlarm(meter);
    }
    const { tables, faults, events } = await look(meter);
    expect(tables.capacityRpm).toBe(100);
    expect(faults).toEqual([{ path: "capacity_rpm", expected: "a number 1..1000000000", got: 0 }]);
    expect(events[EVENTS.indexOf("documentsRefused")]).toBe(1);
    await evictDurableObject(meter);
    expect((await look(meter)).faults).toHaveLength(1);
  });
});

describe("what is wrong", () => {
  it("a repeat counts once also after minutes and a restart", async () => {
    const meter = freshMeter();
    const flush = flushOf({ admitted: 100 }, { number: 1, spanMs: 45_000 });
    await meter.report({ flush, documentsChangedMs: 0 });
    vi.setSystemTime(START_MS + 590_000);
    await meter.report({ flush: flushOf({ admitted: 1 }, { isolate: "b" }), documentsChangedMs: 0 });
    expect(await totalOf(meter, "admitted")).toBe(101);
    await evictDurableObject(meter);
    await meter.report({ flush: { ...flush, ageMs: 590_000 }, documentsChangedMs: 0 });
    expect(await totalOf(meter, "admitted")).toBe(101);
  });

  it.each([{}, { meter: { startedMs: 1 } }, "text"])(
    "a stored copy of another shape, %j, does not end it",
    async (copy) => {
      const meter = freshMeter();
      await runInDurableObject(meter, (_, { storage }) => storage.kv.put("loop", copy));
      await evictDurableObject(meter);
      expect(await tell(meter, 1, { admitted: 5 })).toMatchObject({ requestsPerMinute: 5 });
    },
  );

  it("a write to KV that hangs is given up, and tried again", async () => {
    const meter = freshMeter();
    await tell(meter, 1, { admitted: 5 });
    let puts = 0;
    await withKv(meter, (kv) => ({
      get: kv.get.bind(kv),
      put: () => {
        puts += 1;
        return new Promise<never>(() => {});
      },
    }));
    for (let round = 1; round <= 2; round += 1) {
      await runDurableObjectAlarm(meter);
      vi.setSystemTime(START_MS + round * 20_000);
    }
    expect(puts).toBe(2);
  });

  it("exempt traffic alone sets off no alarms, and an isolate's clock that is ahead no reads", async () => {
    const meter = freshMeter();
    await tell(meter, 1, { exempt: 3 });
    expect(await runDurableObjectAlarm(meter)).toBe(false);
    let reads = 0;
    await withKv(meter, (kv) => ({
      get: (...asked: Parameters<KVNamespace["get"]>) => {
        reads += 1;
        return kv.get(...asked);
      },
      put: async () => {},
    }));
    for (let number = 2; number <= 11; number += 1) {
      vi.setSystemTime(START_MS + number * 10);
      await tell(meter, number, { exempt: 1 }, START_MS + 20_000);
    }
    expect(reads).toBeLessThanOrEqual(1);
  });
});

/** Puts a KV of the test's own in the place of the real one. */
async function withKv(meter: Stub, replace: (kv: KVNamespace) => object): Promise<void> {
  await runInDurableObject(meter, (instance) => {
    const { EDGE_KV } = (instance as unknown as { env: { EDGE_KV: KVNamespace } }).env;
    Object.defineProperty(instance, "env", { value: { EDGE_KV: replace(EDGE_KV) } });
  });
}
