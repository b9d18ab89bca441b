/**
 * The edge cache from outside: what two clients get of what an origin marks, and what the origin is asked.
 */
import { createHash } from "node:crypto";
import { type IncomingMessage, request, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freshClient, type Gateway, startGateway } from "./gateway.ts";
import { type OwnOrigin, startOwnOrigin } from "./own-origin.ts";
import type { Reply } from "./reply.ts";

type Handler = (incoming: IncomingMessage, outgoing: ServerResponse, n: number) => void;

/** What the origin does at a path; each test brings its own. */
const handlers = new Map<string, Handler>();
const asked = new Map<string, number>();
const pathOf = (target: string) => target.replace(/\?.*/s, "");

let origin: OwnOrigin;
let gateway: Gateway;
beforeAll(async () => {
  origin = await startOwnOrigin((incoming, outgoing) => {
    const path = pathOf(incoming.url ?? "");
    const n = (asked.get(path) ?? 0) + 1;
    asked.set(path, n);
    const handler = handlers.get(path);
    if (handler === undefined) outgoing.end("ok");
    else handler(incoming, outgoing, n);
  });
  gateway = await startGateway({ env: { ORIGIN_URL: origin.url, ORIGIN_TIMEOUT_MS: "5000" } });
});
afterAll(async () => {
  await gateway?.stop();
  await origin?.close();
});

let paths = 0;

/** A path of its own with this behind it. */
function at(handler: Handler): string {
  const path = `/cache/${++paths}`;
  handlers.set(path, handler);
  return path;
}

/** Answers "answer n" with these fields. */
function marked(control: string, fields: Readonly<Record<string, string>> = {}): Handler {
  return (_incoming, outgoing, n) => {
    outgoing.writeHead(200, { "Content-Type": "text/plain", "Cache-Control": control, ...fields });
    outgoing.end(`answer ${n}`);
  };
}

const count = (path: string) => asked.get(path) ?? 0;
const statusOf = (reply: Reply) => String(reply.headers["cache-status"] ?? "");
/** What is kept is put behind the answer. */
const kept = () => sleep(150);

describe("two clients", () => {
  it("get one answer, each with its own limit, identifier and site", async () => {
    const path = at((incoming, outgoing) => {
      outgoing.writeHead(200, {
        "Cache-Control": "public, max-age=60",
        "X-Request-Id": "the origin's",
        RateLimit: '"theirs";r=1',
        "X-RateLimit-Remaining": "1",
        "X-Seen": String(incoming.headers["x-request-id"]),
        ...(incoming.headers.origin === undefined ? {} : { "Access-Control-Allow-Origin": incoming.headers.origin }),
      });
      outgoing.end("shared");
    });
    const client = freshClient();
    const first = await gateway.request(path, {
      client,
      headers: { "X-Request-Id": "first", Origin: "https://a.test" },
    });
    await kept();
    const second = await gateway.request(path, { headers: { "X-Request-Id": "second", Origin: "https://b.test" } });
    await kept();
    const third = await gateway.request(path, {
      client,
      headers: { "X-Request-Id": "third", Origin: "https://a.test" },
    });
    expect([first, second, third].map(({ headers }) => headers["x-request-id"])).toEqual(["first", "second", "third"]);
    expect([first, second, third].map(({ headers }) => headers["access-control-allow-origin"])).toEqual([
      "https://a.test",
      "https://b.test",
      "https://a.test",
    ]);
    expect([first, second, third].map((reply) => reply.limit()?.r)).toEqual([199, 199, 198]);
    expect(third.headers["x-ratelimit-remaining"]).toBe("198");
    expect([count(path), statusOf(third)]).toEqual([2, expect.stringMatching(/^levqor-edge; hit; ttl=\d+$/)]);
  });

  it("each pay a unit for what the cache gives, and are refused over their limit", async () => {
    const path = at(marked("max-age=60"));
    const client = freshClient();
    const statuses: number[] = [];
    for (let i = 0; i < 205; i += 1) statuses.push((await gateway.request(path, { client })).status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(200);
    expect(statuses.filter((status) => status === 429)).toHaveLength(5);
    expect(count(path)).toBe(1);
    const refused = await gateway.request(path, { client });
    expect([refused.status, refused.headers["cache-status"]]).toEqual([429, undefined]);
    expect((await gateway.request(path)).status).toBe(200);
  });

  it.each([
    { name: "a cookie that is set", fields: { "Set-Cookie": "session=1" }, headers: {}, second: "answer 2" },
    { name: "a request with a cookie", fields: {}, headers: { Cookie: "session=1" }, second: "answer 2" },
    { name: "a request with credentials", fields: {}, headers: { Authorization: "Bearer 1" }, second: "answer 2" },
    { name: "Vary: *", fields: { Vary: "*" }, headers: {}, second: "answer 2" },
    { name: "private", control: "private, max-age=60", fields: {}, headers: {}, second: "answer 2" },
    { name: "no-store", control: "no-store, max-age=60", fields: {}, headers: {}, second: "answer 2" },
    { name: "nothing of these", fields: {}, headers: {}, second: "answer 1" },
    {
      name: "public, with credentials",
      control: "public, max-age=60",
      fields: {},
      headers: { Authorization: "Bearer 1" },
      second: "answer 1",
    },
  ])(
    "share nothing under $name, or what is said: $second",
    async ({ control = "max-age=60", fields, headers, second }) => {
      const path = at(marked(control, fields));
      expect((await gateway.request(path, { headers })).text).toBe("answer 1");
      await kept();
      const reply = await gateway.request(path, { headers });
      expect(reply.text).toBe(second);
      if (second === "answer 1") expect(reply.headers["set-cookie"]).toBeUndefined();
    },
  );

  it("with credentials of their own never see each other's answer", async () => {
    const path = at((incoming, outgoing) => {
      outgoing.setHeader("Cache-Control", "max-age=60");
      outgoing.end(String(incoming.headers.authorization ?? incoming.headers.cookie));
    });
    const seen = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const mine = `mine-${i}`;
        const reply = await gateway.request(path, {
          headers: i % 2 === 0 ? { Authorization: mine } : { Cookie: mine },
        });
        return reply.text === mine;
      }),
    );
    expect(seen.every((isOwn) => isOwn)).toBe(true);
  });
});

describe("bytes", () => {
  const text = "the same bytes, whoever asks for them and however they are packed; ".repeat(200);
  const packed = { gzip: gzipSync(text), br: brotliCompressSync(text) };
  const unpack = (reply: Reply) => {
    const encoding = reply.headers["content-encoding"];
    const raw =
      encoding === "gzip" ? gunzipSync(reply.body) : encoding === "br" ? brotliDecompressSync(reply.body) : reply.body;
    return raw.toString();
  };

  it("are the same in whatever encoding they come, from origin and from cache", async () => {
    const path = at((incoming, outgoing) => {
      const accepted = String(incoming.headers["accept-encoding"] ?? "");
      const encoding = accepted.includes("gzip") ? "gzip" : accepted.includes("br") ? "br" : null;
      outgoing.writeHead(200, {
        "Content-Type": "application/octet-stream",
        "Cache-Control": "max-age=60",
        Vary: "Accept-Encoding",
        ...(encoding === null ? {} : { "Content-Encoding": encoding }),
      });
      outgoing.end(encoding === null ? text : packed[encoding]);
    });
    for (const accept of ["gzip", "br", "identity", "gzip, br", ""]) {
      const headers = accept === "" ? {} : { "Accept-Encoding": accept };
      const first = await gateway.request(path, { headers });
      await kept();
      const second = await gateway.request(path, { headers });
      expect(unpack(first) === text).toBe(true);
      expect(unpack(second) === text).toBe(true);
      // The platform in front of a Worker says what it can unpack itself, so that the origin need not hear what we said.
      expect(second.headers["content-encoding"]).toBe(first.headers["content-encoding"]);
      expect(second.headers.vary).toBe("Accept-Encoding");
    }
  });

  it("are told apart by the order of the query", async () => {
    const path = at((incoming, outgoing) => {
      outgoing.setHeader("Cache-Control", "max-age=60");
      outgoing.end(incoming.url);
    });
    for (let i = 0; i < 2; i += 1) {
      for (const query of ["?a=1&b=2", "?b=2&a=1", "?a=1&b=2&", "", "?"]) {
        expect((await gateway.request(path + query)).text).toBe(path + query);
        await kept();
      }
    }
    expect(count(path)).toBeLessThanOrEqual(5);
  });

  it("come whole, in part, or not at all, from one copy", async () => {
    const body = Buffer.from(Array.from({ length: 5_000 }, (_, i) => i % 251));
    const path = at((incoming, outgoing) => {
      if (incoming.headers.range !== undefined) {
        outgoing.writeHead(206, { "Cache-Control": "max-age=60", "Content-Range": "bytes 0-3/5000" });
        outgoing.end(body.subarray(0, 4));
        return;
      }
      outgoing.writeHead(200, { "Cache-Control": "max-age=60", ETag: '"v1"', "Content-Length": body.byteLength });
      outgoing.end(body);
    });
    const part = await gateway.request(path, { headers: { Range: "bytes=0-3" } });
    expect([part.status, part.body.byteLength]).toEqual([206, 4]);
    await kept();
    expect((await gateway.request(path)).body.equals(body)).toBe(true);
    await kept();
    const range = await gateway.request(path, { headers: { Range: "bytes=1000-1999" } });
    expect([range.status, range.headers["content-range"]]).toEqual([206, "bytes 1000-1999/5000"]);
    expect(range.body.equals(body.subarray(1_000, 2_000))).toBe(true);
    const head = await gateway.request(path, { method: "HEAD" });
    expect([head.status, head.body.byteLength, head.headers["content-length"], head.headers.etag]).toEqual([
      200,
      0,
      "5000",
      '"v1"',
    ]);
    const same = await gateway.request(path, { headers: { "If-None-Match": '"v1"' } });
    expect([same.status, same.body.byteLength]).toEqual([304, 0]);
    expect((await gateway.request(path)).body.equals(body)).toBe(true);
    expect(count(path)).toBe(2);
  });
});

describe("time", () => {
  it("is told by Age, and ends in one question with validators", async () => {
    const path = at((incoming, outgoing, n) => {
      const isSame = incoming.headers["if-none-match"] === '"v1"';
      outgoing.writeHead(isSame ? 304 : 200, { "Cache-Control": "max-age=6", ETag: '"v1"', "X-N": String(n) });
      outgoing.end(isSame ? undefined : "body");
    });
    await gateway.request(path);
    await sleep(2_100);
    const hit = await gateway.request(path);
    expect([hit.text, hit.headers.age, count(path)]).toEqual(["body", expect.stringMatching(/^[2-5]$/), 1]);
    await sleep(4_500);
    const confirmed = await gateway.request(path);
    expect([confirmed.status, confirmed.text, confirmed.headers["x-n"], count(path)]).toEqual([200, "body", "2", 2]);
    expect(statusOf(confirmed)).toBe("levqor-edge; fwd=stale; fwd-status=304; stored");
    await kept();
    expect(statusOf(await gateway.request(path))).toMatch(/^levqor-edge; hit; ttl=/);
  });

  it("does not make a client wait under stale-while-revalidate", async () => {
    const path = at((_incoming, outgoing, n) => {
      const fields = { "Cache-Control": "max-age=1, stale-while-revalidate=60" };
      setTimeout(() => outgoing.writeHead(200, fields).end(`answer ${n}`), n === 1 ? 0 : 700);
    });
    await gateway.request(path);
    await sleep(2_100);
    const startMs = performance.now();
    const stale = await gateway.request(path);
    expect(performance.now() - startMs).toBeLessThan(600);
    expect([stale.text, statusOf(stale)]).toEqual([
      "answer 1",
      expect.stringMatching(/^levqor-edge; hit; ttl=-\d+; detail=stale-while-revalidate$/),
    ]);
    await sleep(1_000);
    expect(count(path)).toBe(2);
    expect((await gateway.request(path)).text).toBe("answer 2");
  });

  it("ends with what an unsafe request changes", async () => {
    const path = at(marked("max-age=60"));
    await gateway.request(path);
    await kept();
    expect((await gateway.request(path)).text).toBe("answer 1");
    await gateway.request(path, { method: "PUT", body: "new" });
    expect((await gateway.request(path)).text).toBe("answer 3");
  });

  it("does not end with the isolate: one that never saw the URL finds the copy when the origin fails", async () => {
    const path = at((_incoming, outgoing, n) => {
      outgoing.writeHead(n === 1 ? 200 : 500, { "Cache-Control": "max-age=1, stale-if-error=600" });
      outgoing.end(n === 1 ? "well" : "broken");
    });
    await gateway.request(path);
    await kept();
    await gateway.kill();
    await gateway.restart();
    await sleep(2_000);
    const reply = await gateway.request(path);
    expect([reply.status, reply.text, count(path)]).toEqual([200, "well", 2]);
    expect(statusOf(reply)).toMatch(/; fwd-status=500; ttl=-\d+; detail=stale-if-error$/);
  });
});

describe("500 at once", () => {
  const crowd = (path: string) =>
    Promise.all(Array.from({ length: 500 }, () => gateway.request(path, { timeoutMs: 60_000 })));

  it("of a URL never seen before ask a slow origin once", async () => {
    const path = at((_incoming, outgoing, n) => {
      setTimeout(() => outgoing.writeHead(200, { "Cache-Control": "max-age=600" }).end(`answer ${n}`), 2_000);
    });
    const replies = await crowd(path);
    console.log(`500 concurrent first requests, origin takes 2 s: ${count(path)} reached it`);
    expect(replies.every(({ status, text }) => status === 200 && text === "answer 1")).toBe(true);
    expect(count(path)).toBe(1);
    expect(replies.filter((reply) => statusOf(reply).includes("; collapsed")).length).toBeGreaterThan(0);
  });

  it("of a URL whose copy is over ask a slow origin once, though their first client goes away", async () => {
    const path = at((_incoming, outgoing, n) => {
      setTimeout(
        () => outgoing.writeHead(200, { "Cache-Control": "max-age=600" }).end(`answer ${n}`),
        n === 1 ? 0 : 2_000,
      );
    });
    handlers.set(
      path,
      ((old) => (incoming, outgoing, n) => {
        if (n === 1) outgoing.writeHead(200, { "Cache-Control": "max-age=1" }).end("answer 1");
        else old?.(incoming, outgoing, n);
      })(handlers.get(path)) as Handler,
    );
    await gateway.request(path);
    await sleep(2_000);
    const leaving = request(gateway.url + path, { headers: { "CF-Connecting-IP": freshClient() } }).on(
      "error",
      () => {},
    );
    leaving.end();
    await sleep(300);
    const all = crowd(path);
    await sleep(300);
    leaving.socket?.resetAndDestroy();
    const replies = await all;
    console.log(`500 concurrent requests for what is over, first client gone: ${count(path) - 1} reached the origin`);
    expect(replies.every(({ status, text }) => status === 200 && text === "answer 2")).toBe(true);
    expect(count(path)).toBe(2);
  });

  it("all get an answer from an origin that fails once, and one that never answers", async () => {
    const once = at((_incoming, outgoing, n) => {
      setTimeout(() => {
        if (n === 1) outgoing.writeHead(500).end("no");
        else outgoing.writeHead(200, { "Cache-Control": "max-age=600" }).end("yes");
      }, 1_000);
    });
    const replies = await crowd(once);
    console.log(`500 concurrent requests, first answer a 500: ${count(once)} reached the origin`);
    expect(replies.filter(({ status }) => status === 500).length).toBeLessThanOrEqual(2);
    expect(replies.filter(({ text }) => text === "yes").length).toBeGreaterThanOrEqual(498);
    expect(count(once)).toBeLessThanOrEqual(3);

    const never = at(() => {});
    const hung = await crowd(never);
    console.log(`500 concurrent requests, no answer within 5 s: ${count(never)} reached the origin`);
    expect(hung.every(({ status }) => status === 504)).toBe(true);
    // Who has waited in vain asks again, one for all; how many such rounds there are depends on the machine.
    expect(count(never)).toBeLessThanOrEqual(25);
  });
});

describe("what is not kept", () => {
  it("is a refusal, a problem of ours, or half a body", async () => {
    const broken = at((_incoming, outgoing, n) => {
      outgoing.writeHead(200, { "Cache-Control": "max-age=60", "Content-Length": "10" });
      if (n === 1) {
        outgoing.write("half");
        setTimeout(() => outgoing.destroy(), 50);
      } else outgoing.end("0123456789");
    });
    await gateway.request(broken).catch(() => null);
    await kept();
    expect((await gateway.request(broken)).text).toBe("0123456789");

    const cut = at((_incoming, outgoing, n) => {
      if (n === 1) outgoing.destroy();
      else outgoing.writeHead(200, { "Cache-Control": "max-age=60" }).end("well");
    });
    expect((await gateway.request(cut)).status).toBe(502);
    expect((await gateway.request(cut)).text).toBe("well");
  });

  it("streams through untouched, whatever it is marked", async () => {
    const path = at((_incoming, outgoing) => {
      outgoing.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "max-age=60" });
      const timer = setInterval(() => outgoing.write(`data: ${Date.now()}\n\n`), 50);
      outgoing.on("close", () => clearInterval(timer));
    });
    const first = await new Promise<string>((resolve, reject) => {
      const outgoing = request(gateway.url + path, { headers: { "CF-Connecting-IP": freshClient() } }, (incoming) => {
        incoming.once("data", (chunk: Buffer) => {
          resolve(chunk.toString());
          outgoing.destroy();
        });
      });
      outgoing.on("error", reject).end();
    });
    expect(first).toMatch(/^data: \d+/);
  });

  it("is a download of 6 MB, which arrives whole", async () => {
    const body = Buffer.alloc(6_000_000, "0123456789abcdef");
    const path = at((_incoming, outgoing) => outgoing.writeHead(200, { "Cache-Control": "max-age=60" }).end(body));
    const hash = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
    for (let i = 0; i < 2; i += 1) expect(hash((await gateway.request(path)).body)).toBe(hash(body));
    expect(count(path)).toBe(2);
  });
});
