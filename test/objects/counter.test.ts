/** What a counter promises, seen from outside: through isolates of the gateway, with the real object in the real runtime. */
import { evictAllDurableObjects, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { freshClient, freshFleet, type Isolate, limitOf, objectsOf, startIsolate } from "../edge/gateway.ts";

const CHAT = "/api/ai/chat";
const LIMIT = 50;
const MINUTE_MS = 60_000;

afterEach(() => {
  vi.useRealTimers();
});

/** Sends `count` at once; the number that was admitted. */
async function burst(isolate: Isolate, client: string, count: number): Promise<number> {
  const responses = await Promise.all(Array.from({ length: count }, () => isolate.send(CHAT, { client })));
  expect(responses.filter(({ status }) => status !== 200 && status !== 429)).toEqual([]);
  return responses.filter(({ status }) => status === 200).length;
}

describe("a counter", () => {
  it("grants exactly the limit to 200 concurrent takes, told one by one", async () => {
    const isolate = startIsolate();
    const client = freshClient();
    const responses = await Promise.all(Array.from({ length: 200 }, () => isolate.send(CHAT, { client })));
    const left = responses.filter(({ status }) => status === 200).map((response) => limitOf(response)?.r ?? -1);
    expect(left.toSorted((a, b) => b - a)).toEqual(Array.from({ length: LIMIT }, (_, index) => LIMIT - 1 - index));
    expect(isolate.forwarded).toHaveLength(LIMIT);
  });

  it("grants exactly the limit to 50 concurrent takes of each of 20 clients", async () => {
    const isolate = startIsolate();
    const clients = Array.from({ length: 20 }, freshClient);
    expect(await Promise.all(clients.map((client) => burst(isolate, client, 60)))).toEqual(Array(20).fill(LIMIT));
  });

  it("grants not one over the limit to isolates that ask at the same time, and nearly all of it", async () => {
    const fleet = freshFleet();
    const client = freshClient();
    const isolates = Array.from({ length: 5 }, () => startIsolate({ fleet }));
    const admitted = await Promise.all(isolates.map((isolate) => burst(isolate, client, 40)));
    const sum = admitted.reduce((a, b) => a + b);
    expect(sum).toBeLessThanOrEqual(LIMIT);
    expect(sum).toBeGreaterThanOrEqual(LIMIT * 0.95);
  });

  it("grants not one over the limit to isolates that take turns", async () => {
    const fleet = freshFleet();
    const client = freshClient();
    const isolates = Array.from({ length: 3 }, () => startIsolate({ fleet }));
    let admitted = 0;
    for (let round = 0; round < 30; round += 1) {
      for (const isolate of isolates) admitted += await burst(isolate, client, 1);
    }
    expect(admitted).toBeLessThanOrEqual(LIMIT);
    expect(admitted).toBeGreaterThanOrEqual(LIMIT * 0.95);
  });

  it("remembers the window across eviction", async () => {
    const isolate = startIsolate();
    const client = freshClient();
    let admitted = await burst(isolate, client, 20);
    await evictAllDurableObjects();
    admitted += await burst(isolate, client, 60);
    await evictAllDurableObjects();
    admitted += await burst(isolate, client, 60);
    expect(admitted).toBe(LIMIT);
  });

  it("remembers the window across eviction also for an isolate that starts after it", async () => {
    const fleet = freshFleet();
    const client = freshClient();
    let admitted = await burst(startIsolate({ fleet }), client, 30);
    await evictAllDurableObjects();
    const late = startIsolate({ fleet });
    admitted += await burst(late, client, 60);
    expect(admitted).toBeGreaterThanOrEqual(30);
    expect(admitted).toBeLessThanOrEqual(LIMIT);
    expect(limitOf(await late.send(CHAT, { client }))).toMatchObject({ q: LIMIT, r: 0 });
  });

  it("remembers the tier across eviction, against an isolate that is late", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const fleet = freshFleet();
    const client = freshClient();
    const [early, late] = [startIsolate({ fleet }), startIsolate({ fleet })];
    await late.send(CHAT, { client });
    await early.send(CHAT, { client });
    early.put("load-pin", '{"load":0.9}');
    vi.setSystemTime(Date.now() + 30_000);
    await early.send("/");
    expect(limitOf(await early.send(CHAT, { client }))).toMatchObject({ tier: "critical", q: 10 });
    await evictAllDurableObjects();
    expect(limitOf(await late.send(CHAT, { client }))).toMatchObject({ tier: "critical", q: 10 });
  });

  it("gives every unit back once the window is over, and none before", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.UTC(2026, 10, 23, 12) });
    const isolate = startIsolate();
    const client = freshClient();
    expect(await burst(isolate, client, 60)).toBe(LIMIT);
    vi.setSystemTime(Date.now() + MINUTE_MS - 1);
    expect(await burst(isolate, client, 60)).toBe(0);
    vi.setSystemTime(Date.now() + 1_001);
    expect(await burst(isolate, client, 60)).toBe(LIMIT);
  });

  it("keeps its word: one more fits at the moment it names", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.UTC(2026, 10, 23, 12) });
    const isolate = startIsolate();
    const client = freshClient();
    for (const pauseMs of [0, 7_300, 11_900, 13_100]) {
      vi.setSystemTime(Date.now() + pauseMs);
      await burst(isolate, client, 15);
    }
    for (let round = 0; round < 5; round += 1) {
      const refused = await isolate.send(CHAT, { client });
      expect(refused.status).toBe(429);
      vi.setSystemTime(Date.now() + Number(refused.headers.get("Retry-After")) * 1000);
      expect(await burst(isolate, client, 1)).toBe(1);
      await burst(isolate, client, 60);
    }
  });

  it("sweeps what has expired until its storage is empty, and nothing before", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const fleet = freshFleet();
    const isolate = startIsolate({ fleet });
    const clients = Array.from({ length: 30 }, freshClient);
    for (const client of clients) await burst(isolate, client, 20);
    const objects = objectsOf(fleet);
    expect(objects.length).toBeGreaterThan(1);
    for (const object of objects) expect(await runDurableObjectAlarm(object)).toBe(true);
    expect(await burst(isolate, clients[0] ?? "", 60)).toBe(LIMIT - 20);
    for (let round = 0; round < 3; round += 1) {
      vi.setSystemTime(Date.now() + 2 * MINUTE_MS);
      for (const object of objects) await runDurableObjectAlarm(object);
    }
    for (const object of objects) {
      const left = await runInDurableObject(object, async (_, { storage }) => ({
        rows: [...storage.kv.list()].length,
        alarm: await storage.getAlarm(),
      }));
      expect(left).toEqual({ rows: 0, alarm: null });
    }
    expect(await burst(isolate, clients[0] ?? "", 60)).toBe(LIMIT);
  });
});
