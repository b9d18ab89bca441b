/** Tiers decide the limit, the counter holds it exactly, and a client is told the truth about both. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freshClient, type Gateway, LARGE_ORIGIN, startGateway } from "./gateway.ts";
import type { Reply } from "./reply.ts";

const CHAT = "/api/ai/chat";
const IANA = "https://iana.org/assignments/http-problem-types#";

/** The members of a refusal, in the order in which a client reads them. */
const REFUSAL_MEMBERS = [
  "type",
  "title",
  "status",
  "detail",
  "instance",
  "violated-policies",
  "request_id",
  "profile",
  "tier",
  "limit",
  "retry_after",
];

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway();
  await gateway.putKv("tier-tables", JSON.stringify(LARGE_ORIGIN));
  await sleep(3_000);
});
afterAll(() => gateway?.stop());

function chat(client: string): Promise<Reply> {
  const headers = { "Content-Type": "application/json" };
  return gateway.request(CHAT, { method: "POST", client, headers, body: '{"message":"hello"}' });
}

/** Sends `count` one after the other. */
async function chats(client: string, count: number): Promise<readonly Reply[]> {
  const replies: Reply[] = [];
  while (replies.length < count) replies.push(await chat(client));
  return replies;
}

/** Requests of one name that have reached the demo origin. */
async function reached(name: string): Promise<number> {
  const counts = (await gateway.requestOrigin("/__demo/requests")).json<{ requests: Record<string, number> }>();
  return counts.requests[name] ?? 0;
}

describe("a limit of 50", () => {
  const spender = freshClient();

  it("lets 50 of 51 quick requests reach the origin and says with each how many are left", async () => {
    const before = await reached(`POST ${CHAT}`);
    const replies = await chats(spender, 51);
    const limits = replies.map((reply) => reply.limit());
    expect(replies.map(({ status }) => status)).toEqual([...Array(50).fill(200), 429]);
    expect((await reached(`POST ${CHAT}`)) - before).toBe(50);
    expect(limits.map((limit) => limit?.r)).toEqual([...Array.from({ length: 50 }, (_, index) => 49 - index), 0]);
    for (const [index, { headers }] of replies.entries()) {
      const { t, r, ...rest } = limits[index] ?? {};
      expect(rest).toEqual({ profile: "ai-chat", tier: "low", q: 50, w: 60 });
      expect(headers).toMatchObject({ "x-ratelimit-limit": "50", "x-ratelimit-remaining": String(r) });
      expect(t).toBeGreaterThanOrEqual(1);
      expect(t).toBeLessThanOrEqual(61);
      expect(Math.abs(Number(headers["x-ratelimit-reset"]) - (Date.now() / 1000 + (t ?? 0)))).toBeLessThan(10);
      expect(headers["x-request-id"]).toMatch(/^[A-Za-z0-9._:-]{1,128}$/);
    }
  });

  it("refuses the next one as a problem whose fields and members agree", async () => {
    const sentSeconds = Date.now() / 1000;
    const { status, headers, text, limit, json } = await chat(spender);
    const answeredSeconds = Date.now() / 1000;
    const problem = json<Record<string, unknown>>();
    expect(status).toBe(429);
    expect(headers["content-type"]).toBe("application/problem+json");
    expect(headers["cache-control"]).toBe("no-store");
    const wait = Number(headers["retry-after"]);
    expect(headers["retry-after"]).toMatch(/^[1-9]\d*$/);
    expect(wait).toBeLessThanOrEqual(61);
    expect(limit()).toEqual({ profile: "ai-chat", tier: "low", q: 50, w: 60, r: 0, t: wait });
    expect(headers).toMatchObject({ "x-ratelimit-limit": "50", "x-ratelimit-remaining": "0" });
    const reset = Number(headers["x-ratelimit-reset"]);
    expect(reset).toBeGreaterThanOrEqual(Math.floor(sentSeconds + wait - 1));
    expect(reset).toBeLessThanOrEqual(Math.ceil(answeredSeconds + wait));
    expect(text).toMatch(/^\{.*\}\n?$/);
    expect(Object.keys(problem)).toEqual(REFUSAL_MEMBERS);
    expect(problem).toEqual({
      type: `${IANA}quota-exceeded`,
      title: expect.stringMatching(/\S/),
      status: 429,
      detail: `ai-chat allows 50 requests per minute while load is low. Retry in ${wait} s.`,
      instance: CHAT,
      "violated-policies": ["ai-chat"],
      request_id: headers["x-request-id"],
      profile: "ai-chat",
      tier: "low",
      limit: 50,
      retry_after: wait,
    });
  });

  it("lets exactly 50 of 200 requests at once reach the origin, 20 runs of 20", async () => {
    const runs = [];
    for (let run = 1; run <= 20; run += 1) {
      const client = freshClient();
      const path = `/api/ai/at-once-${run}`;
      const sent = Array.from({ length: 200 }, () => gateway.request(path, { method: "POST", client, body: "{}" }));
      const statuses = (await Promise.all(sent)).map(({ status }) => status);
      const granted = statuses.filter((status) => status === 200).length;
      const refused = statuses.filter((status) => status === 429).length;
      runs.push({ granted, refused, reached: await reached(`POST ${path}`) });
    }
    expect(runs).toEqual(Array(20).fill({ granted: 50, refused: 150, reached: 50 }));
  });

  it("counts each profile by itself, and each client", async () => {
    expect((await gateway.request("/api/workflows", { client: spender })).limit()).toMatchObject({
      profile: "workflows",
      q: 100,
      r: 99,
    });
    expect((await chat(freshClient())).limit()).toMatchObject({ profile: "ai-chat", q: 50, r: 49 });
  });
});

describe("a load that an operator pins to 0.65", () => {
  /** Who used all of its limit, and who used thirty units of it. */
  const spender = freshClient();
  const sparer = freshClient();

  beforeAll(async () => {
    expect((await chats(spender, 51)).at(-1)?.limit()).toMatchObject({ q: 50, r: 0 });
    expect((await chats(sparer, 30)).at(-1)?.limit()).toMatchObject({ q: 50, r: 20 });
    await gateway.putKv("load-pin", '{"load":0.65}');
    await sleep(3_000);
  });

  it("makes the limit 20 on a client's first request 3 s later, with nothing left and never less", async () => {
    const { status, headers, limit, json } = await chat(spender);
    expect(status).toBe(429);
    expect(limit()).toMatchObject({ tier: "high", q: 20, r: 0 });
    expect(headers["x-ratelimit-remaining"]).toBe("0");
    expect(json()).toMatchObject({ type: `${IANA}temporary-reduced-capacity`, tier: "high", limit: 20 });
  });

  it("refuses a client that used more than the limit is now, by the name of reduced capacity", async () => {
    const { status, limit, json } = await chat(sparer);
    expect(status).toBe(429);
    expect(limit()).toMatchObject({ tier: "high", q: 20, r: 0 });
    expect(json()).toMatchObject({ type: `${IANA}temporary-reduced-capacity`, "violated-policies": ["ai-chat"] });
  });

  it("gives a new client the limit of high load", async () => {
    expect((await chat(freshClient())).limit()).toMatchObject({ tier: "high", q: 20, r: 19 });
  });

  it("gives 50 again 3 s after the pin is deleted, with what was used still used", async () => {
    await gateway.deleteKv("load-pin");
    await sleep(3_000);
    const [spent, spared] = [await chat(spender), await chat(sparer)];
    expect(spared.status).toBe(200);
    expect(spared.limit()).toMatchObject({ tier: "low", q: 50, r: 19 });
    expect(spent.status).toBe(429);
    expect(spent.limit()).toMatchObject({ tier: "low", q: 50, r: 0 });
    expect(spent.json()).toMatchObject({ type: `${IANA}quota-exceeded`, limit: 50 });
  });
});

describe("a request rate that is published", () => {
  const HOLD_MS = 3_000;
  const user = freshClient();
  // What the tests before have sent is offered to looser limits for a minute, and that alone would hold the tier.
  let calm: Gateway;

  const rate = (requestsPerMinute: number) =>
    JSON.stringify({ requests_per_minute: requestsPerMinute, capacity: 1_000, published_at: Date.now() });
  const ask = (client: string) => calm.request(CHAT, { method: "POST", client, body: "{}" });

  beforeAll(async () => {
    calm = await startGateway();
    const tables = { ...LARGE_ORIGIN, hysteresis: { hold_seconds: HOLD_MS / 1000 } };
    await calm.putKv("tier-tables", JSON.stringify(tables));
    await sleep(3_000);
    for (let i = 0; i < 25; i += 1) await ask(user);
    await calm.putKv("request-rate", rate(650));
    await sleep(3_000);
  });
  afterAll(() => calm?.stop());

  it("makes the limit that of high load at 650 of 1,000", async () => {
    const refused = await ask(user);
    expect(refused.status).toBe(429);
    expect(refused.limit()).toMatchObject({ tier: "high", q: 20, r: 0 });
    expect(refused.json()).toMatchObject({ type: `${IANA}temporary-reduced-capacity` });
    expect((await ask(freshClient())).limit()).toMatchObject({ tier: "high", q: 20, r: 19 });
  });

  it("relaxes one tier at a time, each after a hold, once it is published lower", async () => {
    const loweredMs = Date.now();
    await calm.putKv("request-rate", rate(100));
    const seen: { tier: string; atMs: number }[] = [];
    while (seen.at(-1)?.tier !== "low" && Date.now() - loweredMs < 60_000) {
      const tier = (await ask(freshClient())).limit()?.tier ?? "none";
      if (seen.at(-1)?.tier !== tier) seen.push({ tier, atMs: Date.now() });
      await sleep(100);
    }
    expect(seen.map(({ tier }) => tier)).toEqual(["high", "medium", "low"]);
    const [, medium, low] = seen.map(({ atMs }) => atMs);
    expect((medium ?? 0) - loweredMs).toBeGreaterThanOrEqual(HOLD_MS);
    // The meter looks with every flush, and a hold may end between two: the second step may be seen that much sooner.
    expect((low ?? 0) - (medium ?? 0)).toBeGreaterThanOrEqual(HOLD_MS - 1_200);
    const again = await ask(user);
    expect(again.status).toBe(200);
    expect(again.limit()).toMatchObject({ tier: "low", q: 50, r: 24 });
  });
});
