/**
 * The edge cache on the platform's own Cache API, in workerd, with an origin that the test plays.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { readVars } from "../../src/config/vars.ts";
import type { Errand, Forwarded } from "../../src/edge/forward.ts";
import type { Call } from "../../src/edge/identify.ts";
import { createServing, type Served, type Visit } from "../../src/edge/serve.ts";
import type { EdgeCache, Ports } from "../../src/ports.ts";

const PLATFORM: EdgeCache = {
  match: (key, range) => caches.default.match(range === undefined ? key : new Request(key, { headers: { range } })),
  put: (key, response) => caches.default.put(key, response),
  delete: (key) => caches.default.delete(key),
};

interface Sent {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
  readonly body?: string;
}

type Play = (
  request: Request,
  errand: Errand & { readonly signal: AbortSignal },
  n: number,
) => Response | Promise<Response> | Forwarded;

let tests = 0;

/** An isolate's cache before an origin that plays what a test says. */
function isolate(play: Play, cache: EdgeCache = PLATFORM, env: Record<string, unknown> = {}) {
  const clock = { nowMs: Date.UTC(2026, 10, 23, 15) };
  const log: string[] = [];
  let ids = 0;
  const calls = { match: 0, put: 0, delete: 0 };
  const ports = {
    nowMs: () => clock.nowMs,
    newId: () => `id-${tests}-${++ids}`,
    log: (_level: string, event: string) => log.push(event),
    cache: {
      match(key, range) {
        calls.match += 1;
        return cache.match(key, range);
      },
      put(key, response) {
        calls.put += 1;
        return cache.put(key, response);
      },
      delete(key) {
        calls.delete += 1;
        return cache.delete(key);
      },
    },
  } satisfies Partial<Ports> as unknown as Ports;
  const serving = createServing(readVars(env), ports);
  const work: Promise<unknown>[] = [];
  const asked: { method: string; validators: Errand["validators"] }[] = [];

  function visit(path: string, sent: Sent = {}, mayRefresh = true): Visit {
    const { method = "GET", ...init } = sent;
    const request = new Request(`https://api.test/${tests}${path}`, { method, ...init });
    const call = { request, arrivedMs: clock.nowMs } as Call;
    const send = async (errand: Errand): Promise<Forwarded> => {
      asked.push({ method, validators: errand.validators });
      const headers = new Headers(request.headers);
      for (const [name, value] of errand.validators ?? []) headers.set(name, value);
      const { signal } = request;
      const played = await play(new Request(request.url, { method, headers }), { ...errand, signal }, asked.length);
      return played instanceof Response ? { response: played } : played;
    };
    return { call, send, mayRefresh, waitUntil: (done) => work.push(done) };
  }

  return {
    clock,
    log,
    calls,
    asked,
    serving,
    visit,
    start: (path: string, sent?: Sent) => serving.serve(visit(path, sent)),
    /** Asks, reads the body, and waits for what runs behind. */
    async get(path: string, sent?: Sent) {
      const reply = await read(await serving.serve(visit(path, sent)));
      await settle();
      return reply;
    },
    async standIn(path: string, sent?: Sent) {
      const response = await serving.standIn(visit(path, sent).call);
      return response === null ? null : read({ response, isCached: true });
    },
    settle,
  };

  async function settle(): Promise<void> {
    for (let done = work.splice(0); done.length > 0; done = work.splice(0)) await Promise.allSettled(done);
  }
}

async function read(served: Served) {
  if (!("response" in served)) throw new Error(JSON.stringify(served));
  const { response, isCached } = served;
  const { status, headers } = response;
  return { status, headers, isCached, text: await response.text(), cacheStatus: headers.get("cache-status") };
}

const answer = (control: string, more: Record<string, string> = {}) => ({
  headers: { "cache-control": control, ...more },
});
const count = (control: string, more?: Record<string, string>): Play => {
  return (_request, _errand, n) => new Response(`answer ${n}`, answer(control, more));
};

beforeEach(() => {
  tests += 1;
});

describe("what the origin marks", () => {
  it("is given again while it is fresh, with its age, and asked for once it is not", async () => {
    const edge = isolate(count("max-age=60"));
    expect(await edge.get("/a")).toMatchObject({
      text: "answer 1",
      isCached: false,
      cacheStatus: "levqor-edge; fwd=uri-miss; stored",
    });
    edge.clock.nowMs += 59_500;
    const hit = await edge.get("/a");
    expect(hit).toMatchObject({ text: "answer 1", isCached: true, cacheStatus: "levqor-edge; hit; ttl=0" });
    expect(hit.headers.get("age")).toBe("59");
    expect(hit.headers.get("cache-control")).toBe("max-age=60");
    edge.clock.nowMs += 500;
    expect(await edge.get("/a")).toMatchObject({ text: "answer 2" });
  });

  it("is not asked of the platform's cache before it was marked, nor where it never was", async () => {
    const edge = isolate((_request, _errand, n) => new Response(String(n)));
    for (let i = 0; i < 5; i += 1) await edge.get("/plain");
    await edge.get("/plain", { method: "POST", body: "x" });
    await edge.get("/plain", { method: "DELETE" });
    expect(edge.calls).toEqual({ match: 0, put: 0, delete: 0 });
    expect(edge.asked).toHaveLength(6 + 1);
  });

  it("says nothing of the cache on answers that have nothing to do with it", async () => {
    const edge = isolate(count("no-store"));
    expect((await edge.get("/a")).cacheStatus).toBeNull();
    expect((await edge.get("/a")).text).toBe("answer 2");
  });

  it("is told apart by query as written, by method and by host", async () => {
    const edge = isolate(count("max-age=60"));
    const seen = [];
    for (const path of ["/a?x=1&y=2", "/a?y=2&x=1", "/a?x=1&y=2&", "/a", "/A", "/a/", "/%61"]) {
      seen.push((await edge.get(path)).text);
      expect((await edge.get(path)).text).toBe(seen.at(-1));
    }
    expect(new Set(seen).size).toBe(seen.length);
  });

  it("loses the fields of a connection, of one client and of one answer", async () => {
    const edge = isolate(
      count("max-age=60", {
        "x-request-id": "theirs",
        ratelimit: '"x";r=1',
        "ratelimit-policy": '"x";q=1',
        "x-ratelimit-remaining": "1",
        "keep-alive": "timeout=5",
        "proxy-authenticate": "Basic",
        "x-kept": "yes",
        age: "7",
      }),
    );
    await edge.get("/a");
    const { headers, isCached } = await edge.get("/a");
    expect(isCached).toBe(true);
    expect([...headers.keys()].sort()).toEqual([
      "age",
      "cache-control",
      "cache-status",
      "content-length",
      "content-type",
      "x-kept",
    ]);
    expect(headers.get("age")).toBe("7");
    expect(headers.get("x-kept")).toBe("yes");
  });

  it("is not kept where the body breaks off", async () => {
    const broken = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode("half a bo"));
        controller.error(new Error("cut"));
      },
    });
    const edge = isolate((_request, _errand, n) => new Response(n === 1 ? broken : "whole", answer("max-age=60")));
    await expect(edge.get("/a")).rejects.toThrow();
    await edge.settle();
    expect(await edge.get("/a")).toMatchObject({ text: "whole", isCached: false });
    expect((await edge.get("/a")).isCached).toBe(true);
  });

  it("is not kept where it is shorter than it said", async () => {
    const edge = isolate(
      (_request, _errand, n) =>
        new Response(n === 1 ? "short" : "whole!", answer("max-age=60", { "content-length": "6" })),
    );
    await edge.get("/a").catch(() => null);
    await edge.settle();
    expect(await edge.get("/a")).toMatchObject({ text: "whole!", isCached: false });
  });

  it("is not kept over 4 MiB, and reaches its client all the same", async () => {
    const big = new Uint8Array(5 * 1024 * 1024);
    const edge = isolate(() => new Response(new Blob([big]).stream(), answer("max-age=60")));
    expect((await edge.get("/a")).text).toHaveLength(big.byteLength);
    expect((await edge.get("/a")).isCached).toBe(false);
  });
});

describe("nobody gets what is not theirs", () => {
  it("keeps nothing that sets a cookie", async () => {
    const edge = isolate(count("public, s-maxage=60", { "set-cookie": "session=1" }));
    expect((await edge.get("/a")).headers.get("set-cookie")).toBe("session=1");
    const second = await edge.get("/a");
    expect(second).toMatchObject({ text: "answer 2", isCached: false });
  });

  it("gives a request with credentials only what is marked for everybody", async () => {
    const edge = isolate(count("max-age=60"));
    await edge.get("/a");
    expect((await edge.get("/a")).isCached).toBe(true);
    for (const headers of [{ authorization: "Bearer 1" }, { cookie: "session=1" }])
      expect(await edge.get("/a", { headers })).toMatchObject({ isCached: false });
    expect((await edge.get("/a")).text).toBe("answer 1");
  });

  it("does not give others what was fetched with credentials", async () => {
    const edge = isolate((request) => new Response(request.headers.get("authorization"), answer("max-age=60")));
    await edge.get("/a", { headers: { authorization: "mine" } });
    expect((await edge.get("/a")).text).toBe("");
    expect((await edge.get("/a", { headers: { authorization: "theirs" } })).text).toBe("theirs");
  });

  it("shares what is public with and without credentials", async () => {
    const edge = isolate(count("public, max-age=60"));
    await edge.get("/a", { headers: { authorization: "mine" } });
    expect(await edge.get("/a", { headers: { cookie: "x=1" } })).toMatchObject({ text: "answer 1", isCached: true });
  });

  it("keeps variants apart, in their names whatever case, and finds them again", async () => {
    const edge = isolate((request, _errand, n) => {
      const body = `${n} ${request.headers.get("accept-language")}`;
      return new Response(body, answer("max-age=60", { vary: "Accept-Language" }));
    });
    await edge.get("/a", { headers: { "accept-language": "de" } });
    await edge.get("/a", { headers: { "accept-language": "fr" } });
    await edge.get("/a");
    for (const [language, text] of [
      ["de", "1 de"],
      ["fr", "2 fr"],
    ] as const)
      expect(await edge.get("/a", { headers: { "accept-language": language } })).toMatchObject({
        text,
        isCached: true,
      });
    expect(await edge.get("/a")).toMatchObject({ text: "3 null", isCached: true });
    expect((await edge.get("/a", { headers: { "accept-language": "it" } })).cacheStatus).toBe(
      "levqor-edge; fwd=vary-miss; stored",
    );
  });

  it("keeps variants apart also where the origin says Vary only on some answers", async () => {
    const edge = isolate((request) => {
      const language = request.headers.get("accept-language");
      return new Response(language, answer("max-age=1", language === "de" ? { vary: "Accept-Language" } : {}));
    });
    for (let i = 0; i < 4; i += 1, edge.clock.nowMs += 1_500) {
      for (const language of ["de", "fr", "de"])
        expect((await edge.get("/a", { headers: { "accept-language": language } })).text).toBe(language);
    }
  });

  it("keeps nothing under Vary: *", async () => {
    const edge = isolate(count("max-age=60", { vary: "*" }));
    await edge.get("/a");
    expect((await edge.get("/a")).text).toBe("answer 2");
  });

  it("keeps a site's Access-Control-Allow-Origin to that site, though the origin forgot Vary", async () => {
    const edge = isolate((request) => {
      const site = request.headers.get("origin");
      return new Response("x", answer("max-age=60", site === null ? {} : { "access-control-allow-origin": site }));
    });
    const ask = async (site: string | null) => {
      const { headers } = await edge.get("/a", site === null ? {} : { headers: { origin: site } });
      return headers.get("access-control-allow-origin");
    };
    for (let i = 0; i < 3; i += 1)
      for (const site of [null, "https://a.test", "https://b.test", null]) expect(await ask(site)).toBe(site);
    expect(edge.asked.length).toBeLessThanOrEqual(4);
  });

  it("shares Access-Control-Allow-Origin: * with every site", async () => {
    const edge = isolate(count("max-age=60", { "access-control-allow-origin": "*" }));
    await edge.get("/a", { headers: { origin: "https://a.test" } });
    expect((await edge.get("/a", { headers: { origin: "https://b.test" } })).isCached).toBe(true);
  });
});

describe("parts and conditions", () => {
  const file = (_request: Request) =>
    new Response("0123456789", answer("max-age=60", { etag: '"1"', "last-modified": "Mon, 23 Nov 2026 10:00:00 GMT" }));

  it("answers HEAD from what GET fetched, and fills nothing by HEAD", async () => {
    const edge = isolate(file);
    await edge.get("/a", { method: "HEAD" });
    expect((await edge.get("/a")).isCached).toBe(false);
    const head = await edge.get("/a", { method: "HEAD" });
    expect(head).toMatchObject({ status: 200, text: "", isCached: true });
    expect(head.headers.get("content-length")).toBe("10");
    expect(head.headers.get("etag")).toBe('"1"');
  });

  it("answers a range from the whole, and fills nothing by a part", async () => {
    const edge = isolate((request) =>
      request.headers.has("range")
        ? new Response("23", { status: 206, ...answer("max-age=60", { "content-range": "bytes 2-3/10" }) })
        : file(request),
    );
    const range = { headers: { range: "bytes=2-3" } };
    expect(await edge.get("/a", range)).toMatchObject({ status: 206, isCached: false });
    expect((await edge.get("/a")).isCached).toBe(false);
    const part = await edge.get("/a", range);
    expect(part).toMatchObject({ status: 206, text: "23", isCached: true });
    expect(part.headers.get("content-range")).toBe("bytes 2-3/10");
    expect(part.headers.get("content-length")).toBe("2");
    expect((await edge.get("/a")).text).toBe("0123456789");
  });

  it.each([
    ['"1"', 206],
    ['W/"1"', 200],
    ['"2"', 200],
    ["Mon, 23 Nov 2026 10:00:00 GMT", 206],
  ])("gives a range if it is still %s: %i", async (condition, status) => {
    const edge = isolate(file);
    await edge.get("/a");
    expect(await edge.get("/a", { headers: { range: "bytes=0-0", "if-range": condition } })).toMatchObject({ status });
  });

  it("gives the whole where a range cannot be had", async () => {
    const edge = isolate(file);
    await edge.get("/a");
    expect(await edge.get("/a", { headers: { range: "bytes=90-" } })).toMatchObject({
      status: 200,
      text: "0123456789",
    });
  });

  it("tells a client that has it so, also when it was just fetched", async () => {
    const edge = isolate(file);
    await edge.get("/a");
    const same = { headers: { "if-none-match": '"0", W/"1"' } };
    const reply = await edge.get("/a", same);
    expect(reply).toMatchObject({ status: 304, text: "", isCached: true });
    expect(reply.headers.get("etag")).toBe('"1"');
    edge.clock.nowMs += 3_600_000 * 2;
    expect(await edge.get("/a", same)).toMatchObject({ status: 304, isCached: false });
  });

  it("leaves If-Match to the origin", async () => {
    const edge = isolate(file);
    await edge.get("/a");
    expect((await edge.get("/a", { headers: { "if-match": '"1"' } })).isCached).toBe(false);
  });
});

describe("validation", () => {
  it("asks with what it has, in place of the client's own conditions, and keeps what is confirmed", async () => {
    const edge = isolate((request, _errand, n) =>
      request.headers.get("if-none-match") === '"1"'
        ? new Response(null, { status: 304, ...answer("max-age=60", { etag: '"1"', "x-version": String(n) }) })
        : new Response("body", answer("max-age=60", { etag: '"1"', "x-version": String(n) })),
    );
    await edge.get("/a");
    edge.clock.nowMs += 61_000;
    const confirmed = await edge.get("/a", { headers: { "if-none-match": '"other"' } });
    expect(confirmed).toMatchObject({
      status: 200,
      text: "body",
      cacheStatus: "levqor-edge; fwd=stale; fwd-status=304; stored",
    });
    expect(confirmed.headers.get("x-version")).toBe("2");
    expect(edge.asked[1]?.validators).toEqual([["if-none-match", '"1"']]);
    edge.clock.nowMs += 59_000;
    expect(await edge.get("/a")).toMatchObject({
      text: "body",
      isCached: true,
      cacheStatus: "levqor-edge; hit; ttl=1",
    });
  });

  it("fetches anew where the origin confirms something else", async () => {
    const edge = isolate((request, _errand, n) =>
      request.headers.has("if-none-match")
        ? new Response(null, { status: 304, headers: { etag: '"2"' } })
        : new Response(`body ${n}`, answer("max-age=60", { etag: `"${n}"` })),
    );
    await edge.get("/a");
    edge.clock.nowMs += 61_000;
    expect(await edge.get("/a")).toMatchObject({ status: 200, text: "body 3" });
  });

  it("forgets what the origin replaces by something that may not be kept", async () => {
    const edge = isolate((_request, _errand, n) =>
      n === 1
        ? new Response("old", answer("max-age=60, stale-if-error=600"))
        : n === 2
          ? new Response("new", answer("private"))
          : new Response("", { status: 500 }),
    );
    await edge.get("/a");
    edge.clock.nowMs += 61_000;
    expect((await edge.get("/a")).text).toBe("new");
    expect(await edge.get("/a")).toMatchObject({ status: 500 });
  });

  it("is asked for by a client's no-cache, at the origin's cost once for all who ask at once", async () => {
    const edge = isolate(count("max-age=60"));
    await edge.get("/a");
    expect((await edge.get("/a", { headers: { "cache-control": "no-cache" } })).text).toBe("answer 2");
    expect((await edge.get("/a")).text).toBe("answer 2");
  });
});

describe("stale answers", () => {
  it("are given at once under stale-while-revalidate, and fetched anew once behind them", async () => {
    const edge = isolate(count("max-age=60, stale-while-revalidate=30", { etag: '"1"' }));
    await edge.get("/a");
    edge.clock.nowMs += 70_000;
    const stale = await Promise.all(Array.from({ length: 10 }, () => edge.start("/a").then(read)));
    for (const reply of stale)
      expect(reply).toMatchObject({
        text: "answer 1",
        isCached: true,
        cacheStatus: "levqor-edge; hit; ttl=-10; detail=stale-while-revalidate",
      });
    await edge.settle();
    expect(edge.asked).toHaveLength(2);
    expect(await edge.get("/a")).toMatchObject({ text: "answer 2", cacheStatus: "levqor-edge; hit; ttl=60" });
  });

  it.each([
    [
      "500",
      () => new Response("broken", { status: 500 }),
      "levqor-edge; fwd=stale; fwd-status=500; ttl=-1; detail=stale-if-error",
    ],
    [
      "503",
      () => new Response("broken", { status: 503 }),
      "levqor-edge; fwd=stale; fwd-status=503; ttl=-1; detail=stale-if-error",
    ],
    [
      "no answer",
      (): Forwarded => ({ denial: { reason: "origin-timeout" } }),
      "levqor-edge; fwd=stale; ttl=-1; detail=stale-if-error",
    ],
  ] as const)("stand in for %s under stale-if-error, and say so", async (_name, fail, cacheStatus) => {
    const edge = isolate((_request, _errand, n) =>
      n === 1 ? new Response("good", answer("max-age=60, stale-if-error=600")) : fail(),
    );
    await edge.get("/a");
    edge.clock.nowMs += 61_000;
    const stale = await edge.get("/a");
    expect(stale).toMatchObject({ status: 200, text: "good", isCached: true, cacheStatus });
    expect(stale.headers.get("age")).toBe("61");
    edge.clock.nowMs += 600_000;
    const over = await edge.start("/a");
    expect("denial" in over || ("response" in over && over.response.status >= 500)).toBe(true);
  });

  it("do not stand in for a 404 or a 501", async () => {
    for (const status of [404, 501, 429]) {
      tests += 1;
      const edge = isolate((_request, _errand, n) =>
        n === 1 ? new Response("good", answer("max-age=60, stale-if-error=600")) : new Response("", { status }),
      );
      await edge.get("/a");
      edge.clock.nowMs += 61_000;
      expect(await edge.get("/a")).toMatchObject({ status, isCached: false });
    }
  });

  it("stand in while the origin must not be asked, also in an isolate that never saw the URL", async () => {
    const first = isolate(count("max-age=60, stale-if-error=600"));
    await first.get("/a");
    const edge = isolate(count("unused"));
    edge.clock.nowMs += 61_000;
    expect(await edge.standIn("/a")).toMatchObject({
      text: "answer 1",
      cacheStatus: "levqor-edge; hit; ttl=-1; detail=stale-if-error",
    });
    expect(await edge.standIn("/a", { headers: { authorization: "x" } })).toBeNull();
    expect(await edge.standIn("/a", { method: "POST" })).toBeNull();
    expect(await edge.standIn("/b")).toBeNull();
    const { match } = edge.calls;
    expect(await edge.standIn("/b")).toBeNull();
    expect(edge.calls.match).toBe(match);
    edge.clock.nowMs += 600_000;
    expect(await edge.standIn("/a")).toBeNull();
    expect(edge.asked).toHaveLength(0);
  });

  it("are not fetched anew by a request that is somebody's probe", async () => {
    const edge = isolate(count("max-age=60, stale-while-revalidate=30"));
    await edge.get("/a");
    edge.clock.nowMs += 61_000;
    const reply = await read(await edge.serving.serve(edge.visit("/a", {}, false)));
    await edge.settle();
    expect([reply.text, edge.asked.length]).toEqual(["answer 1", 1]);
  });
});

describe("unsafe requests", () => {
  const site: Play = (request, _errand, n) =>
    request.method === "GET"
      ? new Response(`answer ${n}`, answer("max-age=60", { vary: "Accept-Language" }))
      : new Response("", { status: Number(new URL(request.url).searchParams.get("status") ?? 200) });

  it.each(["POST", "PUT", "PATCH", "DELETE"])("drop every variant of their URL: %s", async (method) => {
    const edge = isolate(site);
    await edge.get("/a");
    await edge.get("/a", { headers: { "accept-language": "de" } });
    await edge.get("/a", { method });
    expect((await edge.get("/a")).text).toBe("answer 4");
    expect((await edge.get("/a", { headers: { "accept-language": "de" } })).text).toBe("answer 5");
  });

  it("drop nothing where they failed", async () => {
    const edge = isolate(site);
    await edge.get("/a?status=500");
    await edge.get("/a?status=500", { method: "POST" });
    expect((await edge.get("/a?status=500")).text).toBe("answer 1");
  });

  it("drop what Location and Content-Location name, on the same origin", async () => {
    const edge = isolate((request, _errand, n) =>
      request.method === "GET"
        ? new Response(`answer ${n}`, answer("max-age=60"))
        : new Response("", {
            status: 201,
            headers: { location: "b", "content-location": `https://api.test/${tests}/c` },
          }),
    );
    for (const path of ["/b", "/c", "/d"]) await edge.get(path);
    await edge.get("/a", { method: "POST" });
    expect([(await edge.get("/b")).isCached, (await edge.get("/c")).isCached, (await edge.get("/d")).isCached]).toEqual(
      [false, false, true],
    );
  });

  it("drop what another isolate kept, once for ten seconds", async () => {
    const other = isolate(site);
    await other.get("/a");
    const edge = isolate(site);
    await edge.get("/b");
    await edge.get("/a", { method: "POST" });
    for (let i = 0; i < 5; i += 1) await edge.get("/a", { method: "POST" });
    expect(edge.calls.delete).toBe(1);
    expect((await other.get("/a")).isCached).toBe(false);
  });

  it("keep an answer from being kept that was under way", async () => {
    const slow = Promise.withResolvers<void>();
    const edge = isolate(async (request, _errand, n) => {
      if (request.method !== "GET") return new Response("");
      if (request.url.endsWith("/a")) await slow.promise;
      return new Response(`answer ${n}`, answer("max-age=60"));
    });
    await edge.get("/other");
    const under = edge.start("/a");
    await read(await edge.start("/a", { method: "POST" }));
    slow.resolve();
    await read(await under);
    await edge.settle();
    edge.clock.nowMs += 1;
    expect((await edge.get("/a")).isCached).toBe(false);
    expect((await edge.get("/a")).isCached).toBe(true);
  });
});

describe("500 at once", () => {
  const crowd = <T>(one: () => Promise<T>) => Promise.all(Array.from({ length: 500 }, one));

  it.each(["for the first time", "of a URL known to be cacheable"])("ask the origin once %s", async (name) => {
    const gate = Promise.withResolvers<void>();
    const edge = isolate(async (_request, _errand, n) => {
      await gate.promise;
      return new Response(`answer ${n}`, answer("max-age=60"));
    });
    let before = 0;
    if (name !== "for the first time") {
      gate.resolve();
      await edge.get("/a");
      edge.clock.nowMs += 60_000;
      before = 1;
    }
    const all = crowd(() => edge.start("/a").then(read));
    gate.resolve();
    const replies = await all;
    expect(edge.asked).toHaveLength(before + 1);
    expect(new Set(replies.map(({ text }) => text))).toEqual(new Set([`answer ${before + 1}`]));
    expect(replies.filter(({ cacheStatus }) => cacheStatus?.includes("hit; ttl=60; collapsed"))).toHaveLength(499);
  });

  it("all ask, once the answer turns out not to be cacheable, and the next crowd does not wait", async () => {
    const edge = isolate(count("no-store"));
    await crowd(() => edge.start("/a").then(read));
    expect(edge.asked).toHaveLength(500);
    const hang = Promise.withResolvers<Response>();
    const slow = isolate((_request, _errand, n) =>
      n === 1 ? new Response("") : n === 2 ? hang.promise : new Response("quick"),
    );
    await slow.get("/b");
    const first = slow.start("/b");
    expect((await read(await slow.start("/b"))).text).toBe("quick");
    hang.resolve(new Response(""));
    await first;
  });

  it("share one failure where there is no answer", async () => {
    const edge = isolate((): Forwarded => ({ denial: { reason: "origin-timeout" } }));
    const served = await crowd(() => edge.start("/a"));
    expect(edge.asked).toHaveLength(1);
    expect(served.every((one) => "denial" in one && one.denial.reason === "origin-timeout")).toBe(true);
  });

  it("share the second answer where the first failed", async () => {
    const edge = isolate((_request, _errand, n) =>
      n === 1 ? new Response("no", { status: 500 }) : new Response("yes", answer("max-age=60")),
    );
    const replies = await crowd(() => edge.start("/a").then(read));
    expect(edge.asked).toHaveLength(2);
    expect(replies.filter(({ text }) => text === "yes")).toHaveLength(499);
  });

  it("get the stale copy where the origin fails, and ask it once", async () => {
    const edge = isolate(async (_request, _errand, n) => {
      if (n === 1) return new Response("good", answer("max-age=60, stale-if-error=600"));
      await scheduler.wait(1_000);
      return new Response("no", { status: 500 });
    });
    await edge.get("/a");
    edge.clock.nowMs += 61_000;
    const replies = await crowd(() => edge.start("/a").then(read));
    expect(edge.asked).toHaveLength(2);
    expect(replies.every(({ text }) => text === "good")).toBe(true);
  });

  it("get their answer though the first one's client goes away", async () => {
    const gate = Promise.withResolvers<void>();
    const leaving = new AbortController();
    const edge = isolate(async (_request, { signal }, n) => {
      const gone = new Promise<Forwarded>((resolve) => {
        if (signal.aborted) resolve({ gone: true });
        signal.addEventListener("abort", () => resolve({ gone: true }));
      });
      const answered = gate.promise.then(() => new Response(`answer ${n}`, answer("max-age=60")));
      return (await Promise.race([answered, gone])) as Response;
    });
    const first = edge.start("/a", { signal: leaving.signal });
    const all = crowd(() => edge.start("/a").then(read));
    leaving.abort();
    expect(await first).toEqual({ gone: true });
    gate.resolve();
    const replies = await all;
    expect(replies.every(({ text }) => text === "answer 2")).toBe(true);
    expect(edge.asked).toHaveLength(2);
  });

  it("do not end with the first one's client where the URL is known to be cacheable", async () => {
    const edge = isolate(count("max-age=60"));
    await edge.get("/a");
    edge.clock.nowMs += 61_000;
    const errands: Errand[] = [];
    const visit = edge.visit("/a");
    await read(
      await edge.serving.serve({
        ...visit,
        send(errand) {
          errands.push(errand);
          return visit.send(errand);
        },
      }),
    );
    expect(errands).toEqual([{ isShared: true, validators: [] }]);
  });

  it("get their answer though the first one is never heard of again", async () => {
    const edge = isolate(
      (_request, _errand, n) =>
        n === 1 ? new Promise<Response>(() => {}) : new Response(`answer ${n}`, answer("max-age=60")),
      PLATFORM,
      { ORIGIN_TIMEOUT_MS: 200 },
    );
    void edge.start("/a");
    const replies = await crowd(() => edge.start("/a").then(read));
    expect(replies.every(({ text }) => text === "answer 2")).toBe(true);
    expect(edge.asked).toHaveLength(2);
  });

  it("go on at once where what was cacheable is no more", async () => {
    const edge = isolate(async (_request, _errand, n) => {
      if (n === 1) return new Response("shared", answer("max-age=60"));
      await scheduler.wait(500);
      return new Response(`own ${n}`, answer("private"));
    });
    await edge.get("/a");
    edge.clock.nowMs += 61_000;
    const startMs = performance.now();
    const replies = await Promise.all(Array.from({ length: 20 }, () => edge.start("/a").then(read)));
    expect(new Set(replies.map(({ text }) => text)).size).toBe(20);
    expect(performance.now() - startMs).toBeLessThan(1_450);
  });

  it("with credentials wait for nobody, unless what they want is everybody's", async () => {
    const edge = isolate(count("public, max-age=60"));
    const mine = { headers: { authorization: "x" } };
    await Promise.all([1, 2, 3].map(() => edge.start("/a", mine).then(read)));
    expect(edge.asked).toHaveLength(3);
    await edge.settle();
    edge.clock.nowMs += 60_000;
    await Promise.all([1, 2, 3].map(() => edge.start("/a", mine).then(read)));
    expect(edge.asked).toHaveLength(4);
  });
});

describe("a platform cache that fails", () => {
  const never = new Promise<never>(() => {});
  const faults: readonly (readonly [string, Partial<EdgeCache>])[] = [
    ["refuses look-ups", { match: () => Promise.reject(new Error("down")) }],
    ["never answers a look-up", { match: () => never }],
    [
      "is not there at all",
      {
        match() {
          throw new Error("no cache was configured");
        },
        put() {
          throw new Error("no cache was configured");
        },
        delete() {
          throw new Error("no cache was configured");
        },
      },
    ],
    [
      "refuses to keep",
      { put: (_key, response) => response.body?.cancel().then(() => Promise.reject(new Error("full"))) ?? never },
    ],
    ["refuses to drop", { delete: () => Promise.reject(new Error("down")) }],
    ["never drops", { delete: () => never }],
    [
      "gives what is not ours",
      { match: async () => new Response("theirs", { headers: { "x-levqor-edge-entry": "{" } }) },
    ],
  ];

  it.each(faults)("and %s costs the answer nothing", async (_name, fault) => {
    const edge = isolate(count("max-age=60"), { ...PLATFORM, ...fault });
    for (let i = 0; i < 3; i += 1) {
      expect(await edge.get("/a")).toMatchObject({ status: 200, text: expect.stringMatching(/^answer/) });
      expect(await edge.get("/a", { method: "POST", body: "x" })).toMatchObject({ status: 200 });
    }
  });

  it("is left alone for five seconds", async () => {
    const edge = isolate(count("max-age=60"), { ...PLATFORM, match: () => Promise.reject(new Error("down")) });
    await edge.get("/a");
    for (let i = 0; i < 10; i += 1) await edge.get("/a");
    expect(edge.calls.match).toBe(1);
    expect(edge.log.filter((event) => event === "cache-unavailable")).toHaveLength(1);
    edge.clock.nowMs += 5_000;
    await edge.get("/a");
    expect(edge.calls.match).toBe(2);
  });
});
