/** Documents that nobody can read change nothing, or what was said they would; also for a gateway that starts on them. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Gateway, LARGE_ORIGIN, startGateway } from "./gateway.ts";
import type { Limit } from "./reply.ts";

/** A change of a document is seen within this, and what the meter makes of it with a flush. */
const SEEN_WITHIN_MS = 20_000;
/** A tier that nothing holds is soon left; the traffic of this journey is no load. */
const CALM = { ...LARGE_ORIGIN, hysteresis: { hold_seconds: 1 } };

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(() => gateway?.stop());

/** A rate of an origin that carries 1,000 a minute. */
function rate(requestsPerMinute: number, publishedAtMs?: number): string {
  const moment = publishedAtMs === undefined ? {} : { published_at: new Date(publishedAtMs).toISOString() };
  return JSON.stringify({ requests_per_minute: requestsPerMinute, capacity: 1_000, ...moment });
}

/** What a new client is told; every answer on the way has to be an ordinary one. */
async function limitNow(): Promise<Limit | null> {
  const reply = await gateway.request("/api/ai/chat", { method: "POST", body: "{}" });
  expect(reply.status).toBe(200);
  return reply.limit();
}

/** The first limit that is told for `tier`. */
async function limitAt(tier: string): Promise<Limit | null> {
  const untilMs = Date.now() + SEEN_WITHIN_MS;
  for (;;) {
    const limit = await limitNow();
    if (limit?.tier === tier || Date.now() > untilMs) return limit;
    await sleep(50);
  }
}

it("tables that break a rule never take effect: the last good ones stay", async () => {
  await gateway.putAllKv({
    "tier-tables": JSON.stringify({ ...CALM, profiles: { "ai-chat": { limits: { medium: 33, high: 22 } } } }),
    "request-rate": rate(450),
  });
  expect(await limitAt("medium")).toMatchObject({ q: 33, r: 32 });
  await gateway.putAllKv({
    // More at high than at medium, which is built in.
    "tier-tables": '{"profiles":{"ai-chat":{"limits":{"high":31}}}}',
    "request-rate": rate(650),
  });
  expect(await limitAt("high")).toMatchObject({ q: 22, r: 21 });
  await gateway.untilPrinted("tier-tables-refused");
  await gateway.untilPrinted("profiles.ai-chat.limits.high");
});

it("they stay also for a gateway that starts while the others stand there", async () => {
  await gateway.kill();
  await gateway.restart();
  expect(await limitAt("high")).toMatchObject({ q: 22 });
});

it("a request rate that is none is not used: what the gateway measures itself counts", async () => {
  await gateway.putKv("request-rate", '{"requests_per_minute":');
  expect(await limitAt("low")).toMatchObject({ tier: "low", q: 50 });
});

it("a pin that is none is ignored: the rate beside it counts", async () => {
  await gateway.putAllKv({ "load-pin": '{"load":"low"}', "request-rate": rate(900) });
  expect(await limitAt("critical")).toMatchObject({ tier: "critical", q: 10 });
});

it.each([
  { name: "stale", minutes: -4 },
  { name: "from the future", minutes: 4 },
])("a rate that is $name is not used", async ({ minutes }) => {
  await gateway.putKv("request-rate", rate(900));
  expect(await limitAt("critical")).toMatchObject({ tier: "critical" });
  await gateway.putKv("request-rate", rate(900, Date.now() + minutes * 60_000));
  expect(await limitAt("low")).toMatchObject({ tier: "low", q: 50 });
});

it("octets of no kind at all, under every key, leave the gateway answering", async () => {
  const garbage = "\u0000\ud83e{[<garbage>]}\\".repeat(2_000);
  const keys = ["tier-tables", "tier-tables:good", "request-rate", "request-rate:edge", "load-pin"];
  await gateway.putAllKv(Object.fromEntries(keys.map((key) => [key, garbage])));
  await gateway.kill();
  await gateway.restart();
  expect(await limitNow()).toMatchObject({ tier: "medium", q: 30 });
  expect(await gateway.hasFailed()).toBe(false);
});
