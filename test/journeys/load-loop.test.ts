/** The load loop as people see it: nobody writes a rate into KV, and the limits follow the traffic all the same. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Gateway, startGateway } from "./gateway.ts";

const CAPACITY_RPM = 200;
/** Far above what is sent: a limit refuses nobody here. */
const LIMITS = { low: 10_000, medium: 9_000, high: 8_000, critical: 7_000 };

let gateway: Gateway;

beforeAll(async () => {
  gateway = await startGateway({ env: { METRICS_TOKEN: "metrics", SIGNAL_TOKEN: "signal" } });
  const tables = { capacity_rpm: CAPACITY_RPM, profiles: { default: { limits: LIMITS } } };
  await gateway.putKv("tier-tables", JSON.stringify(tables));
  while ((await limit()) !== LIMITS.low) await sleep(100);
});
afterAll(() => gateway.stop());

/** The limit that a new client is told. */
async function limit(): Promise<number | undefined> {
  return (await gateway.request("/limit")).limit()?.q;
}

/** Sends `perSecond` until a response carries the tier, or `withinMs` are over; the ms it took. */
async function driveUntil(tier: string, perSecond: number, withinMs: number): Promise<number | null> {
  const startMs = performance.now();
  for (let sent = 0; performance.now() - startMs < withinMs; sent += 1) {
    const reply = await gateway.request("/busy");
    if (reply.limit()?.tier === tier) return performance.now() - startMs;
    await sleep(Math.max(0, startMs + ((sent + 1) * 1_000) / perSecond - performance.now()));
  }
  return null;
}

/** What a metric says, by its labels as they are written. */
async function metrics(): Promise<ReadonlyMap<string, number>> {
  const reply = await gateway.request("/metrics", { headers: { Authorization: "Bearer metrics" } });
  const samples = reply.text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    samples.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]),
  );
}

it("names the tier high when traffic passes 0.6 of the capacity, with no one touching KV", async () => {
  const tookMs = await driveUntil("high", 4, 90_000);
  expect(tookMs).not.toBeNull();
  console.log(
    `4 requests a second against ${CAPACITY_RPM} a minute: high after ${((tookMs ?? 0) / 1_000).toFixed(1)} s`,
  );
});

it("tightens to critical within seconds of a spike", async () => {
  const tookMs = await driveUntil("critical", 40, 60_000);
  console.log(`40 requests a second: critical after ${((tookMs ?? 0) / 1_000).toFixed(1)} s`);
  expect(tookMs).not.toBeNull();
});

it("tells its figures again after it was killed: no total goes back", async () => {
  await sleep(7_000);
  const before = await metrics();
  const admitted = [...before].filter(([name]) => name.includes('outcome="admitted"'));
  expect(admitted.reduce((sum, [, value]) => sum + value, 0)).toBeGreaterThan(100);
  await gateway.kill();
  await gateway.restart();
  const after = await metrics();
  for (const [name, value] of before)
    if (name.includes("_total")) expect(after.get(name) ?? -1, name).toBeGreaterThanOrEqual(value);
});

it("takes a published rate from who may publish, and follows it", async () => {
  const publish = (token: string) =>
    gateway.request("/_edge/request-rate", {
      method: "PUT",
      headers: { Authorization: `Bearer ${token}` },
      body: '{"requests_per_minute":90,"capacity":100}',
    });
  expect((await publish("metrics")).status).toBe(401);
  expect((await publish("signal")).status).toBe(200);
  await expect.poll(limit, { timeout: 20_000 }).toBe(LIMITS.critical);
});
