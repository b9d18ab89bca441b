/** What goes to the origin and what comes back, and what a client is told when nothing does. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { limitOf, startIsolate } from "./gateway.ts";

const PROBLEMS = "https://api.levqor.ai/problems/";

afterEach(() => {
  vi.useRealTimers();
});

describe("an origin that fails", () => {
  it("to connect, or breaks before it has answered, is 502", async () => {
    const isolate = startIsolate({ origin: () => Promise.reject(new Error("connect ECONNREFUSED 10.1.2.3:443")) });
    const response = await isolate.send("/api/workflows?x=1", { headers: { "X-Request-Id": "traced" } });
    expect(response.status).toBe(502);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-type": "application/problem+json",
      "cache-control": "no-store",
      "x-request-id": "traced",
    });
    expect(response.headers.has("retry-after")).toBe(false);
    expect(limitOf(response)).toEqual({ profile: "workflows", tier: "low", q: 100, r: 99 });
    const text = await response.text();
    expect(text).not.toContain("10.1.2.3");
    const problem = JSON.parse(text);
    expect(Object.keys(problem)).toEqual(["type", "title", "status", "detail", "instance", "request_id"]);
    expect(problem).toMatchObject({
      type: `${PROBLEMS}origin-unreachable`,
      status: 502,
      instance: "/api/workflows",
      request_id: "traced",
    });
    expect(isolate.logged).toContainEqual({
      level: "warn",
      event: "origin-unreachable",
      members: { request_id: "traced", method: "GET", error: "Error: connect ECONNREFUSED 10.1.2.3:443" },
    });
  });

  it("to answer in time is 504", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const isolate = startIsolate({
      vars: { ORIGIN_TIMEOUT_MS: 700 },
      origin: () => new Promise(() => {}),
    });
    let isDone = false;
    const sent = isolate.send("/api/workflows", { headers: { "X-Request-Id": "traced" } }).finally(() => {
      isDone = true;
    });
    while (isolate.forwarded.length === 0) await scheduler.wait(1);
    await vi.advanceTimersByTimeAsync(699);
    expect(isDone).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    const response = await sent;
    expect(response.status).toBe(504);
    expect(response.headers.get("Content-Type")).toBe("application/problem+json");
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    expect(await response.json()).toMatchObject({
      type: `${PROBLEMS}origin-timeout`,
      status: 504,
      request_id: "traced",
    });
    expect(isolate.logged.map(({ event, members }) => [event, members["request_id"]])).toContainEqual([
      "origin-timeout",
      "traced",
    ]);
  });

  it.each([
    ...[520, 521, 523, 525, 526, 527, 530].map((from) => ({ from, to: 502, name: "origin-unreachable" })),
    ...[522, 524].map((from) => ({ from, to: 504, name: "origin-timeout" })),
  ])("so that Cloudflare answers $from in its place is $to", async ({ from, to, name }) => {
    const isolate = startIsolate({ origin: () => new Response("<html>error code</html>", { status: from }) });
    const response = await isolate.send("/");
    expect(response.status).toBe(to);
    expect(await response.json()).toMatchObject({ type: `${PROBLEMS}${name}`, status: to });
  });

  it.each([500, 501, 502, 503, 504, 519, 528, 529, 531, 599])("with %i of its own keeps its answer", async (status) => {
    const isolate = startIsolate({
      origin: () => new Response("its own words", { status, headers: { "Retry-After": "120", "Cache-Control": "x" } }),
    });
    const response = await isolate.send("/");
    expect(response.status).toBe(status);
    expect(await response.text()).toBe("its own words");
    expect(response.headers.get("Retry-After")).toBe("120");
    expect(response.headers.get("Cache-Control")).toBe("x");
    expect(limitOf(response)).toMatchObject({ r: 199 });
  });

  it("in mid-body fails that body alone, however late", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    let fail: (error: Error) => void = () => {};
    const isolate = startIsolate({
      vars: { ORIGIN_TIMEOUT_MS: 700 },
      origin() {
        return new Response(
          new ReadableStream({
            start(controller) {
              controller.enqueue(new TextEncoder().encode("half"));
              fail = (error) => controller.error(error);
            },
          }),
        );
      },
    });
    const response = await isolate.send("/");
    const reader = response.body?.getReader();
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe("half");
    await vi.advanceTimersByTimeAsync(10_000);
    fail(new Error("connection lost"));
    await expect(reader?.read()).rejects.toThrow("connection lost");
    expect(isolate.logged.filter(({ level }) => level === "error")).toEqual([]);
  });
});

describe("a request to the origin", () => {
  it.each([
    { base: "http://origin.test", path: "/a?b=c", url: "http://origin.test/a?b=c" },
    { base: "http://origin.test/", path: "//evil.test/x", url: "http://origin.test//evil.test/x" },
    { base: "https://origin.test:8443/v1/", path: "/a/%2e%2e%2fb?", url: "https://origin.test:8443/v1/a/%2e%2e%2fb?" },
    { base: "http://origin.test/v1", path: "/@evil.test", url: "http://origin.test/v1/@evil.test" },
    { base: "", path: "/a//b?c", url: "https://api.levqor.ai/a//b?c" },
  ])("for $path goes to $url, ORIGIN_URL being '$base'", async ({ base, path, url }) => {
    const isolate = startIsolate({ vars: { ORIGIN_URL: base } });
    await isolate.send(path);
    expect(isolate.forwarded.map((forwarded) => forwarded.url)).toEqual([url]);
  });

  it("follows no redirect and carries the body as the stream it is", async () => {
    const isolate = startIsolate({ origin: async ({ init }) => new Response(await new Response(init.body).text()) });
    const response = await isolate.send("/", { method: "POST", body: "streamed" });
    expect(await response.text()).toBe("streamed");
    expect(isolate.forwarded[0]?.init).toMatchObject({ method: "POST", redirect: "manual" });
    expect(isolate.forwarded[0]?.init.body).toBeInstanceOf(ReadableStream);
  });

  it("is not made for a request that is refused", async () => {
    const isolate = startIsolate({ documents: { "tier-tables": '{"profiles":{"billing":{"limits":{"low":20}}}}' } });
    const statuses = [];
    for (let count = 0; count < 25; count += 1)
      statuses.push((await isolate.send("/api/billing/plan", { client: "192.0.2.9" })).status);
    expect(statuses).toEqual([...Array(20).fill(200), ...Array(5).fill(429)]);
    expect(isolate.forwarded).toHaveLength(20);
  });

  it("tells the tier in force", async () => {
    const isolate = startIsolate({ documents: { "load-pin": '{"load":0.85}' } });
    await isolate.send("/", { headers: { "X-Levqor-Tier": "low" } });
    await isolate.send("/api/billing/webhook", { method: "POST", headers: { "X-Levqor-Tier": "low" } });
    expect(isolate.forwarded.map(({ headers }) => headers.get("X-Levqor-Tier"))).toEqual(["critical", "critical"]);
  });

  it("is not signed where no secret is set, whatever the client claims", async () => {
    const isolate = startIsolate();
    await isolate.send("/", { headers: { "X-Levqor-Signature": "t=1,v1=00" } });
    expect(isolate.forwarded[0]?.headers.has("X-Levqor-Signature")).toBe(false);
  });
});

describe("an answer of the origin", () => {
  it("has its own fields of a limit replaced", async () => {
    const isolate = startIsolate({
      origin: () =>
        new Response(null, {
          headers: {
            RateLimit: '"theirs";r=1',
            "RateLimit-Policy": '"theirs";q=1',
            "X-RateLimit-Limit": "1",
            "X-RateLimit-Remaining": "1",
            "X-RateLimit-Reset": "1",
            "X-Request-Id": "theirs",
          },
        }),
    });
    const response = await isolate.send("/", { headers: { "X-Request-Id": "ours" } });
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "x-ratelimit-limit": "200",
      "x-ratelimit-remaining": "199",
      "x-request-id": "ours",
    });
    expect(limitOf(response)).toEqual({ profile: "default", tier: "low", q: 200, r: 199 });
    expect(JSON.stringify([...response.headers])).not.toContain("theirs");
  });

  it("to an exempt request carries no fields of a limit, not even the origin's", async () => {
    const isolate = startIsolate({
      origin: () => new Response(null, { headers: { RateLimit: '"theirs";r=1', "X-RateLimit-Limit": "1" } }),
    });
    const response = await isolate.send("/api/billing/webhook", { method: "POST" });
    expect([...response.headers.keys()].filter((name) => name.includes("ratelimit"))).toEqual([]);
    expect(response.headers.has("X-Request-Id")).toBe(true);
  });

  it.each([
    { name: "adds ours to what it exposes", exposed: "ETag", first: "ETag" },
    { name: "exposes ours alone where it exposes nothing", exposed: null, first: "RateLimit-Policy" },
  ])("to a browser $name", async ({ exposed, first }) => {
    const headers = new Headers({ "Access-Control-Allow-Origin": "*" });
    if (exposed !== null) headers.set("Access-Control-Expose-Headers", exposed);
    const isolate = startIsolate({ origin: () => new Response(null, { headers }) });
    const names = (await isolate.send("/")).headers.get("Access-Control-Expose-Headers")?.split(/, */) ?? [];
    expect(names[0]).toBe(first);
    expect(names).toEqual(expect.arrayContaining(["RateLimit", "X-RateLimit-Reset", "Retry-After", "X-Request-Id"]));
  });

  it("to anyone else says nothing of browsers", async () => {
    const response = await startIsolate({ vars: { CORS_ALLOW_ORIGINS: "https://app.example" } }).send("/", {
      headers: { Origin: "https://app.example" },
    });
    expect([...response.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
  });
});
