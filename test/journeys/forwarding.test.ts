/** What the origin gets of a request, and the client of an answer: everything that was sent, and nothing forged. */
import { createHmac, randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freshClient, type Gateway, type JourneyAsk, startGateway } from "./gateway.ts";
import { askRaw, type Echo } from "./reply.ts";

const NEW_SECRET = "the-secret-that-replaces-it";
const OLD_SECRET = "the-secret-that-is-replaced";

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway({ env: { ORIGIN_SECRET: `${NEW_SECRET},${OLD_SECRET}`, ORIGIN_TIMEOUT_MS: "2000" } });
});
afterAll(() => gateway?.stop());

/** The request as the origin saw it. */
async function echoOf(path: string, ask?: JourneyAsk): Promise<Echo> {
  const reply = await gateway.request(path, ask);
  expect(reply.status).toBe(200);
  return reply.json();
}

describe("a method", () => {
  it.each(["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "MKCOL"])(
    "%s reaches the origin with its body",
    async (method) => {
      const body = `{"text":"für ${method}"}`;
      const echo = await echoOf("/echo?x=1", { method, body, headers: { "Content-Type": "application/json" } });
      expect(echo).toMatchObject({ method, target: "/echo?x=1", body });
      expect(echo.headers["content-type"]).toBe("application/json");
    },
  );

  it.each(["GET", "TRACE"])("%s reaches the origin without a body", async (method) => {
    expect(await echoOf("/echo", { method })).toMatchObject({ method, body_bytes: 0 });
  });

  it("HEAD reaches the origin as HEAD and is answered by fields alone", async () => {
    const client = freshClient();
    const answer = await askRaw(
      gateway.port,
      `HEAD /headed HTTP/1.1\r\nHost: gateway\r\nCF-Connecting-IP: ${client}\r\nConnection: close\r\n\r\n`,
    );
    const { requests } = (await gateway.requestOrigin("/__demo/requests")).json<{ requests: object }>();
    expect(requests).toHaveProperty(["HEAD /headed"], 1);
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer).toMatch(/\r\nRateLimit: "default";r=199;t=\d+\r\n/);
    expect(answer.endsWith("\r\n\r\n")).toBe(true);
    expect(answer.indexOf("\r\n\r\n")).toBe(answer.length - 4);
  });

  it("carries any octets as its body", async () => {
    const body = randomBytes(300_000);
    const through = await echoOf("/echo", { method: "POST", body });
    const direct = (await gateway.requestOrigin("/echo", { method: "POST", body })).json<Echo>();
    expect(through.body_bytes).toBe(body.byteLength);
    expect(through.body_sha256).toBe(direct.body_sha256);
  });
});

describe("a path and query", () => {
  it.each([
    "/plain?b=c&d=%20&d=2",
    "//elsewhere.example/x",
    "//user@elsewhere.example:99/x",
    "/http://elsewhere.example/x",
    "/@elsewhere.example",
    "/:99/x",
    "///",
    "/a//b/",
    "/a;x=1/b;y",
    "/%2F..%2f%5c",
    "/%",
    "/%zz",
    "/a%00b",
    "/%e4%f6",
    "/~!$&'()*+,;=:@",
    "/?",
    "/a?",
    "/a??b=c?",
    "/a?b=//x/../y",
    "/a?b=c%23d\\e",
    `/${"long/".repeat(800)}`,
  ])("%s is sent on as it is written", async (target) => {
    expect((await echoOf(target)).target).toBe(target);
  });

  it.each([
    { written: "/a/../b", sent: "/b" },
    { written: "/a/%2e%2E/b/.", sent: "/b/" },
    { written: "/../../b", sent: "/b" },
    { written: "/a\\b", sent: "/a/b" },
  ])("$written is resolved by the platform alone, within the origin", async ({ written, sent }) => {
    expect((await echoOf(written)).target).toBe(sent);
  });

  it("goes to the origin also where the client names another host", async () => {
    const lines = ["GET http://elsewhere.example/absolute?x HTTP/1.1", "Host: elsewhere.example", "Connection: close"];
    const answer = await askRaw(gateway.port, `${lines.join("\r\n")}\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer).toContain('"target":"/absolute?x"');
  });
});

describe("a request field", () => {
  it("of the client's own is sent on", async () => {
    const headers = {
      Accept: "text/plain;q=0.5, */*",
      Authorization: "Bearer of-the-client",
      Cookie: "a=1; b=2",
      "If-None-Match": '"etag"',
      Range: "bytes=0-99",
      "User-Agent": "journey/1.0",
      "X-Custom": "kept",
      X_Custom_Too: "kept",
    };
    const sent = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
    expect((await echoOf("/echo", { headers })).headers).toMatchObject(sent);
  });

  it("tells the origin who asked, how, in which tier", async () => {
    const client = freshClient();
    const { headers } = await echoOf("/echo", { client, headers: { Host: "api.example:1234" } });
    expect(headers).toMatchObject({
      "x-forwarded-for": client,
      "x-real-ip": client,
      "x-forwarded-host": "api.example:1234",
      "x-forwarded-proto": "http",
      "x-levqor-tier": "low",
    });
  });

  it("that only the gateway may set never comes from a client, in any spelling", async () => {
    const names = [
      "X-Forwarded-For",
      "x_forwarded_for",
      "X-Forwarded_For",
      "X-Forwarded-Host",
      "X_Forwarded-Proto",
      "X-Forwarded-Port",
      "X-Forwarded-Anything",
      "X-Forwarded",
      "Forwarded",
      "X-Real-IP",
      "X_Real_IP",
      "True-Client-IP",
      "True_Client_IP",
      "X-Client-IP",
      "x_client_ip",
      "X-Levqor-Tier",
      "X_Levqor-Tier",
      "X_LEVQOR_SIGNATURE",
      "X-Levqor-Signature",
      "X-Levqor-Anything",
    ];
    const headers = Object.fromEntries(names.map((name) => [name, "forged"]));
    const client = freshClient();
    const seen = (await echoOf("/echo", { client, headers })).headers;
    expect(JSON.stringify(seen)).not.toContain("forged");
    expect(seen).toMatchObject({ "x-forwarded-for": client, "x-real-ip": client, "x-levqor-tier": "low" });
  });
});

describe("X-Request-Id", () => {
  it.each(["a", "7b0c.A_z:9-", "x".repeat(128)])("%s is kept, for the origin and in the answer", async (id) => {
    const reply = await gateway.request("/echo", { headers: { "X-Request-Id": id } });
    expect(reply.headers["x-request-id"]).toBe(id);
    expect(reply.json<Echo>().headers["x-request-id"]).toBe(id);
  });

  it.each([
    { id: "" },
    { id: "a b" },
    { id: "a,b" },
    { id: 'a"b' },
    { id: "<script>" },
    { id: "caf\xe9" },
    { id: "x".repeat(129) },
    { id: ["two", "of-them"] },
  ])("$id is replaced by one of the gateway's own", async ({ id }) => {
    const reply = await gateway.request("/echo", { headers: { "X-Request-Id": id } });
    const replaced = reply.headers["x-request-id"];
    expect(replaced).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
    expect(reply.json<Echo>().headers["x-request-id"]).toBe(replaced);
  });
});

describe("X-Levqor-Signature", () => {
  async function expectVerified(path: string): Promise<void> {
    const { method, target, headers } = await echoOf(path, { method: "POST", body: "{}" });
    const [time, ...signatures] = String(headers["x-levqor-signature"]).split(",");
    expect(time).toMatch(/^t=\d+$/);
    const t = String(time).slice(2);
    expect(Math.abs(Number(t) - Date.now() / 1000)).toBeLessThan(30);
    const fields = ["x-forwarded-for", "x-levqor-tier", "x-request-id"].map((name) => headers[name]);
    const message = [t, method, target, ...fields].join("\n");
    const expected = [NEW_SECRET, OLD_SECRET].map((secret) => createHmac("sha256", secret).update(message));
    expect(signatures).toEqual(expected.map((hmac) => `v1=${hmac.digest("hex")}`));
  }

  it.each(["/signed", "/signed//odd;x/%2f?q=a%20b&c", "/to/../signed", "/back\\slash", "/signed?a?"])(
    "of %s verifies with either secret over what the origin sees",
    expectVerified,
  );

  // The signature leaves out a `?` that nothing follows, which the origin does see.
  it("of a path with an empty query verifies with either secret", () => expectVerified("/signed?"));
});

describe("an answer", () => {
  it("that redirects is not followed, and its cookies are kept apart", async () => {
    const { status, headers } = await gateway.request("/demo/redirect");
    expect(status).toBe(302);
    expect(headers.location).toBe("/demo/landed?from=redirect");
    expect(headers["set-cookie"]).toEqual(["session=demo; Path=/; HttpOnly", "theme=dark; Path=/; Max-Age=60"]);
  });

  it("that is compressed keeps its octets", async () => {
    const headers = { "Accept-Encoding": "gzip" };
    const through = await gateway.request("/demo/gzip", { headers });
    const direct = await gateway.requestOrigin("/demo/gzip", { headers });
    expect(through.headers["content-encoding"]).toBe("gzip");
    expect(through.headers["etag"]).toBe(direct.headers["etag"]);
    expect(through.body.equals(direct.body)).toBe(true);
  });

  it("that nothing has changed is 304 without a body, with the fields of the limit", async () => {
    const etag = String((await gateway.requestOrigin("/demo/gzip")).headers["etag"]);
    const reply = await gateway.request("/demo/gzip", { headers: { "If-None-Match": etag } });
    expect(reply.status).toBe(304);
    expect(reply.body).toHaveLength(0);
    expect(reply.headers["etag"]).toBe(etag);
    expect(reply.limit()).toMatchObject({ profile: "default", r: 199 });
  });

  it.each([204, 205, 404, 418, 429, 500, 503, 599])(
    "of status %i is the origin's own, with the fields of the limit",
    async (status) => {
      const path = `/echo?demo_status=${status}`;
      const [through, direct] = [await gateway.request(path), await gateway.requestOrigin(path)];
      expect(through.status).toBe(status);
      expect(through.text).toBe(direct.text);
      expect(through.headers["content-type"]).toBe(direct.headers["content-type"]);
      expect(through.limit()).toMatchObject({ profile: "default", q: 200, r: 199 });
    },
  );

  it("to a browser elsewhere lets it read the fields of the limit, beside what the origin allows", async () => {
    const reply = await gateway.request("/api/workflows", { headers: { Origin: "https://elsewhere.example" } });
    expect(reply.headers["access-control-allow-origin"]).toBe("https://elsewhere.example");
    expect(String(reply.headers["access-control-expose-headers"]).split(/, */)).toEqual([
      "Location",
      "RateLimit-Policy",
      "RateLimit",
      "X-RateLimit-Limit",
      "X-RateLimit-Remaining",
      "X-RateLimit-Reset",
      "Retry-After",
      "X-Request-Id",
    ]);
  });
});

describe("an origin in trouble", () => {
  it("that cuts the connection before it has answered is 502", async () => {
    const reply = await gateway.request("/api/workflows?demo_cut=before-headers");
    expect(reply.status).toBe(502);
    expect(reply.headers).toMatchObject({ "content-type": "application/problem+json", "cache-control": "no-store" });
    const problem = reply.json<Record<string, unknown>>();
    expect(Object.keys(problem)).toEqual(["type", "title", "status", "detail", "instance", "request_id"]);
    expect(problem).toMatchObject({
      type: "https://api.levqor.ai/problems/origin-unreachable",
      status: 502,
      instance: "/api/workflows",
      request_id: reply.headers["x-request-id"],
    });
    expect(reply.limit()).toMatchObject({ profile: "workflows", r: 99 });
  });

  it("that answers nothing is 504 once its time is up", async () => {
    const startMs = performance.now();
    const reply = await gateway.request("/api/workflows?demo_hang=1");
    expect(performance.now() - startMs).toBeGreaterThan(1_900);
    expect(reply.status).toBe(504);
    expect(reply.headers).toMatchObject({ "content-type": "application/problem+json", "cache-control": "no-store" });
    expect(reply.json()).toMatchObject({
      type: "https://api.levqor.ai/problems/origin-timeout",
      status: 504,
      instance: "/api/workflows",
      request_id: reply.headers["x-request-id"],
    });
    expect(reply.limit()).toMatchObject({ profile: "workflows", r: 99 });
  });

  it("that is slow but in time is waited for", async () => {
    expect((await gateway.request("/echo?demo_delay_ms=1000")).status).toBe(200);
  });

  it("that cuts the connection in mid-body breaks that answer, not the gateway", async () => {
    await expect(gateway.request("/echo?demo_cut=mid-body")).rejects.toThrow(/aborted|socket hang up|ECONNRESET/);
    expect((await gateway.request("/echo")).status).toBe(200);
  });
});

describe("absurd fields", () => {
  it.each([
    { name: "60 KB in one", headers: { "X-Big": "a".repeat(60_000) }, status: 200 },
    {
      name: "60 KB in sixty",
      headers: Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`X-Big-${index}`, "a".repeat(1_000)])),
      status: 200,
    },
    { name: "five hundred of one name", headers: { "X-Many": Array(500).fill("1") }, status: 200 },
    { name: "a value that is not ASCII", headers: { "X-Latin": "caf\xe9 \xff" }, status: 200 },
    { name: "more than the origin takes", headers: { "X-Big": "a".repeat(70_000) }, status: 431 },
  ])("$name have a defined answer", async ({ headers, status }) => {
    const reply = await gateway.request("/echo", { headers });
    expect(reply.status).toBe(status);
    expect((await gateway.request("/echo")).status).toBe(200);
  });

  it("are handed on octet by octet", async () => {
    const { headers } = await echoOf("/echo", { headers: { "X-Latin": "caf\xe9 \xff" } });
    expect(headers["x-latin"]).toBe("caf\xe9 \xff");
  });
});

it("nothing of all this was a fault of the gateway", async () => {
  expect(await gateway.hasFailed()).toBe(false);
});
