/** What an isolate tells the meter: every request once, under the right name, behind requests, and never at their cost. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Flush } from "../../src/policy/flush.ts";
import type { EdgeSignal } from "../../src/policy/publication.ts";
import { EVENTS, OUTCOMES, STATUS_AT, STATUS_CLASSES } from "../../src/policy/tally.ts";
import { TIERS } from "../../src/policy/tier.ts";
import type { Metering, Report } from "../../src/ports.ts";
import { freshClient, freshFleet, limitOf, type Options, startIsolate } from "./gateway.ts";

const START_MS = Date.UTC(2026, 10, 23, 12);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"], now: START_MS });
});
afterEach(() => {
  vi.useRealTimers();
});

const UNPINNED = { pin: null, documentsAsOfMs: 0, shed: {} };

/** What a meter says in which there is nothing to say. */
function calm(more: Partial<EdgeSignal> = {}): EdgeSignal {
  const rates = { requestsPerMinute: 0, offeredPerMinute: 0, errorRate: 0, avgResponseMs: 0 };
  return { ...rates, capacity: 1_000, tier: "low", ...UNPINNED, publishedAtMs: Date.now(), ...more };
}

/** An isolate whose meter writes down what it is told. */
function listened(options: Options = {}, report: Metering["report"] = async () => calm()) {
  const reports: Report[] = [];
  const meter: Metering = {
    report(told) {
      reports.push(structuredClone(told));
      return report(told);
    },
    view: () => new Promise(() => {}),
    hearOrigin: async () => {},
  };
  return { isolate: startIsolate({ ...options, ports: { meter, ...options.ports } }), reports };
}

/** Lets `ms` pass, and what is due meanwhile happen. */
async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

/** Outcomes by profile and tier, and status classes by profile, of all flushes. */
function countsOf(reports: readonly Report[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { flush } of reports)
    for (const [profile, row] of flush.rows) {
      row.slice(0, STATUS_AT).forEach((count, at) => {
        const tier = TIERS[Math.floor(at / OUTCOMES.length)];
        if (count > 0) add(`${profile} ${tier} ${OUTCOMES[at % OUTCOMES.length]}`, count);
      });
      STATUS_CLASSES.forEach((status, at) => {
        const count = row[STATUS_AT + at] ?? 0;
        if (count > 0) add(`${profile} ${status}`, count);
      });
    }
  return counts;

  function add(name: string, count: number): void {
    counts[name] = (counts[name] ?? 0) + count;
  }
}

function eventsOf(reports: readonly Report[]): Record<string, number> {
  const sums = EVENTS.map((_, at) => reports.reduce((sum, { flush }) => sum + (flush.events[at] ?? 0), 0));
  return Object.fromEntries(EVENTS.map((event, at) => [event, sums[at] ?? 0]));
}

const lastOf = (reports: readonly Report[]): Flush | undefined => reports.at(-1)?.flush;

describe("every request has one outcome", () => {
  const tables = (document: object) => ({ "tier-tables": JSON.stringify(document) });

  it.each([
    {
      name: "answered",
      options: {},
      paths: ["/a", "/api/ai/x"],
      counts: { "default low admitted": 1, "default 2xx": 1, "ai-chat low admitted": 1, "ai-chat 2xx": 1 },
    },
    {
      name: "answered 404",
      options: { origin: () => new Response("", { status: 404 }) },
      paths: ["/a"],
      counts: { "default low admitted": 1, "default 4xx": 1 },
    },
    {
      name: "answered 500",
      options: { origin: () => new Response("", { status: 500 }) },
      paths: ["/a"],
      counts: { "default low admitted": 1, "default 5xx": 1 },
    },
    {
      name: "without an answer",
      options: { origin: () => Promise.reject(new Error("refused")) },
      paths: ["/a"],
      counts: { "default low failed": 1 },
    },
    {
      name: "over the limit",
      options: {
        documents: tables({ profiles: { billing: { limits: { low: 1, medium: 1, high: 1, critical: 1 } } } }),
      },
      paths: ["/api/billing/a", "/api/billing/b", "/api/billing/c"],
      counts: { "billing low admitted": 1, "billing 2xx": 1, "billing low refused": 2 },
    },
    {
      name: "over the limit in shadow",
      options: {
        documents: tables({
          enforce: false,
          profiles: { billing: { limits: { low: 1, medium: 1, high: 1, critical: 1 } } },
        }),
      },
      paths: ["/api/billing/a", "/api/billing/b"],
      counts: { "billing low admitted": 1, "billing low shadow_refused": 1, "billing 2xx": 2 },
    },
    {
      name: "exempt",
      options: {},
      paths: ["/api/billing/webhook"],
      counts: { "~exempt low exempt": 1, "~exempt 2xx": 1 },
    },
    {
      name: "of a tier that another signal names",
      options: { documents: { "request-rate": "650" } },
      paths: ["/a"],
      counts: { "default high admitted": 1, "default 2xx": 1 },
    },
  ])("$name", async ({ options, paths, counts }) => {
    const { isolate, reports } = listened(options);
    const client = freshClient();
    for (const path of paths) await isolate.send(path, { client });
    await pass(10_000);
    expect(countsOf(reports)).toEqual(counts);
  });

  it("answered from the cache", async () => {
    vi.useRealTimers();
    const { isolate, reports } = listened({
      origin: () => new Response("kept", { headers: { "Cache-Control": "max-age=60" } }),
      ports: {
        cache: {
          match: (key) => caches.default.match(key),
          put: (key, response) => caches.default.put(key, response),
          delete: (key) => caches.default.delete(key),
        },
      },
    });
    const path = `/kept/${crypto.randomUUID()}`;
    await isolate.send(path);
    await expect.poll(async () => (await isolate.send(path)).headers.get("Cache-Status")).toContain("hit");
    const { length } = isolate.forwarded;
    await expect
      .poll(() => countsOf(reports), { timeout: 20_000 })
      .toMatchObject({ "default low cached": 1, "default low admitted": length });
  });

  it("refused for want of a counter", async () => {
    const counters = { placeOf: () => "nowhere", call: () => Promise.reject(new Error("down")) };
    const closed = JSON.stringify({ profiles: { billing: { on_counter_failure: "closed" } } });
    const { isolate, reports } = listened({ documents: { "tier-tables": closed }, ports: { counters } });
    expect((await isolate.send("/api/billing/a")).status).toBe(503);
    await pass(10_000);
    expect(countsOf(reports)).toEqual({ "billing low refused": 1 });
    expect(eventsOf(reports)).toMatchObject({ counterCalls: 1, counterFailures: 1 });
  });

  it("shed while the circuit is open, with its moves", async () => {
    const { isolate, reports } = listened({ origin: () => new Response("", { status: 500 }) });
    for (let i = 0; i < 25; i += 1) await isolate.send("/a");
    await pass(5_000);
    expect(countsOf(reports)).toEqual({ "default low admitted": 20, "default 5xx": 20, "default low shed": 5 });
    expect(eventsOf(reports)).toMatchObject({ circuitOpened: 1, circuitHalfOpened: 0, circuitClosed: 0 });
    expect(lastOf(reports)).toMatchObject({ isCircuitOpen: true, inFlight: 0 });
  });

  it("shed by what the meter says, for the profile it names and nobody else", async () => {
    const { isolate, reports } = listened({}, async () => calm({ shed: { default: 1 } }));
    await isolate.send("/a");
    await pass(0);
    const refused = await isolate.send("/a");
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ type: "https://api.levqor.ai/problems/overloaded" });
    expect(Number(refused.headers.get("Retry-After"))).toBeGreaterThanOrEqual(5);
    expect(refused.headers.has("RateLimit")).toBe(false);
    expect((await isolate.send("/api/billing/a")).status).toBe(200);
    expect((await isolate.send("/api/billing/webhook")).status).toBe(200);
    await pass(10_000);
    expect(countsOf(reports)).toMatchObject({
      "default low shed": 1,
      "billing low admitted": 1,
      "~exempt low exempt": 1,
    });
  });
});

describe("events", () => {
  it("tell counter calls, rows, refusals that needed no call, and clients without an address", async () => {
    const { isolate, reports } = listened({
      documents: {
        "tier-tables": JSON.stringify({
          profiles: { billing: { limits: { low: 1, medium: 1, high: 1, critical: 1 } } },
        }),
      },
    });
    const client = freshClient();
    for (let i = 0; i < 5; i += 1) await isolate.send("/api/billing/a", { client });
    await isolate.send("/a", { client: null });
    await pass(10_000);
    expect(eventsOf(reports)).toMatchObject({ counterFailures: 0, withoutAddress: 1 });
    const { counterCalls = 0, deniedLocally = 0, counterRowsWritten = 0 } = eventsOf(reports);
    expect(counterCalls + deniedLocally).toBe(6);
    expect(deniedLocally).toBeGreaterThanOrEqual(3);
    expect(counterRowsWritten).toBeGreaterThanOrEqual(1);
  });
});

describe("flushes", () => {
  it("come at most every five seconds, and the last requests of a burst are told though nobody comes after", async () => {
    const { isolate, reports } = listened();
    for (let second = 0; second < 23; second += 1) {
      for (let i = 0; i < 3; i += 1) await isolate.send("/a");
      await pass(1_000);
    }
    await pass(10_000);
    expect(countsOf(reports)).toEqual({ "default low admitted": 69, "default 2xx": 69 });
    expect(reports.map(({ flush }) => flush.number)).toEqual(reports.map((_, index) => index + 1));
    expect(reports.length).toBeLessThanOrEqual(7);
    expect(new Set(reports.map(({ flush }) => flush.isolate)).size).toBe(1);
  });

  it("that were not answered are sent again as they were, and cost no request anything", async () => {
    let isDown = true;
    const { isolate, reports } = listened({}, async () => {
      if (isDown) throw new Error("the meter is away");
      return calm();
    });
    for (let second = 0; second < 60; second += 1) {
      expect((await isolate.send("/a")).status).toBe(200);
      await pass(1_000);
    }
    const told = new Set(reports.map(({ flush }) => `${flush.number} ${JSON.stringify(flush.rows)}`));
    expect(told.size, "one flush, again and again").toBe(1);
    isDown = false;
    await isolate.send("/a");
    await pass(15_000);
    const byNumber = new Map(reports.map((report) => [report.flush.number, report]));
    expect(countsOf([...byNumber.values()])).toEqual({ "default low admitted": 61, "default 2xx": 61 });
    expect(isolate.logged.filter(({ event }) => event === "meter-failed").length).toBeLessThanOrEqual(2);
  });

  it("that hang are given up, and what was counted is told by another request", async () => {
    let hangs = 2;
    const { isolate, reports } = listened({}, () => (hangs-- > 0 ? new Promise(() => {}) : Promise.resolve(calm())));
    for (let second = 0; second < 40; second += 1) {
      expect((await isolate.send("/a")).status).toBe(200);
      await pass(1_000);
    }
    await pass(10_000);
    const byNumber = new Map(reports.map((report) => [report.flush.number, report]));
    expect(countsOf([...byNumber.values()])).toEqual({ "default low admitted": 40, "default 2xx": 40 });
  });
});

describe("the log of refusals", () => {
  it("is one line for each class in a minute, however many there were, and says nothing of who", async () => {
    const limits = { low: 1, medium: 1, high: 1, critical: 1 };
    const { isolate } = listened({
      documents: { "tier-tables": JSON.stringify({ profiles: { billing: { limits } } }) },
    });
    for (let second = 0; second < 130; second += 1) {
      for (let i = 0; i < 4; i += 1) await isolate.send("/api/billing/a", { client: "203.0.113.77" });
      await pass(1_000);
    }
    const lines = isolate.logged.filter(({ event }) => event === "refused");
    expect(lines.length).toBeGreaterThanOrEqual(2);
    expect(lines.length).toBeLessThanOrEqual(3);
    for (const { members } of lines)
      expect(members).toEqual({ profile: "billing", tier: "low", count: expect.any(Number), circuit_open: false });
    expect(JSON.stringify(isolate.logged)).not.toContain("203.0.113");
    expect(lines[1]?.members["count"]).toBeGreaterThan(150);
  });
});

describe("the meter's word", () => {
  it("decides the tier at once, and lets go of it when it says so", async () => {
    let tier: EdgeSignal["tier"] = "critical";
    const { isolate } = listened({}, async () => calm({ tier, requestsPerMinute: 900 }));
    await isolate.send("/a");
    await pass(0);
    expect(limitOf(await isolate.send("/a"))).toMatchObject({ tier: "critical", q: 50 });
    tier = "high";
    await pass(6_000);
    expect(limitOf(await isolate.send("/a"))).toMatchObject({ tier: "high", q: 70 });
  });

  it("is passed on by counters: an isolate that never heard the meter follows it", async () => {
    const fleet = freshFleet();
    const client = freshClient();
    const { isolate: busy } = listened({ fleet }, async () => calm({ tier: "critical", requestsPerMinute: 900 }));
    const quiet = startIsolate({ fleet });
    await quiet.send("/api/ai/chat", { client });
    await busy.send("/api/ai/chat", { client });
    await pass(1);
    await busy.send("/api/ai/chat", { client });
    await quiet.send("/api/ai/chat", { client });
    await pass(1_000);
    expect(limitOf(await quiet.send("/", { client: freshClient() })), "whom no counter has told").toMatchObject({
      tier: "critical",
    });
  });

  it("tells of a pin that this isolate has not read, and of its end", async () => {
    let pin: EdgeSignal["pin"] = { load: 0.9, untilMs: null };
    const { isolate } = listened({}, async () => calm({ pin, documentsAsOfMs: Date.now() + 1 }));
    await isolate.send("/a");
    await pass(1);
    expect(limitOf(await isolate.send("/a"))).toMatchObject({ tier: "critical" });
    pin = null;
    await pass(6_000);
    expect(limitOf(await isolate.send("/a"))).toMatchObject({ tier: "low" });
  });

  it("does not undo a pin that this isolate has just seen, though the meter has not", async () => {
    const { isolate } = listened({}, async () => calm({ documentsAsOfMs: Date.now() }));
    await isolate.send("/a");
    isolate.put("load-pin", '{"load":0.9}');
    await pass(31_000);
    await isolate.send("/a");
    for (let second = 0; second < 30; second += 1) {
      await pass(1_000);
      expect(limitOf(await isolate.send("/a"))).toMatchObject({ tier: "critical" });
    }
  });

  it("is loosened by nobody: another signal that is higher counts", async () => {
    const { isolate } = listened({ documents: { "request-rate": "900" } }, async () => calm());
    await isolate.send("/a");
    await pass(0);
    expect(limitOf(await isolate.send("/a"))).toMatchObject({ tier: "critical" });
  });
});

describe("what is wrong or unknown", () => {
  const ONE_SHARD = { COUNTER_SHARDS: 1 };
  const AHEAD = JSON.stringify({
    requests_per_minute: 1,
    capacity: 1_000,
    tier: "low",
    published_at: new Date(START_MS + 3_600_000).toISOString(),
  });

  it("a published word from a clock that is an hour ahead does not silence the meter, here or through counters", async () => {
    const fleet = freshFleet();
    const critical = async () => calm({ tier: "critical", requestsPerMinute: 900 });
    const { isolate: sound } = listened({ fleet, vars: ONE_SHARD }, critical);
    const documents = { "request-rate:edge": AHEAD };
    const { isolate: misled } = listened({ fleet, vars: ONE_SHARD, documents }, critical);
    for (let round = 0; round < 3; round += 1) {
      await sound.send("/a");
      await misled.send("/a");
      await pass(6_000);
    }
    for (const isolate of [sound, misled])
      expect(limitOf(await isolate.send("/a"))).toMatchObject({ tier: "critical" });
  });

  it("an isolate that was idle and knows nothing does not loosen what others know", async () => {
    const fleet = freshFleet();
    let tier: EdgeSignal["tier"] = "low";
    let isKvSilent = false;
    const documents: Options["documents"] = (keys) =>
      isKvSilent ? new Promise(() => {}) : Promise.resolve(new Map(keys.map((key) => [key, null])));
    const say = async () => calm({ tier });
    const { isolate: idle } = listened({ fleet, vars: ONE_SHARD, documents }, say);
    const { isolate: busy } = listened({ fleet, vars: ONE_SHARD }, say);
    await idle.send("/a");
    await pass(10_000);
    await idle.send("/a");
    await pass(190_000);
    tier = "critical";
    isKvSilent = true;
    for (let round = 0; round < 2; round += 1) {
      await busy.send("/a");
      await pass(6_000);
    }
    const waking = idle.send("/a");
    await pass(500);
    expect(limitOf(await waking)).toMatchObject({ tier: "critical" });
    expect(limitOf(await busy.send("/a"))).toMatchObject({ tier: "critical" });
  });

  it("a pin that one isolate has read is not undone by another's newer word of a meter that has not", async () => {
    const fleet = freshFleet();
    const say = async () => calm({ documentsAsOfMs: START_MS });
    const { isolate: early } = listened({ fleet, vars: ONE_SHARD }, say);
    const { isolate: late } = listened({ fleet, vars: ONE_SHARD }, say);
    for (const isolate of [early, late]) await isolate.send("/a");
    await pass(29_000);
    await late.send("/a");
    early.put("load-pin", '{"load":0.9}');
    await pass(1_000);
    await early.send("/");
    await pass(0);
    for (let second = 0; second < 20; second += 1) {
      for (const isolate of [early, late])
        expect(limitOf(await isolate.send("/api/ai/chat"))).toMatchObject({ tier: "critical" });
      await pass(1_000);
    }
  });

  it("a read of KV that comes late does not undo a newer one", async () => {
    const none = (keys: readonly string[]) => new Map<string, string | null>(keys.map((key) => [key, null]));
    let reads = 0;
    let release = () => {};
    const { isolate } = listened({
      vars: { SIGNAL_REFRESH_SECONDS: 1 },
      documents: (keys) => {
        if (keys.length === 1) return Promise.resolve(none(keys));
        reads += 1;
        if (reads === 2)
          return new Promise((resolve) => {
            release = () => resolve(none(keys));
          });
        return Promise.resolve(reads < 2 ? none(keys) : none(keys).set("load-pin", '{"load":0.9}'));
      },
    });
    for (const laterMs of [1_500, 11_000, 10]) {
      await isolate.send("/a");
      await pass(laterMs);
    }
    expect(limitOf(await isolate.send("/a"))).toMatchObject({ tier: "critical" });
    release();
    await pass(10);
    expect(limitOf(await isolate.send("/a"))).toMatchObject({ tier: "critical" });
  });

  it("in shadow nobody is shed", async () => {
    const overload = { shed_above: 0.9, order: ["default"] };
    const documents = { "tier-tables": JSON.stringify({ enforce: false, overload }) };
    const { isolate } = listened({ documents }, async () => calm({ shed: { default: 1 } }));
    await isolate.send("/a");
    await pass(10);
    expect((await isolate.send("/a")).status).toBe(200);
  });
});

describe("a request that the platform has ended with its client", () => {
  it("is counted when it must be over, and is under way no longer", async () => {
    const client = freshClient();
    let hangs = false;
    const { isolate, reports } = listened({
      vars: { ORIGIN_TIMEOUT_MS: 5_000 },
      origin: () => (hangs ? new Promise<Response>(() => {}) : new Response("")),
    });
    for (let i = 0; i < 10; i += 1) {
      await isolate.send("/a", { client });
      await pass(1_000);
    }
    await pass(20_000);
    hangs = true;
    void isolate.send("/a", { client });
    await pass(50);
    // All that it had under way is gone, its timer too.
    vi.clearAllTimers();
    hangs = false;
    await pass(60_000);
    await isolate.send("/a", { client });
    await pass(30_000);
    expect(lastOf(reports)).toMatchObject({ inFlight: 0 });
    expect(countsOf(reports)).toEqual({ "default low admitted": 12, "default 2xx": 11 });
  });
});
