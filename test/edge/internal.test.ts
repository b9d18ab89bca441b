/** Our own faults, and settings that cannot be served: an answer, a log line, and no detail for the client. */
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import worker from "../../src/index.ts";
import { startIsolate } from "./gateway.ts";

type Incoming = Parameters<typeof worker.fetch>[0];

afterEach(() => {
  vi.restoreAllMocks();
});

async function expectInternal(response: Response): Promise<void> {
  expect(response.status).toBe(500);
  expect(response.headers.get("Content-Type")).toBe("application/problem+json");
  expect(response.headers.get("Cache-Control")).toBe("no-store");
  expect(await response.json()).toEqual({
    type: "https://api.levqor.ai/problems/internal",
    title: expect.any(String),
    status: 500,
    detail: "The gateway failed to handle this request.",
    instance: "/some/path",
    request_id: "traced",
  });
}

describe("a fault of the gateway", () => {
  it("is 500 without a detail, and is logged under the request's identifier", async () => {
    let calls = 0;
    const isolate = startIsolate({
      ports: {
        nowMs() {
          calls += 1;
          if (calls === 1) throw new RangeError("secret detail");
          return Date.now();
        },
      },
    });
    await expectInternal(await isolate.send("/some/path?x", { headers: { "X-Request-Id": "traced" } }));
    expect(isolate.forwarded).toEqual([]);
    expect(isolate.logged).toEqual([
      {
        level: "error",
        event: "internal",
        members: { request_id: "traced", error: expect.stringContaining("RangeError: secret detail") },
      },
    ]);
    expect((await isolate.send("/some/path")).status).toBe(200);
  });
});

describe("the Worker", () => {
  const send = (bindings: object) =>
    worker.fetch(
      new Request("https://api.levqor.ai/some/path", { headers: { "X-Request-Id": "traced" } }) as Incoming,
      { ...env, ...bindings },
      createExecutionContext(),
    );

  it("with a setting that cannot be served answers 500, names it in the log alone, and recovers once it is mended", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    await expectInternal(await send({ ORIGIN_URL: "ftp://secret.example" }));
    expect(logged).toHaveBeenCalledTimes(1);
    const line = JSON.parse(String(logged.mock.calls[0]?.[0]));
    expect(line).toMatchObject({ level: "error", event: "internal", request_id: "traced" });
    expect(line.error).toContain('ORIGIN_URL: expected an http(s) URL without query, got "ftp://secret.example"');
    const asked = vi.spyOn(globalThis, "fetch").mockImplementation(async () => new Response("from the origin"));
    const response = await send({ ORIGIN_URL: "http://origin.test" });
    expect(response.status).toBe(200);
    expect(await response.text()).toBe("from the origin");
    expect(response.headers.get("RateLimit-Policy")).toBe('"default";q=200;w=60;levqor-tier="low"');
    expect(asked.mock.calls.map(([url]) => url)).toEqual(["http://origin.test/some/path"]);
  });
});
