/** The gateway's own paths, by HTTP: who may call them, and what they say under every fault. */
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type { OriginHealth } from "../../src/policy/origin-health.ts";
import type { Metering, MeterView } from "../../src/ports.ts";
import { freshClient, limitOf, type Options, startIsolate } from "../edge/gateway.ts";
import { readExposition } from "./read-exposition.ts";

const SUMMARY = "/api/health/summary";
const PROBLEMS = "https://api.levqor.ai/problems/";

let meters = 0;

/** The real meter, one that only this test has. */
function realMeter(): Metering & { readonly asked: () => number } {
  meters += 1;
  const name = `routes-${meters}-${Date.now()}`;
  const stub = () => env.METER.getByName(name);
  let asked = 0;
  return {
    report: async (report) => await stub().report(report),
    async view(asks) {
      const view = await (stub().view(asks) as Promise<MeterView>);
      if (view.mayAsk) asked += 1;
      return view;
    },
    hearOrigin: async (health: OriginHealth) => await stub().hearOrigin(health),
    asked: () => asked,
  };
}

/** An origin whose summary says this, and that counts how often it is asked. */
function healthy(summary: unknown = { checks: { database: "ok", scheduler: "ok" } }, status = 200) {
  let asked = 0;
  return {
    asked: () => asked,
    origin: ({ url }: { readonly url: string }) => {
      if (!url.endsWith(SUMMARY)) return new Response("from the origin");
      asked += 1;
      return Response.json(summary, { status });
    },
  };
}

function start({ ports, ...options }: Options = {}) {
  return startIsolate({ ...options, ports: { meter: realMeter(), ...ports } });
}

const bearer = (token: string) => ({ headers: { Authorization: `Bearer ${token}` } });

describe("tokens", () => {
  const vars = { ADMIN_TOKEN: "admin", METRICS_TOKEN: "metrics", SIGNAL_TOKEN: "signal" };

  it.each([
    { path: "/metrics", method: "GET", opens: ["admin", "metrics"], not: ["signal", "nobody", "admin2", "Admin"] },
    { path: "/_edge/scaling", method: "GET", opens: ["admin", "metrics"], not: ["signal", "", "metric"] },
    { path: "/_edge/request-rate", method: "PUT", opens: ["admin", "signal"], not: ["metrics", "signal signal"] },
  ])("$method $path opens to $opens alone", async ({ path, method, opens, not }) => {
    const isolate = start({ vars });
    const init = (token: string) => ({ ...bearer(token), method, ...(method === "PUT" ? { body: "450" } : {}) });
    for (const token of opens) expect((await isolate.send(path, init(token))).status, token).toBe(200);
    for (const token of not) {
      const response = await isolate.send(path, init(token));
      expect(response.status, token).toBe(401);
      expect(response.headers.get("WWW-Authenticate")).toBe("Bearer");
      expect(response.headers.get("Cache-Control")).toBe("no-store");
      expect(await response.json()).toMatchObject({ type: `${PROBLEMS}unauthorized`, status: 401 });
    }
    expect((await isolate.send(path, { method })).status, "no token").toBe(401);
    expect(isolate.forwarded.filter(({ url }) => !url.endsWith(SUMMARY))).toEqual([]);
  });

  it("that are not set leave nothing to be found, and open nothing", async () => {
    const isolate = start();
    for (const path of ["/metrics", "/_edge/scaling", "/_edge", "/_edge/nothing"])
      for (const init of [{}, bearer("null"), bearer("undefined"), bearer("")])
        expect((await isolate.send(path, init)).status, path).toBe(404);
    expect((await isolate.send("/_edge/health")).status).toBe(200);
  });

  it("that are wrong are looked at ten times a minute; a right one opens all the same", async () => {
    const isolate = start({ vars });
    const client = freshClient();
    const statuses: number[] = [];
    for (let i = 0; i < 14; i += 1)
      statuses.push((await isolate.send("/metrics", { ...bearer(`wrong-${i}`), client })).status);
    expect(statuses).toEqual([...Array(10).fill(401), ...Array(4).fill(429)]);
    expect((await isolate.send("/metrics", { ...bearer("metrics"), client })).status).toBe(200);
    const refused = await isolate.send("/metrics", { ...bearer("wrong"), client });
    expect(Number(refused.headers.get("Retry-After"))).toBeGreaterThanOrEqual(1);
    expect((await isolate.send("/metrics", bearer("wrong"))).status, "another client").toBe(401);
  });
});

describe("PUT /_edge/request-rate", () => {
  const vars = { SIGNAL_TOKEN: "signal" };
  const put = (isolate: ReturnType<typeof start>, body: BodyInit) =>
    isolate.send("/_edge/request-rate", { ...bearer("signal"), method: "PUT", body });

  it.each([
    { name: "a bare number", body: "450", written: { requests_per_minute: 450 } },
    { name: "a rate", body: '{"requests_per_minute":450}', written: { requests_per_minute: 450 } },
    {
      name: "a rate with its capacity",
      body: '{"requests_per_minute":450,"capacity":900}',
      written: { requests_per_minute: 450, capacity: 900 },
    },
  ])("writes $name, with the moment", async ({ body, written }) => {
    const isolate = start({ vars });
    const response = await put(isolate, body);
    expect(response.status).toBe(200);
    const document = JSON.parse(isolate.written.get("request-rate") ?? "null");
    expect(document).toEqual({ ...written, published_at: expect.stringMatching(/^\d{4}-.*Z$/) });
    expect(await response.json()).toEqual(document);
  });

  it("keeps a moment that was given", async () => {
    const isolate = start({ vars });
    await put(isolate, '{"requests_per_minute":1,"published_at":"2026-11-23T15:00:00+01:00"}');
    expect(isolate.written.get("request-rate")).toContain('"2026-11-23T14:00:00.000Z"');
  });

  it.each([
    { name: "nothing", body: "", detail: /expected JSON/ },
    { name: "no JSON", body: "{", detail: /expected JSON/ },
    {
      name: "a negative rate",
      body: '{"requests_per_minute":-1}',
      detail: /^requests_per_minute: expected .*, got -1\.$/,
    },
    { name: "a word", body: '"many \\" of them"', detail: /expected an object/ },
  ])("refuses $name and writes nothing", async ({ body, detail }) => {
    const isolate = start({ vars });
    const response = await put(isolate, body);
    expect(response.status).toBe(422);
    const problem = await response.json<{ detail: string }>();
    expect(problem.detail).toMatch(detail);
    expect([...isolate.written.keys()]).not.toContain("request-rate");
  });

  it("refuses what is too large without reading all of it", async () => {
    const isolate = start({ vars });
    expect((await put(isolate, "1".repeat(65_537))).status).toBe(413);
    expect((await put(isolate, `${" ".repeat(65_533)}450`)).status).toBe(200);
  });

  it("says so when KV does not take it", async () => {
    const documents = {
      read: async (keys: readonly string[]) => new Map(keys.map((key) => [key, null])),
      write: () => Promise.reject(new Error("429 Too Many Requests")),
    };
    const response = await put(start({ vars, ports: { documents } }), "450");
    expect(response.status).toBe(503);
    expect(response.headers.has("Retry-After")).toBe(true);
  });
});

describe("GET /api/health/summary", () => {
  it("is healthy when all is well, is counted under its profile, and never reaches the origin as such", async () => {
    const { origin, asked } = healthy();
    const isolate = start({ origin });
    const response = await isolate.send(SUMMARY);
    expect(response.status).toBe(200);
    expect(limitOf(response)).toMatchObject({ profile: "health", r: 199 });
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    expect(await response.json()).toEqual({
      status: "healthy",
      version: "1.0.0",
      uptime_seconds: expect.any(Number),
      checks: { database: "ok", scheduler: "ok", rate_limits: "ok" },
      metrics: { requests_per_minute: 0, error_rate: 0, avg_response_ms: 0 },
      load: { ratio: 0, tier: "low", source: "none", age_seconds: null },
    });
    expect(asked()).toBe(1);
  });

  it.each([
    {
      name: "the other dialect",
      origin: healthy({ db_ok: true, scheduler_ok: false }),
      status: 200,
      told: { status: "degraded", checks: { database: "ok", scheduler: "down" } },
    },
    {
      name: "database down",
      origin: healthy({ checks: { database: "down", scheduler: "ok" } }, 503),
      status: 503,
      told: { status: "unhealthy", checks: { database: "down", scheduler: "ok" } },
    },
    {
      name: "nothing that can be read",
      origin: healthy("<html>"),
      status: 200,
      told: { status: "healthy", checks: { database: "unknown", scheduler: "unknown" } },
    },
  ])("says $name", async ({ origin: { origin }, status, told }) => {
    const response = await start({ origin }).send(SUMMARY);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject(told);
  });

  it("is unhealthy when the origin is gone, and when it never ends its answer", async () => {
    const gone = await start({ origin: () => Promise.reject(new Error("ECONNREFUSED")) }).send(SUMMARY);
    expect(gone.status).toBe(503);
    expect(await gone.json()).toMatchObject({ status: "unhealthy", checks: { database: "unknown" } });
    const endless = () => new Response(new ReadableStream());
    expect((await start({ origin: endless }).send(SUMMARY)).status).toBe(200);
    expect((await start({ origin: () => new Promise(() => {}) }).send(SUMMARY)).status).toBe(503);
  });

  it("is degraded while the signal is stale, tables are refused, or the meter is gone", async () => {
    const old = JSON.stringify({ requests_per_minute: 1, published_at: "2020-01-01T00:00:00Z" });
    const stale = await start({ ...healthy(), documents: { "request-rate": old } }).send(SUMMARY);
    expect(await stale.json()).toMatchObject({
      status: "degraded",
      checks: { rate_limits: "degraded" },
      load: { ratio: null, tier: "medium", source: "fallback" },
    });
    const never = () => Promise.reject(new Error("the meter is gone"));
    const meter = { report: never, view: never, hearOrigin: never };
    const alone = await start({ ...healthy(), ports: { meter } }).send(SUMMARY);
    expect(alone.status).toBe(200);
    expect(await alone.json()).toMatchObject({ status: "degraded", checks: { rate_limits: "degraded" } });
  });

  it("answers 1,000 callers at once, of several isolates, and asks the origin once", async () => {
    const { origin, asked } = healthy();
    const meter = realMeter();
    const [first, ...others] = Array.from({ length: 4 }, () => start({ origin, ports: { meter } }));
    if (first === undefined) throw new RangeError("isolates: expected four");
    const isolates = [first, ...others];
    const responses = await Promise.all(
      Array.from({ length: 1_000 }, (_, i) =>
        (isolates[i % 4] ?? first).send(SUMMARY, { client: `10.7.${i % 250}.${i % 8}` }),
      ),
    );
    expect(responses.filter(({ status }) => status === 200)).toHaveLength(1_000);
    expect(asked()).toBe(1);
    for (let i = 0; i < 20; i += 1) await first.send(SUMMARY);
    expect(asked()).toBe(1);
  });

  it("goes to the origin when it is not asked for exactly so", async () => {
    const isolate = start(healthy());
    await isolate.send(`${SUMMARY}/`);
    await isolate.send(SUMMARY, { method: "POST" });
    expect(isolate.forwarded.map(({ init }) => init.method)).toEqual(["GET", "POST"]);
  });

  it("has no body for HEAD", async () => {
    const response = await start(healthy()).send(SUMMARY, { method: "HEAD" });
    expect(response.status).toBe(200);
    expect(await response.text()).toBe("");
  });

  it("is given while the circuit is open", async () => {
    const isolate = start({ origin: () => new Response("", { status: 500 }) });
    for (let i = 0; i < 25; i += 1) await isolate.send("/a");
    expect((await isolate.send("/a")).status).toBe(503);
    const response = await isolate.send(SUMMARY);
    expect(await response.json()).toMatchObject({ status: "degraded" });
  });
});

describe("GET /metrics", () => {
  const vars = { METRICS_TOKEN: "metrics" };

  it("is a page of the format, with every profile in force from the start", async () => {
    const response = await start({ ...healthy(), vars }).send("/metrics", bearer("metrics"));
    expect(response.headers.get("Content-Type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const families = readExposition(await response.text());
    const requests = families.find(({ name }) => name === "levqor_requests_total");
    const profiles = new Set(requests?.samples.map(({ labels }) => labels.get("profile")));
    expect([...profiles]).toEqual(["default", "ai-chat", "workflows", "billing", "health", "~exempt"]);
  });

  it("is 503 when the meter is gone", async () => {
    const never = () => Promise.reject(new Error("the meter is gone"));
    const meter = { report: never, view: never, hearOrigin: never };
    for (const path of ["/metrics", "/_edge/scaling"]) {
      const response = await start({ vars, ports: { meter } }).send(path, bearer("metrics"));
      expect(response.status).toBe(503);
      expect(await response.json()).toMatchObject({ type: `${PROBLEMS}unavailable` });
    }
  });
});

describe("GET /_edge/scaling", () => {
  it("advises by what the tables say, with every trigger", async () => {
    const vars = { METRICS_TOKEN: "metrics" };
    const { origin } = healthy({ checks: {}, metrics: { approval_queue: 12, cpu_percent: 41 } });
    const isolate = start({ origin, vars });
    await isolate.send("/metrics", bearer("metrics"));
    const triggers = async () => {
      const document = await (await isolate.send("/_edge/scaling", bearer("metrics"))).json<{ triggers: object[] }>();
      expect(document).toMatchObject({ recommended_instances: 2, peak_rps: 0 });
      return document.triggers;
    };
    await expect.poll(triggers, { timeout: 10_000 }).toMatchObject([
      { name: "response_time_p95_ms", value: null, verdict: "unknown" },
      { name: "queue_pending", value: 12, verdict: "hold" },
      { name: "cpu_percent", value: 41, verdict: "hold" },
      { name: "memory_percent", value: null, verdict: "unknown" },
    ]);
  });
});
