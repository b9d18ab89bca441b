/** Who is counted, as what, and what costs nothing: by the real thing, with tables that an operator has put into KV. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freshClient, type Gateway, type JourneyAsk, LARGE_ORIGIN, startGateway } from "./gateway.ts";
import type { Echo, Limit, Reply } from "./reply.ts";

const IANA = "https://iana.org/assignments/http-problem-types#";
const APP = "https://app.example";

const TABLES = {
  ...LARGE_ORIGIN,
  exempt_limit: 5,
  profiles: {
    shadowed: { match: ["/try/shadow"], limits: allTiers(2), shadow: true },
    none: { match: ["/try/none"], limits: allTiers(0) },
    short: { match: ["/try/short"], limits: allTiers(3), window_seconds: 3 },
    writes: { match: ["POST /try/method"], limits: allTiers(4) },
  },
};

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway({ env: { CORS_ALLOW_ORIGINS: `${APP}, https://admin.example` } });
  await gateway.putKv("tier-tables", JSON.stringify(TABLES));
  while ((await gateway.request("/try/none")).status !== 429) await sleep(100);
});
afterAll(() => gateway?.stop());

function allTiers(limit: number) {
  return { low: limit, medium: limit, high: limit, critical: limit };
}

async function limitOf(path: string, ask?: JourneyAsk): Promise<Limit | null> {
  return (await gateway.request(path, ask)).limit();
}

/** Sends `count`, one after the other. */
async function times(count: number, send: () => Promise<Reply>): Promise<readonly Reply[]> {
  const replies: Reply[] = [];
  while (replies.length < count) replies.push(await send());
  return replies;
}

describe("a client", () => {
  it("is its IPv4 address, also where that is written as IPv6", async () => {
    for (const [index, client] of ["192.0.2.77", "::ffff:192.0.2.77", "::FFFF:c000:24d"].entries()) {
      const reply = await gateway.request("/who", { client });
      expect(reply.limit()?.r).toBe(199 - index);
      expect(reply.json<Echo>().headers).toMatchObject({ "x-forwarded-for": "192.0.2.77", "x-real-ip": "192.0.2.77" });
    }
  });

  it("is the /64 of its IPv6 address", async () => {
    expect(await limitOf("/who", { client: "2001:db8:1:2::1" })).toMatchObject({ r: 199 });
    expect(await limitOf("/who", { client: "2001:DB8:1:2:ffff:ffff:ffff:ffff" })).toMatchObject({ r: 198 });
    expect(await limitOf("/who", { client: "2001:db8:1:3::1" })).toMatchObject({ r: 199 });
  });

  it("without an address that can be read shares one limit with all such, and gets no address at the origin", async () => {
    const malformed = ["nonsense", "192.0.2.300", "192.0.2.1, 192.0.2.2", "fe80::1%eth0", "1:2:3", "a".repeat(5_000)];
    for (const [index, client] of malformed.entries()) {
      const reply = await gateway.request("/who", { client, headers: { "X-Forwarded-For": "198.51.100.9" } });
      expect(reply.limit()?.r).toBe(199 - index);
      expect(reply.json<Echo>().headers).not.toHaveProperty("x-forwarded-for");
      expect(reply.json<Echo>().headers).not.toHaveProperty("x-real-ip");
    }
  });

  it("is never who X-Forwarded-For and its like say", async () => {
    const client = freshClient();
    for (const [index, name] of ["X-Forwarded-For", "X-Real-IP", "True-Client-IP", "Forwarded"].entries())
      expect(await limitOf("/who", { client, headers: { [name]: `198.51.100.${index}` } })).toMatchObject({
        r: 199 - index,
      });
  });
});

describe("a spelling of /api/ai/chat", () => {
  it.each([
    "/api/ai/chat/",
    "/API/AI/chat",
    "/api//ai/%63hat",
    "/api%2Fai%2Fchat",
    "/api%252Fai%252Fchat",
    "/api/x/../ai/chat",
    "/api/x/%2e%2e/ai/chat",
    "/x%2f..%2fapi/ai/chat",
    "/api;v=1/ai/chat",
    "/api\\ai\\chat",
    "/api%5cai%5cchat",
    "//api/ai/chat?q=1",
  ])("%s is counted as ai-chat", async (path) => {
    const client = freshClient();
    await gateway.request("/api/ai/chat", { client });
    expect(await limitOf(path, { client })).toMatchObject({ profile: "ai-chat", q: 50, r: 48 });
  });
});

describe("a path", () => {
  it("that no profile names is counted as default", async () => {
    const reply = await gateway.request("/nowhere/in/particular");
    expect(reply.status).toBe(200);
    expect(reply.limit()).toMatchObject({ profile: "default", q: 200, w: 60, r: 199 });
  });

  it("can be of a profile under one method alone", async () => {
    expect(await limitOf("/try/method", { method: "POST" })).toMatchObject({ profile: "writes", q: 4 });
    expect(await limitOf("/try/method")).toMatchObject({ profile: "default" });
  });

  it.each([
    { path: "/_edge", answer: 404 },
    { path: "/_edge/", answer: 404 },
    { path: "/_edge/nothing", answer: 404 },
    { path: "/_edge/../_edge/x", answer: 404 },
    { path: "/metrics", answer: 401 },
    { path: "/_edge/scaling", answer: 401 },
  ])("$path of the gateway's own is $answer without a token, and never the origin's", async ({ path, answer }) => {
    const { status, headers, json } = await gateway.request(path);
    const { requests } = (await gateway.requestOrigin("/__demo/requests")).json<{ requests: object }>();
    expect(status).toBe(answer);
    expect(headers["content-type"]).toBe("application/problem+json");
    expect(json()).toMatchObject({ status: answer, request_id: headers["x-request-id"] });
    expect(Object.keys(requests).filter((name) => /_edge|metrics/.test(name))).toEqual([]);
  });
});

describe("what costs no units", () => {
  const preflight = { method: "OPTIONS", headers: { Origin: APP, "Access-Control-Request-Method": "POST" } };

  it.each(["/api/billing/webhook", "/api/billing/webhook-event"])("is %s, exactly so written", async (path) => {
    const client = freshClient();
    const reply = await gateway.request(path, { method: "POST", client, body: '{"event":"paid"}' });
    expect(reply.status).toBe(200);
    expect(reply.json()).toEqual({ received: true });
    expect(reply.limit()).toBeNull();
    expect(Object.keys(reply.headers).filter((name) => name.includes("ratelimit"))).toEqual([]);
    expect(reply.headers["x-request-id"]).toMatch(/./);
    expect(await limitOf("/api/billing/plan", { client })).toMatchObject({ profile: "billing", q: 30, r: 29 });
  });

  it.each([
    "/api/billing/webhook/",
    "/api/billing/webhooK",
    "/api/billing/%77ebhook",
    "//api/billing/webhook",
    "/api/billing/webhook;a",
    "/api/billing/webhook/x",
  ])("is not %s", async (path) => {
    expect(await limitOf(path, { method: "POST" })).toMatchObject({ profile: "billing", q: 30, r: 29 });
  });

  it("is a browser's preflight", async () => {
    const client = freshClient();
    const reply = await gateway.request("/api/workflows", { client, ...preflight });
    expect(reply.status).toBe(204);
    expect(reply.headers["access-control-allow-origin"]).toBe(APP);
    expect(Object.keys(reply.headers).filter((name) => name.startsWith("ratelimit"))).toEqual([]);
    expect(await limitOf("/api/workflows", { client })).toMatchObject({ profile: "workflows", r: 99 });
  });

  it.each([
    { name: "an OPTIONS without fields", headers: {} },
    { name: "an OPTIONS with Origin alone", headers: { Origin: APP } },
    { name: "an OPTIONS with a method alone", headers: { "Access-Control-Request-Method": "POST" } },
  ])("is not $name", async ({ headers }) => {
    expect(await limitOf("/api/workflows", { method: "OPTIONS", headers })).toMatchObject({ r: 99 });
  });

  it("is refused beyond exempt_limit, webhooks and preflights together", async () => {
    const client = freshClient();
    const webhook = () => gateway.request("/api/billing/webhook", { method: "POST", client, body: "{}" });
    const passed = [
      ...(await times(3, webhook)),
      ...(await times(2, () => gateway.request("/api/workflows", { client, ...preflight }))),
    ];
    expect(passed.map(({ status }) => status)).toEqual([200, 200, 200, 204, 204]);
    const refused = await webhook();
    expect(refused.status).toBe(429);
    expect(refused.headers["retry-after"]).toMatch(/^[1-9]\d?$/);
    expect(refused.headers).toMatchObject({ "content-type": "application/problem+json", "cache-control": "no-store" });
    expect(refused.limit()).toBeNull();
    expect(refused.json()).toMatchObject({ type: `${IANA}quota-exceeded`, status: 429, limit: 5 });
    expect((await gateway.request("/api/workflows", { client, ...preflight })).status).toBe(429);
    expect((await gateway.request("/api/workflows", { client })).status).toBe(200);
  });
});

describe("a profile", () => {
  it("in shadow counts and tells, and refuses nobody", async () => {
    const client = freshClient();
    const replies = await times(5, () => gateway.request("/try/shadow", { client }));
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(replies.map((reply) => reply.limit()?.r)).toEqual([1, 0, 0, 0, 0]);
  });

  it("with a limit of 0 refuses all, and asks for a whole window", async () => {
    const { status, headers, limit, json } = await gateway.request("/try/none");
    expect(status).toBe(429);
    expect(limit()).toMatchObject({ profile: "none", q: 0, r: 0, t: 60 });
    expect(headers["retry-after"]).toBe("60");
    expect(json()).toMatchObject({ type: `${IANA}quota-exceeded`, limit: 0, retry_after: 60 });
  });

  it("with a window of its own grants again when it said it would; being refused meanwhile costs nothing", async () => {
    const client = freshClient();
    const granted = await times(3, () => gateway.request("/try/short", { client }));
    expect(granted.map(({ status }) => status)).toEqual([200, 200, 200]);
    const refused = await gateway.request("/try/short", { client });
    const refusedMs = Date.now();
    const waitMs = Number(refused.headers["retry-after"]) * 1000;
    expect(refused.status).toBe(429);
    expect(refused.limit()).toMatchObject({ profile: "short", q: 3, w: 3, r: 0 });
    expect(refused.json()).toMatchObject({
      detail: `short allows 3 requests per 3 s while load is low. Retry in ${waitMs / 1000} s.`,
    });
    expect(waitMs).toBeGreaterThanOrEqual(1_000);
    expect(waitMs).toBeLessThanOrEqual(4_000);
    expect((await times(20, () => gateway.request("/try/short", { client }))).map(({ status }) => status)).toEqual(
      Array(20).fill(429),
    );
    await sleep(refusedMs + waitMs - Date.now());
    expect((await gateway.request("/try/short", { client })).status).toBe(200);
  });
});

describe("a refusal to a browser", () => {
  it("can be read by a listed origin, with its fields", async () => {
    const { status, headers } = await gateway.request("/try/none", { headers: { Origin: APP } });
    expect(status).toBe(429);
    expect(headers["access-control-allow-origin"]).toBe(APP);
    expect(headers["vary"]).toBe("Origin");
    expect(String(headers["access-control-expose-headers"]).split(/, */)).toEqual([
      "RateLimit-Policy",
      "RateLimit",
      "X-RateLimit-Limit",
      "X-RateLimit-Remaining",
      "X-RateLimit-Reset",
      "Retry-After",
      "X-Request-Id",
    ]);
  });

  it.each(["https://elsewhere.example", "null", "https://app.example.elsewhere", "http://app.example"])(
    "cannot be read by %s, which is not listed",
    async (origin) => {
      const { status, headers } = await gateway.request("/try/none", { headers: { Origin: origin } });
      expect(status).toBe(429);
      expect(headers).not.toHaveProperty("access-control-allow-origin");
      expect(headers["vary"]).toBe("Origin");
    },
  );
});

it("nothing of all this was a fault of the gateway", async () => {
  expect(await gateway.hasFailed()).toBe(false);
});
