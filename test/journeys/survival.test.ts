/** What was counted stays counted: when the process is killed, when a counter is dropped from memory, when it idles. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { freshClient, type Gateway, startGateway } from "./gateway.ts";
import { type OwnOrigin, startOwnOrigin } from "./own-origin.ts";

const LIMIT = 50;

/** Longer than an object without requests stays in memory. */
const IDLE_MS = 12_000;

let origin: OwnOrigin;
let gateway: Gateway;
beforeAll(async () => {
  // It outlives the gateway and counts what really came through, answered or not.
  origin = await startOwnOrigin((incoming, outgoing) => {
    incoming.resume();
    setTimeout(() => outgoing.end("ok"), 20);
  });
  gateway = await startGateway({ env: { ORIGIN_URL: origin.url } });
});
afterAll(async () => {
  await gateway?.stop();
  await origin?.close();
});

/** Sends `count` at once; the statuses, null where the connection broke. */
function burst(path: string, client: string, count: number): Promise<readonly (number | null)[]> {
  const sent = Array.from({ length: count }, () =>
    gateway.request(path, { method: "POST", client }).then(
      ({ status }) => status,
      () => null,
    ),
  );
  return Promise.all(sent);
}

it("admits not one over the limit when it is killed in mid-window and started again", async () => {
  const client = freshClient();
  const path = "/api/ai/killed";
  expect(await burst(path, client, 20)).toEqual(Array(20).fill(200));
  await gateway.kill();
  await gateway.restart();
  const first = await gateway.request(path, { method: "POST", client });
  const after = await burst(path, client, 60);
  expect(first.limit()?.q).toBe(LIMIT);
  expect(first.limit()?.r).toBeLessThan(LIMIT - 20);
  expect(after).toContain(429);
  expect(origin.count(path)).toBeGreaterThanOrEqual(20);
  expect(origin.count(path)).toBeLessThanOrEqual(LIMIT);
});

it("admits not one over the limit when it is killed with requests in flight", async () => {
  const client = freshClient();
  const path = "/api/ai/killed-in-flight";
  const inFlight = burst(path, client, 30);
  while (origin.count(path) < 10) await sleep(1);
  await gateway.kill();
  const answered = await inFlight;
  expect(answered).toContain(null);
  const before = origin.count(path);
  await gateway.restart();
  const after = await burst(path, client, 60);
  expect(after).toContain(429);
  expect(before).toBeGreaterThanOrEqual(10);
  expect(origin.count(path)).toBeLessThanOrEqual(LIMIT);
});

it("admits exactly the limit when a client pauses for 12 s in mid-window", async () => {
  const client = freshClient();
  const path = "/api/ai/pause";
  expect(await burst(path, client, 20)).toEqual(Array(20).fill(200));
  await sleep(IDLE_MS);
  const after = await burst(path, client, 60);
  expect(after.filter((status) => status === 200)).toHaveLength(LIMIT - 20);
  expect(after.filter((status) => status === 429)).toHaveLength(60 - (LIMIT - 20));
  expect(origin.count(path)).toBe(LIMIT);
});
