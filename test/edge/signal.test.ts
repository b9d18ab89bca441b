/** The documents of KV: slow, gone, wrong or none, and what a client is told meanwhile. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { freshFleet, limitOf, startIsolate } from "./gateway.ts";

const START_MS = Date.UTC(2026, 10, 23, 12);
const REFRESH_MS = 30_000;

const isoAt = (ms: number) => new Date(ms).toISOString();
const never = () => new Promise<never>(() => {});

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"], now: START_MS });
});
afterEach(() => {
  vi.useRealTimers();
});

/** The moment, ms after now, at which `work` is done, in steps of `stepMs`; null if it is not by `withinMs`. */
async function doneAfterMs(work: Promise<unknown>, stepMs: number, withinMs: number): Promise<number | null> {
  let done = false;
  const mark = () => {
    done = true;
  };
  work.then(mark, mark);
  for (let waitedMs = 0; waitedMs <= withinMs; waitedMs += stepMs) {
    // A call to a counter takes turns of the real event loop, which no fake clock can hurry.
    for (let turn = 0; turn < 20 && !done; turn += 1) await turnOfTheLoop();
    if (done) return waitedMs;
    await vi.advanceTimersByTimeAsync(stepMs);
  }
  return null;
}

/** A document under a name that fits a line. */
const named = (text: string) => ({
  name: text.length > 80 ? `${text.slice(0, 40)}... (${text.length})` : text.toWellFormed(),
  text,
});

const turnOfTheLoop = () => scheduler.wait(1);

describe("documents that do not come", () => {
  it("are waited for 250 ms when an isolate starts; then the fallback tier counts", async () => {
    const isolate = startIsolate({ documents: never });
    const sent = isolate.send("/api/ai/chat");
    expect(await doneAfterMs(sent, 50, 1_000)).toBe(250);
    expect(limitOf(await sent)).toEqual({ profile: "ai-chat", tier: "medium", q: 30, r: 29 });
  });

  it("are waited for once, not by each request", async () => {
    const isolate = startIsolate({ documents: never });
    await doneAfterMs(isolate.send("/"), 50, 1_000);
    for (let count = 0; count < 5; count += 1) expect(await doneAfterMs(isolate.send("/"), 50, 1_000)).toBe(0);
    expect(isolate.reads).toBe(1);
  });

  it("are waited for no longer than they take", async () => {
    const isolate = startIsolate({
      documents: (keys) =>
        new Promise((resolve) => {
          setTimeout(() => resolve(new Map(keys.map((key) => [key, key === "request-rate" ? "900" : null]))), 100);
        }),
    });
    const sent = isolate.send("/api/ai/chat");
    expect(await doneAfterMs(sent, 50, 1_000)).toBe(100);
    expect(limitOf(await sent)).toMatchObject({ tier: "critical", q: 10 });
  });

  it("are waited for 100 ms after a pause; then the old copy counts", async () => {
    let isSilent = false;
    const isolate = startIsolate({
      documents: (keys) =>
        isSilent ? never() : Promise.resolve(new Map(keys.map((key) => [key, key === "request-rate" ? "650" : null]))),
    });
    expect(limitOf(await isolate.send("/api/ai/chat"))).toMatchObject({ tier: "high" });
    isSilent = true;
    vi.setSystemTime(START_MS + 2 * REFRESH_MS);
    const sent = isolate.send("/api/ai/chat");
    expect(await doneAfterMs(sent, 25, 1_000)).toBe(100);
    expect(limitOf(await sent)).toMatchObject({ tier: "high", q: 20 });
  });

  it("are not waited for while the copy is younger than twice its refresh", async () => {
    let isSilent = false;
    const isolate = startIsolate({
      documents: (keys) => (isSilent ? never() : Promise.resolve(new Map(keys.map((key) => [key, null])))),
    });
    await isolate.send("/");
    isSilent = true;
    vi.setSystemTime(START_MS + 2 * REFRESH_MS - 1);
    expect(await doneAfterMs(isolate.send("/"), 25, 1_000)).toBe(0);
    expect(isolate.reads).toBeGreaterThanOrEqual(2);
  });
});

describe("documents that cannot be read", () => {
  it("make the tier the fallback, and are asked for once a refresh, not once a request", async () => {
    const isolate = startIsolate({ documents: () => Promise.reject(new Error("KV is down")) });
    for (let count = 0; count < 20; count += 1) {
      const response = await isolate.send("/api/ai/chat");
      expect(response.status).toBe(200);
      expect(limitOf(response)).toMatchObject({ tier: "medium", q: 30 });
    }
    expect(isolate.reads).toBe(1);
    expect(isolate.logged).toContainEqual({
      level: "warn",
      event: "documents-unreadable",
      members: { error: "Error: KV is down" },
    });
    vi.setSystemTime(START_MS + REFRESH_MS);
    for (let count = 0; count < 20; count += 1) await isolate.send("/api/ai/chat");
    expect(isolate.reads).toBe(2);
  });

  it("leave the last copy in force", async () => {
    let isDown = false;
    const isolate = startIsolate({
      documents: async (keys) => {
        if (isDown) throw new Error("KV is down");
        return new Map(keys.map((key) => [key, key === "request-rate" ? "650" : null]));
      },
    });
    await isolate.send("/");
    isDown = true;
    for (const laterMs of [1, 2, 3, 10]) {
      vi.setSystemTime(START_MS + laterMs * REFRESH_MS);
      expect(limitOf(await isolate.send("/api/ai/chat"))).toMatchObject({ tier: "high", q: 20 });
    }
  });

  it("and come back are used again", async () => {
    let isDown = true;
    const isolate = startIsolate({
      documents: async (keys) => {
        if (isDown) throw new Error("KV is down");
        return new Map(keys.map((key) => [key, key === "load-pin" ? '{"load":0.9}' : null]));
      },
    });
    expect(limitOf(await isolate.send("/api/ai/chat"))).toMatchObject({ tier: "medium" });
    isDown = false;
    vi.setSystemTime(START_MS + REFRESH_MS);
    expect(limitOf(await isolate.send("/api/ai/chat"))).toMatchObject({ tier: "critical" });
  });
});

describe("many requests at once", () => {
  it("read the documents once", async () => {
    const isolate = startIsolate();
    await Promise.all(Array.from({ length: 50 }, () => isolate.send("/")));
    const atStart = isolate.reads;
    expect(atStart).toBeLessThanOrEqual(2); // The second looks for the tables that were last good.
    vi.setSystemTime(START_MS + 2 * REFRESH_MS);
    await Promise.all(Array.from({ length: 50 }, () => isolate.send("/")));
    expect(isolate.reads).toBe(atStart + 1);
  });

  it("read nothing while the copy is fresh", async () => {
    const isolate = startIsolate();
    await isolate.send("/");
    const before = isolate.reads;
    vi.setSystemTime(START_MS + REFRESH_MS - 1);
    for (let count = 0; count < 10; count += 1) await isolate.send("/");
    expect(isolate.reads).toBe(before);
  });
});

describe("a request rate", () => {
  it.each([
    { name: "absent", documents: {}, tier: "low" },
    { name: "a number", documents: { "request-rate": "450" }, tier: "medium" },
    { name: "a number at a threshold", documents: { "request-rate": "600" }, tier: "high" },
    { name: "above capacity", documents: { "request-rate": "99999" }, tier: "critical" },
    { name: "zero", documents: { "request-rate": "0" }, tier: "low" },
    {
      name: "of its own capacity",
      documents: { "request-rate": '{"requests_per_minute":450,"capacity":500}' },
      tier: "critical",
    },
    {
      name: "fresh",
      documents: { "request-rate": `{"requests_per_minute":650,"published_at":"${isoAt(START_MS - 179_000)}"}` },
      tier: "high",
    },
    {
      name: "fresh, in Unix ms",
      documents: { "request-rate": `{"requests_per_minute":650,"published_at":${START_MS - 1000}}` },
      tier: "high",
    },
    {
      name: "stale",
      documents: { "request-rate": `{"requests_per_minute":900,"published_at":"${isoAt(START_MS - 181_000)}"}` },
      tier: "medium",
    },
    {
      name: "a little in the future",
      documents: { "request-rate": `{"requests_per_minute":900,"published_at":"${isoAt(START_MS + 59_000)}"}` },
      tier: "critical",
    },
    {
      name: "in the future",
      documents: { "request-rate": `{"requests_per_minute":900,"published_at":"${isoAt(START_MS + 61_000)}"}` },
      tier: "medium",
    },
    {
      name: "lower than what the gateway measured",
      documents: { "request-rate": "100", "request-rate:edge": '{"requests_per_minute":650}' },
      tier: "high",
    },
    {
      name: "higher than what the gateway measured",
      documents: { "request-rate": "900", "request-rate:edge": '{"requests_per_minute":650}' },
      tier: "critical",
    },
    { name: "garbage beside a good one", documents: { "request-rate": "?", "request-rate:edge": "650" }, tier: "high" },
  ])("$name makes the tier $tier", async ({ documents, tier }) => {
    const isolate = startIsolate({ documents });
    expect(limitOf(await isolate.send("/api/ai/chat"))).toMatchObject({ tier });
  });

  it.each(
    [
      "",
      " ",
      "null",
      "true",
      '"650"',
      "[]",
      "[650]",
      "{}",
      "{",
      "-1",
      "NaN",
      "Infinity",
      "1e999",
      "0x10",
      "650 rpm",
      '{"requests_per_minute":"650"}',
      '{"requests_per_minute":-1}',
      '{"requests_per_minute":null}',
      '{"requests_per_minute":650,"capacity":0}',
      '{"requests_per_minute":650,"capacity":-5}',
      '{"requests_per_minute":650,"published_at":"yesterday"}',
      '{"requests_per_minute":650,"published_at":"2026-13-45T99:99:99Z"}',
      '{"__proto__":{"requests_per_minute":650}}',
      `${"[".repeat(30_000)}`,
      "9".repeat(70_000),
      "\ud800",
    ].map(named),
  )("of garbage, $name, makes the tier the fallback and nobody fail", async ({ text }) => {
    for (const key of ["request-rate", "request-rate:edge"]) {
      const isolate = startIsolate({ documents: { [key]: text } });
      const response = await isolate.send("/api/ai/chat");
      expect(response.status).toBe(200);
      expect(limitOf(response)).toMatchObject({ tier: "medium", q: 30 });
    }
  });
});

describe("a pin", () => {
  it("wins over every rate", async () => {
    const isolate = startIsolate({ documents: { "load-pin": '{"load":0.1}', "request-rate": "950" } });
    expect(limitOf(await isolate.send("/api/ai/chat"))).toMatchObject({ tier: "low", q: 50 });
  });

  it("ends at its time, at once and by itself", async () => {
    const until = isoAt(START_MS + 10_000);
    const isolate = startIsolate({ documents: { "load-pin": `{"load":0.9,"until":"${until}"}` } });
    expect(limitOf(await isolate.send("/api/ai/chat"))).toMatchObject({ tier: "critical" });
    vi.setSystemTime(START_MS + 9_999);
    expect(limitOf(await isolate.send("/api/ai/chat"))).toMatchObject({ tier: "critical" });
    vi.setSystemTime(START_MS + 10_000);
    expect(limitOf(await isolate.send("/api/ai/chat"))).toMatchObject({ tier: "low" });
  });

  it.each([
    "",
    "0.9",
    "null",
    "[]",
    "{}",
    "{",
    '{"load":"0.9"}',
    '{"load":1.1}',
    '{"load":-0.1}',
    '{"load":null}',
    '{"load":0.9,"until":"soon"}',
    '{"load":0.9,"until":-1}',
    `{"load":0.9,"until":${START_MS - 1}}`,
  ])("that is none, %s, is ignored", async (garbage) => {
    const isolate = startIsolate({ documents: { "load-pin": garbage, "request-rate": "650" } });
    const response = await isolate.send("/api/ai/chat");
    expect(response.status).toBe(200);
    expect(limitOf(response)).toMatchObject({ tier: "high", q: 20 });
  });
});

describe("tier tables", () => {
  const GOOD = '{"profiles":{"ai-chat":{"limits":{"low":44}}}}';

  const garbage = [
    "",
    " ",
    "null",
    "[]",
    "7",
    "{",
    '{"profiles":null}',
    '{"profiles":[]}',
    '{"unknown":1}',
    '{"profiles":{"ai-chat":{"limits":{"low":10}}}}',
    '{"profiles":{"ai-chat":{"limits":{"low":-1}}}}',
    '{"profiles":{"ai-chat":{"limits":{"low":50.5}}}}',
    '{"profiles":{"ai-chat":{"limits":{"low":1000001}}}}',
    '{"profiles":{"new":{"match":["/x"],"limits":{"low":5}}}}',
    '{"profiles":{"Ai":{"match":["/x"]}}}',
    '{"profiles":{"a":{"match":["/api/ai/*"],"limits":{"low":9,"medium":9,"high":9,"critical":9}}}}',
    '{"profiles":{"ai-chat":{"window_seconds":0}}}',
    '{"profiles":{"ai-chat":{"match":["no-slash"]}}}',
    '{"tiers":{"medium":0.9}}',
    '{"capacity_rpm":0}',
    '{"exempt":"/x"}',
    '{"enforce":"no"}',
    '{"__proto__":{"enforce":false}}',
    '{"profiles":{"constructor":{}}}',
    `{"exempt":["/${"x".repeat(70_000)}"]}`,
    "\ud800",
  ].map(named);

  it.each(garbage)(
    "that break a rule, $name, never take effect: the built-in ones count, and the log says why",
    async ({ text }) => {
      const isolate = startIsolate({ documents: { "tier-tables": text } });
      const response = await isolate.send("/api/ai/chat");
      expect(response.status).toBe(200);
      expect(limitOf(response)).toMatchObject({ tier: "low", q: 50 });
      const faults = isolate.logged.find(({ event }) => event === "tier-tables-refused")?.members["faults"];
      expect(faults).toEqual(expect.arrayContaining([expect.objectContaining({ path: expect.any(String) })]));
    },
  );

  it.each(garbage)(
    "that break a rule, $name, leave the last good ones in force, also in isolates that start later",
    async ({ text }) => {
      const isolate = startIsolate({ documents: { "tier-tables": GOOD } });
      expect(limitOf(await isolate.send("/api/ai/chat"))).toMatchObject({ q: 44 });
      await vi.waitFor(() => expect(isolate.written.get("tier-tables:good")).toBe(GOOD));
      isolate.put("tier-tables", text);
      vi.setSystemTime(START_MS + 2 * REFRESH_MS);
      expect(limitOf(await isolate.send("/api/ai/chat"))).toMatchObject({ q: 44 });
      expect(isolate.written).toEqual(new Map([["tier-tables:good", GOOD]]));
      const later = startIsolate({ documents: { "tier-tables": text, ...Object.fromEntries(isolate.written) } });
      expect(limitOf(await later.send("/api/ai/chat"))).toMatchObject({ q: 44 });
    },
  );

  it("that are deleted mean the built-in ones, also for isolates that start on invalid ones later", async () => {
    const isolate = startIsolate({ documents: { "tier-tables:good": GOOD } });
    expect(limitOf(await isolate.send("/api/ai/chat"))).toMatchObject({ q: 50 });
    await vi.waitFor(() => expect(isolate.written.size).toBe(1));
    const later = startIsolate({ documents: { "tier-tables": "?", ...Object.fromEntries(isolate.written) } });
    expect(limitOf(await later.send("/api/ai/chat"))).toMatchObject({ q: 50 });
  });

  it("change a client's limit and not what it has used", async () => {
    const isolate = startIsolate({ documents: { "tier-tables": GOOD } });
    const client = "192.0.2.1";
    for (let count = 0; count < 20; count += 1) await isolate.send("/api/ai/chat", { client });
    isolate.put("tier-tables", '{"profiles":{"ai-chat":{"limits":{"low":30}}}}');
    vi.setSystemTime(START_MS + REFRESH_MS);
    await isolate.send("/api/ai/chat"); // The copy is read behind this one.
    expect(limitOf(await isolate.send("/api/ai/chat", { client }))).toMatchObject({ q: 30, r: 9 });
  });

  it("with enforce false refuse nobody, and tell what is left", async () => {
    const isolate = startIsolate({
      documents: { "tier-tables": '{"enforce":false,"profiles":{"ai-chat":{"limits":{"low":40}}}}' },
    });
    const responses = [];
    for (let count = 0; count < 45; count += 1)
      responses.push(await isolate.send("/api/ai/chat", { client: "192.0.2.2" }));
    expect(responses.map(({ status }) => status)).toEqual(Array(45).fill(200));
    expect(responses.slice(38).map((response) => limitOf(response)?.r)).toEqual([1, 0, 0, 0, 0, 0, 0]);
  });
});

describe("isolates that learn of a change at different times", () => {
  it("count by the newest: one that is late does not undo it", async () => {
    const fleet = freshFleet();
    const vars = { COUNTER_SHARDS: 1 };
    const [early, late] = [startIsolate({ fleet, vars }), startIsolate({ fleet, vars })];
    await early.send("/api/ai/chat");
    await late.send("/api/ai/chat");
    early.put("load-pin", '{"load":0.9}');
    vi.setSystemTime(START_MS + REFRESH_MS);
    await early.send("/");
    expect(limitOf(await early.send("/api/ai/chat"))).toMatchObject({ tier: "critical", q: 10 });
    // The first goes by its old copy, the others by one that it has read since, itself a late one.
    for (let count = 0; count < 3; count += 1)
      expect(limitOf(await late.send("/api/ai/chat"))).toMatchObject({ tier: "critical", q: 10 });
    expect(late.reads).toBeGreaterThanOrEqual(2);
  });
});
