/** The demo origin over real sockets: tests and people rely on what it answers, and on how it misbehaves when told to. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { type IncomingMessage, type RequestOptions, request } from "node:http";
import { json, text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningOrigin, startOrigin } from "../../demo/origin.ts";

let origin: RunningOrigin;
let nowMs = Date.UTC(2026, 10, 23);

beforeAll(async () => {
  origin = await startOrigin({ port: 0, nowMs: () => nowMs });
});
afterAll(() => origin.close());

const call = (path: string, init?: RequestInit) => fetch(`${origin.url}${path}`, { redirect: "manual", ...init });
const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  call(path, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body), headers });
const put = (state: unknown) => call("/__demo", { method: "PUT", body: JSON.stringify(state) });

/** A request whose target and fields go out as they are written here; `fetch` would tidy them. */
async function send(path: string, options: RequestOptions = {}, body?: string | Uint8Array): Promise<IncomingMessage> {
  const outgoing = request(origin.url, { ...options, path });
  outgoing.end(body);
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  return response;
}

describe("the echo", () => {
  it("tells path and query exactly as they came", async () => {
    const response = await send("/a/../b//%63%2F;v=1/?x=%20&y&x=2?");
    expect(await json(response)).toMatchObject({
      method: "GET",
      target: "/a/../b//%63%2F;v=1/?x=%20&y&x=2?",
      path: "/a/../b//%63%2F;v=1/",
      query: "x=%20&y&x=2?",
    });
  });

  it("tells every value of a field that came twice", async () => {
    const response = await send("/echo", { headers: { "X-Twice": ["one", "two"], "X-Once": "1", Cookie: "a=1; b=2" } });
    expect(await json(response)).toMatchObject({
      headers: { "x-twice": ["one", "two"], "x-once": "1", cookie: "a=1; b=2" },
    });
  });

  it.each(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])(
    "answers %s with its body",
    async (method) => {
      const response = await send("/echo", { method, headers: { "Content-Length": "4" } }, "text");
      expect(await json(response)).toMatchObject({ method, body: "text", body_bytes: 4 });
    },
  );

  it.each([
    { name: "gives back a body of just the bound", bytes: Buffer.alloc(64 * 1024, "a"), echoed: true },
    { name: "keeps a longer body to itself", bytes: Buffer.alloc(64 * 1024 + 1, "a"), echoed: false },
    { name: "keeps a body that is not text to itself", bytes: Buffer.from([0xff, 0xfe, 0x00]), echoed: false },
  ])("$name, and always tells its length and hash", async ({ bytes, echoed }) => {
    const response = await send("/echo", { method: "PUT" }, bytes);
    expect(await json(response)).toMatchObject({
      body: echoed ? bytes.toString() : null,
      body_bytes: bytes.byteLength,
      body_sha256: createHash("sha256").update(bytes).digest("hex"),
    });
  });
});

describe("/api/ai/chat", () => {
  it("answers JSON", async () => {
    const response = await post("/api/ai/chat", { message: "hello" });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ reply: expect.any(String), message: "hello" });
  });

  it.each([
    { name: "the body", body: '{"stream":true}', headers: {} },
    { name: "the Accept field", body: "", headers: { Accept: "text/event-stream" } },
  ])("streams events, one by one, when $name asks for it", async ({ body, headers }) => {
    const response = await post("/api/ai/chat", body, headers);
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const arrivals: { readonly atMs: number; readonly chunk: string }[] = [];
    const decoded = response.body?.pipeThrough(new TextDecoderStream()) ?? [];
    for await (const chunk of decoded) arrivals.push({ atMs: performance.now(), chunk });
    expect(arrivals.map(({ chunk }) => chunk).join("")).toMatch(/^event: token\n[\s\S]*data: \[DONE\]\n\n$/);
    expect((arrivals.at(-1)?.atMs ?? 0) - (arrivals[0]?.atMs ?? 0)).toBeGreaterThan(200);
  });

  it.each([
    { name: "no JSON", body: "{", status: 400, error: "body: expected JSON" },
    { name: "a list", body: "[]", status: 400, error: "body: expected a JSON object" },
    { name: "a wrong type", body: '{"message":1}', status: 400, error: "message: expected text" },
    {
      name: "too much",
      body: "a".repeat(64 * 1024 + 1),
      status: 413,
      error: "body: expected at most 65536 bytes, got 65537",
    },
  ])("refuses $name with a reason", async ({ body, status, error }) => {
    const response = await post("/api/ai/chat", body);
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual({ error });
  });
});

describe("/api/workflows", () => {
  it("creates, finds and lists a workflow", async () => {
    const created = await post("/api/workflows", { name: "Onboard" });
    expect(created.status).toBe(201);
    const workflow = await created.json();
    expect(workflow).toMatchObject({ name: "Onboard", status: "active" });
    expect(await (await call(created.headers.get("location") ?? "")).json()).toEqual(workflow);
    expect(await (await call("/api/workflows")).json()).toMatchObject({
      workflows: expect.arrayContaining([workflow]),
    });
  });

  it("answers 404 for one it does not know, 400 for one without a name", async () => {
    expect((await call("/api/workflows/wf_none")).status).toBe(404);
    const refused = await post("/api/workflows", {});
    expect(refused.status).toBe(400);
    expect(await refused.json()).toEqual({ error: "name: expected this member" });
  });

  it("forgets the oldest when it is full", async () => {
    const crowded = await startOrigin({ port: 0 });
    for (let i = 0; i < 1000; i++) {
      await fetch(`${crowded.url}/api/workflows`, { method: "POST", body: '{"name":"n"}' });
    }
    const { workflows } = (await (await fetch(`${crowded.url}/api/workflows`)).json()) as { workflows: unknown[] };
    expect(workflows).toHaveLength(1000);
    expect(workflows[0]).toMatchObject({ id: "wf_3" });
    await crowded.close();
  });
});

describe("/api/billing", () => {
  it("tells the plan and opens a checkout", async () => {
    expect(await (await call("/api/billing/plan")).json()).toMatchObject({ plan: "growth" });
    const checkout = await post("/api/billing/checkout", { plan: "starter" });
    expect(checkout.status).toBe(201);
    expect(await checkout.json()).toMatchObject({ plan: "starter", status: "open" });
  });

  it.each(["/api/billing/webhook", "/api/billing/webhook-event"])("%s receives what is not too long", async (path) => {
    expect(await (await post(path, "not JSON at all")).json()).toEqual({ received: true });
    expect((await post(path, "a".repeat(64 * 1024 + 1))).status).toBe(413);
  });
});

describe("/api/health", () => {
  it("is ok", async () => {
    expect(await (await call("/api/health")).json()).toEqual({ status: "ok" });
  });

  it("sums up what the origin really holds", async () => {
    const before = await summary();
    await post("/api/workflows", { name: "Refund", needs_approval: true });
    const after = await summary();
    expect(after).toMatchObject({ status: "healthy", checks: { database: "ok", scheduler: "ok" } });
    expect(after.metrics.approval_queue).toBe(before.metrics.approval_queue + 1);
    expect(after.metrics.active_workflows).toBe(before.metrics.active_workflows);
    for (const share of [after.metrics.cpu, after.metrics.memory]) {
      expect(share).toBeGreaterThanOrEqual(0);
      expect(share).toBeLessThanOrEqual(1);
    }
  });

  async function summary() {
    return (await (await call("/api/health/summary")).json()) as {
      readonly metrics: { active_workflows: number; approval_queue: number; cpu: number; memory: number };
    };
  }
});

describe("CORS", () => {
  it("lets a browser read /api, and answers its preflight", async () => {
    const answer = await send("/api/billing/plan", { headers: { Origin: "https://app.levqor.ai" } });
    expect(answer.headers["access-control-allow-origin"]).toBe("https://app.levqor.ai");
    const preflight = await send("/api/ai/chat", {
      method: "OPTIONS",
      headers: { Origin: "https://app.levqor.ai", "Access-Control-Request-Method": "POST" },
    });
    expect(preflight.statusCode).toBe(204);
    expect(preflight.headers["access-control-allow-methods"]).toContain("POST");
  });

  it("stays out of the way without an Origin", async () => {
    expect((await send("/api/billing/plan")).headers["access-control-allow-origin"]).toBeUndefined();
    expect(await json(await send("/api/anything", { method: "OPTIONS" }))).toMatchObject({ method: "OPTIONS" });
  });
});

describe("what a query asks for", () => {
  it("delays one answer", async () => {
    const startMs = performance.now();
    expect((await call("/slow?demo_delay_ms=120")).status).toBe(200);
    expect(performance.now() - startMs).toBeGreaterThan(110);
  });

  it.each([200, 204, 304, 429, 500, 503])("answers %i", async (status) => {
    expect((await post(`/api/ai/chat?demo_status=${status}`, "")).status).toBe(status);
  });

  it("cuts the connection before the headers", async () => {
    await expect(send("/x?demo_cut=before-headers")).rejects.toMatchObject({ code: "ECONNRESET" });
  });

  it("cuts the connection in the middle of the body", async () => {
    const response = await send("/x?demo_cut=mid-body", { method: "POST" }, "a".repeat(100_000));
    expect(response.statusCode).toBe(200);
    await expect(text(response)).rejects.toMatchObject({ code: "ECONNRESET" });
  });

  it("hangs, and holds up nobody else", async () => {
    const hanging = call("/x?demo_hang=1", { signal: AbortSignal.timeout(300) });
    expect((await call("/x")).status).toBe(200);
    await expect(hanging).rejects.toMatchObject({ name: "TimeoutError" });
  });

  it.each([
    { query: "demo_delay_ms=soon", error: "demo_delay_ms: expected a whole number" },
    { query: "demo_delay_ms=600001", error: "demo_delay_ms: expected a whole number 0..600000" },
    { query: "demo_status=99", error: "demo_status: expected a whole number 200..599" },
    { query: "demo_hang=yes", error: "demo_hang: expected 0 or 1" },
    { query: "demo_cut=off", error: 'demo_cut: expected null, "before-headers" or "mid-body"' },
    { query: "demo_latency=5", error: "demo_latency: no such member" },
  ])("is refused with a reason: $query", async ({ query, error }) => {
    const response = await call(`/x?${query}`);
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ error });
  });
});

describe("the switch", () => {
  const WELL = {
    delay_ms: 0,
    status: null,
    hang: false,
    cut: null,
    database: "ok",
    path: null,
    for_seconds: null,
  };

  it("applies to the paths it names, until it is put back", async () => {
    const state = { ...WELL, status: 503, path: "/broken" };
    expect(await (await put({ status: 503, path: "/broken" })).json()).toEqual(state);
    expect(await (await call("/__demo")).json()).toEqual(state);
    expect((await call("/broken/at/all")).status).toBe(503);
    expect((await call("/broken?demo_status=200")).status).toBe(200);
    expect((await call("/well")).status).toBe(200);
    expect(await (await call("/__demo", { method: "DELETE" })).json()).toEqual(WELL);
    expect((await call("/broken")).status).toBe(200);
  });

  it("ends by itself when its time is over", async () => {
    await put({ status: 500, path: "/for-a-while", for_seconds: 5 });
    nowMs += 4001;
    expect(await (await call("/__demo")).json()).toMatchObject({ status: 500, for_seconds: 1 });
    expect((await call("/for-a-while")).status).toBe(500);
    nowMs += 999;
    expect((await call("/for-a-while")).status).toBe(200);
    expect(await (await call("/__demo")).json()).toEqual(WELL);
  });

  it("takes the database down and nothing else", async () => {
    await put({ database: "down" });
    const response = await call("/api/health/summary");
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ status: "unhealthy", checks: { database: "down", scheduler: "ok" } });
    expect((await call("/api/workflows")).status).toBe(200);
    await call("/__demo", { method: "DELETE" });
  });

  it.each([
    { state: [], error: "state: expected a JSON object" },
    { state: 5, error: "state: expected a JSON object" },
    { state: { delay_ms: -1 }, error: "delay_ms: expected a whole number 0..600000" },
    { state: { status: 100 }, error: "status: expected a whole number 200..599" },
    { state: { hang: 1 }, error: "hang: expected true or false" },
    { state: { cut: "later" }, error: 'cut: expected null, "before-headers" or "mid-body"' },
    { state: { database: "slow" }, error: 'database: expected "ok" or "down"' },
    { state: { path: "api" }, error: "path: expected a path prefix that starts with /" },
    { state: { for_seconds: 0 }, error: "for_seconds: expected a whole number 1..86400" },
    { state: { latency: 1 }, error: "latency: no such member" },
  ])("is left as it was by $state", async ({ state, error }) => {
    const response = await put(state);
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ error });
    expect(await (await call("/__demo")).json()).toEqual(WELL);
  });
});

describe("the tally", () => {
  it("counts by method and path, bounded, and starts anew when cleared", async () => {
    const counted = await startOrigin({ port: 0 });
    const requests = `${counted.url}/__demo/requests`;
    await fetch(`${counted.url}/a?x=1`);
    await fetch(`${counted.url}/a?x=2`);
    await fetch(`${counted.url}/a`, { method: "POST", body: "b" });
    await fetch(`${counted.url}/${"long".repeat(200)}`);
    expect(await (await fetch(requests)).json()).toEqual({
      total: 4,
      requests: { "GET /a": 2, "POST /a": 1 },
      others: 1,
    });
    expect(await (await fetch(requests, { method: "DELETE" })).json()).toEqual({ total: 0, requests: {}, others: 0 });
    await counted.close();
  });
});

describe("/demo", () => {
  it("streams as many bytes as asked for, and says so before", async () => {
    const response = await send("/demo/bytes/10000000");
    expect(response.headers["content-length"]).toBe("10000000");
    let received = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) received += chunk.byteLength;
    expect(received).toBe(10_000_000);
  });

  it.each([0, 1, 65_536, 65_537])("streams %i bytes", async (n) => {
    expect((await (await call(`/demo/bytes/${n}`)).arrayBuffer()).byteLength).toBe(n);
  });

  it.each(["-1", "1e3", "1073741825", "all"])("streams nothing for %s", async (n) => {
    expect((await call(`/demo/bytes/${n}`)).status).toBe(400);
  });

  it("redirects, with two cookies", async () => {
    const response = await call("/demo/redirect");
    expect(response.status).toBe(302);
    expect(response.headers.get("location")).toBe("/demo/landed?from=redirect");
    expect(response.headers.getSetCookie()).toHaveLength(2);
  });

  it("answers in gzip, and 304 to whoever has it", async () => {
    const response = await send("/demo/gzip");
    expect(response.headers["content-encoding"]).toBe("gzip");
    const { etag } = response.headers;
    expect((await send("/demo/gzip", { headers: { "If-None-Match": etag ?? "" } })).statusCode).toBe(304);
    expect(await (await call("/demo/gzip")).json()).toMatchObject({ text: expect.stringContaining("compressed") });
  });

  it("counts its cacheable answers and sends the Cache-Control it was given", async () => {
    const first = await call("/demo/cache?cc=public,%20max-age=60");
    expect(first.headers.get("cache-control")).toBe("public, max-age=60");
    const { count } = (await first.json()) as { count: number };
    expect(await (await call("/demo/cache?cc=no-store")).json()).toEqual({ count: count + 1 });
    expect((await call("/demo/cache?cc=a%0d%0aX-Injected:%201")).status).toBe(400);
  });
});

describe("startOrigin", () => {
  it("ends what hangs when it is closed", async () => {
    const closing = await startOrigin({ port: 0 });
    const hanging = fetch(`${closing.url}/x?demo_hang=1`).catch((error: unknown) => error);
    await sleep(50);
    await closing.close();
    expect(await hanging).toBeInstanceOf(TypeError);
  });

  it("rejects when its port is taken", async () => {
    await expect(startOrigin({ port: Number(new URL(origin.url).port) })).rejects.toMatchObject({ code: "EADDRINUSE" });
  });

  it("goes on when a client leaves in the middle of its body or of its answer", async () => {
    const leaving = request(origin.url, { method: "POST", path: "/x", headers: { "Content-Length": "100" } });
    leaving.on("error", () => {});
    leaving.write("half");
    await sleep(50);
    leaving.destroy();
    const download = await send("/demo/bytes/100000000");
    download.destroy();
    expect((await call("/x")).status).toBe(200);
  });
});
