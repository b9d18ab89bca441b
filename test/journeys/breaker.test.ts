/**
 * A real origin that fails while it is asked twenty times a second, seen from both sides of the gateway.
 *
 * The outage lasts 8 s. `OUTAGE_SECONDS=30 npx vitest run -c .config/vitest.ts --project journeys breaker` shows the long
 * one; both print what they saw.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freshClient, type Gateway, LARGE_ORIGIN, startGateway } from "./gateway.ts";
import { type OwnOrigin, startOwnOrigin } from "./own-origin.ts";
import type { Reply } from "./reply.ts";

const OUTAGE_S = Number(process.env["OUTAGE_SECONDS"] ?? 8);
const EVERY_MS = 50;
const CIRCUIT_OPEN = "https://api.levqor.ai/problems/circuit-open";
/** The bounds that `policy/breaker.ts` gives: the longest pause, a quarter longer. */
const LONGEST_PAUSE_MS = 10_000;

let isFailing = false;
let origin: OwnOrigin;
let gateway: Gateway;
beforeAll(async () => {
  origin = await startOwnOrigin((incoming, outgoing) => {
    if (incoming.url?.startsWith("/stale")) {
      outgoing.setHeader("Cache-Control", "max-age=1, stale-if-error=600");
    }
    const asked = Number(new URL(incoming.url ?? "/", "http://origin").searchParams.get("status") ?? 0);
    outgoing.statusCode = asked === 0 ? (isFailing ? 500 : 200) : asked;
    outgoing.end(isFailing ? "broken" : "well");
  });
  gateway = await startGateway({ env: { ORIGIN_URL: origin.url } });
  await gateway.putKv("tier-tables", JSON.stringify(LARGE_ORIGIN));
});
afterAll(async () => {
  await gateway?.stop();
  await origin?.close();
});

/** What one request of the outage came to, and when it was sent. */
interface Seen {
  readonly atMs: number;
  readonly reply: Reply;
}

/** Sends a request every 50 ms until `isOver` says so; each from a client of its own. */
async function ask(path: string, isOver: () => boolean): Promise<Seen[]> {
  const seen: Promise<Seen>[] = [];
  for (let dueMs = performance.now(); !isOver(); dueMs += EVERY_MS) {
    await sleep(Math.max(0, dueMs - performance.now()));
    const atMs = performance.now();
    seen.push(gateway.request(path).then((reply) => ({ atMs, reply })));
  }
  return Promise.all(seen);
}

const isRefused = ({ reply }: Seen) => reply.status === 503 && reply.json<{ type: string }>().type === CIRCUIT_OPEN;

/** Waits for a closed circuit: nothing of one test reaches into the next. */
async function untilWell(): Promise<void> {
  isFailing = false;
  for (let i = 0; i < 400; i += 1) {
    if ((await gateway.request("/recovery")).status === 200) return;
    await sleep(100);
  }
  throw new Error("the service never came back");
}

/** Asks until the circuit is open; gives the refusal. */
async function untilOpen(): Promise<Reply> {
  for (let i = 0; i < 400; i += 1) {
    const reply = await gateway.request("/outage");
    if (reply.status === 503) return reply;
    expect([500, 502]).toContain(reply.status);
  }
  throw new Error("the circuit never opened");
}

describe("an origin that fails", () => {
  it(`is left alone while it fails for ${OUTAGE_S} s, costs nobody a unit, and is found again`, async () => {
    const steady = freshClient();
    const before = (await gateway.request("/outage", { client: steady })).limit();
    await ask("/outage", () => origin.count("/outage") > 60);
    const reached = () => origin.count("/outage");

    isFailing = true;
    const [startMs, startCount] = [performance.now(), reached()];
    let backMs = 0;
    const seen: Seen[] = [];
    const running = ask("/outage", () => backMs > 0);
    void running.then((all) => seen.push(...all));
    // One client that is refused again and again: what it has left says whether a refusal cost it anything.
    const refusals: Reply[] = [];
    const limits: number[] = [];
    while (performance.now() - startMs < OUTAGE_S * 1000) {
      await sleep(400);
      const reply = await gateway.request("/outage", { client: steady });
      if (reply.status === 503) refusals.push(reply);
      else limits.push(reply.limit()?.r ?? -1);
    }
    isFailing = false;
    const [endMs, endCount] = [performance.now(), reached()];
    while (backMs === 0) {
      const reply = await gateway.request("/outage", { client: steady });
      if (reply.status === 200) backMs = performance.now();
      else await sleep(20);
      expect(performance.now() - endMs).toBeLessThan(LONGEST_PAUSE_MS + 5_000);
    }
    await running;

    const during = seen.filter(({ atMs }) => atMs >= startMs && atMs < endMs);
    const open = during.filter(isRefused);
    const firstMs = Math.min(...open.map(({ atMs }) => atMs));
    const probes = during.filter(({ atMs, reply }) => atMs > firstMs + 200 && reply.status === 500).length;
    const retries = open.map(({ reply }) => Number(reply.headers["retry-after"]));
    const after = (await gateway.request("/outage", { client: steady })).limit();
    console.log(
      `${OUTAGE_S} s of 500s at ${1000 / EVERY_MS} requests a second: ${during.length} requests, ` +
        `${endCount - startCount} reached the origin, ${probes} of them while the circuit was open (probes); ` +
        `refused from ${((firstMs - startMs) / 1000).toFixed(1)} s on, ${open.length} in all; ` +
        `back ${((backMs - endMs) / 1000).toFixed(1)} s after the origin; ` +
        `Retry-After ${Math.min(...retries)}..${Math.max(...retries)} s, ${new Set(retries).size} values; ` +
        `a client refused ${refusals.length} times has ${after?.r} of ${after?.q} units left, ${before?.r} before`,
    );

    expect(firstMs - startMs).toBeLessThan(8_000);
    expect(open.length).toBeGreaterThan(during.length / 3);
    expect(probes).toBeLessThanOrEqual(2 + OUTAGE_S / 8);
    expect(new Set(retries).size).toBeGreaterThan(1);
    for (const { reply } of open) {
      expect(reply.headers["content-type"]).toBe("application/problem+json");
      expect(reply.headers["cache-control"]).toBe("no-store");
      expect(Number(reply.headers["retry-after"])).toBeGreaterThanOrEqual(1);
      expect(reply.limit()).toBeNull();
    }
    expect(refusals.length).toBeGreaterThan(3);
    // Every unit gone was for a request that reached the origin: one each before, during (500) and after.
    expect((before?.r ?? 0) - (after?.r ?? 0)).toBe(limits.length + 2);
    const lines = gateway.output().split("\n");
    const moves = lines.flatMap((line) => /"event":"circuit-([a-z-]+)"/.exec(line)?.[1] ?? []);
    expect(moves.at(-1)).toBe("closed");
    expect(moves.slice(0, -1)).toEqual(moves.slice(0, -1).map((_, i) => (i % 2 === 0 ? "open" : "half-open")));
  });

  it("gives a stale copy rather than nothing, and says so", async () => {
    await untilWell();
    expect((await gateway.request("/stale")).text).toBe("well");
    await sleep(1_500);
    isFailing = true;
    const stale = await gateway.request("/stale");
    expect([stale.status, stale.text]).toEqual([200, "well"]);
    expect(stale.headers["cache-status"]).toMatch(
      /^levqor-edge; fwd=stale; fwd-status=500; ttl=-\d+; detail=stale-if-error$/,
    );
    await untilOpen();
    const open = await gateway.request("/stale");
    expect([open.status, open.text, open.limit()?.profile]).toEqual([200, "well", "default"]);
    expect(open.headers["cache-status"]).toMatch(/^levqor-edge; hit; ttl=-\d+; detail=stale-if-error$/);
    expect(Number(open.headers["age"])).toBeGreaterThanOrEqual(1);
    await untilWell();
  });

  it("is not blamed for what its clients do: 4xx and 429 open nothing", async () => {
    await untilWell();
    for (const status of [400, 404, 429]) {
      const replies = await Promise.all(Array.from({ length: 60 }, () => gateway.request(`/theirs?status=${status}`)));
      expect(replies.every((reply) => reply.status === status)).toBe(true);
    }
    expect((await gateway.request("/recovery")).status).toBe(200);
  });

  it("is left alone too when it cannot be reached", async () => {
    await untilWell();
    await origin.close();
    const refused = await untilOpen();
    expect(refused.json<{ type: string }>().type).toBe(CIRCUIT_OPEN);
    await origin.open();
    await untilWell();
  });
});
