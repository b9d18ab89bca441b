/** Counters that do not answer: what the profile says of that, and no more. */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createCounters } from "../../src/edge/shards.ts";
import { countersOf, freshFleet, type Isolate, limitOf, startIsolate } from "./gateway.ts";

const TABLES = JSON.stringify({
  profiles: {
    local: { match: ["/local"], limits: { low: 80, medium: 80, high: 80, critical: 80 } },
    few: { match: ["/few"], limits: { low: 7, medium: 7, high: 7, critical: 7 } },
    open: { match: ["/open"], limits: { low: 2, medium: 2, high: 2, critical: 2 }, on_counter_failure: "open" },
    closed: {
      match: ["/closed"],
      limits: { low: 80, medium: 80, high: 80, critical: 80 },
      on_counter_failure: "closed",
    },
  },
});

/** How a counter fails. */
type Fault = "throws" | "rejects" | "hangs";

/** An isolate whose counters fail while the switch says so, and the number of calls that met it. */
function startFaulty(fault: Fault, vars = {}): Isolate & { isDown: boolean; calls: number } {
  const real = countersOf(freshFleet());
  const faulty = new Proxy(env.COUNTERS, {
    get(_, member) {
      if (member !== "getByName" || !state.isDown) return Reflect.get(real, member);
      return () => {
        state.calls += 1;
        return new Proxy({}, { get: () => () => failing(fault) });
      };
    },
  });
  const counters = createCounters(faulty, 8);
  const isolate = startIsolate({ documents: { "tier-tables": TABLES }, vars, ports: { counters } });
  const state = Object.assign(isolate, { isDown: true, calls: 0 });
  return state;
}

function failing(fault: Fault): Promise<never> {
  switch (fault) {
    case "throws":
      throw new Error("no such object");
    case "rejects":
      return Promise.reject(new Error("counter is broken"));
    case "hangs":
      return new Promise(() => {});
  }
}

async function statusesOf(isolate: Isolate, path: string, count: number, client = "192.0.2.1"): Promise<number[]> {
  const statuses = [];
  while (statuses.length < count) statuses.push((await isolate.send(path, { client })).status);
  return statuses;
}

afterEach(() => {
  vi.useRealTimers();
});

describe.each(["throws", "rejects", "hangs"] as const)("a counter that %s", (fault) => {
  const vars = { COUNTER_TIMEOUT_MS: 50 };

  it("is answered for with 503 where the profile says closed", async () => {
    const isolate = startFaulty(fault, vars);
    const response = await isolate.send("/closed");
    expect(response.status).toBe(503);
    expect(response.headers.get("Content-Type")).toBe("application/problem+json");
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    expect(await response.json()).toMatchObject({
      type: "https://api.levqor.ai/problems/counter-unavailable",
      status: 503,
      instance: "/closed",
    });
    expect(isolate.forwarded).toEqual([]);
  });

  it("refuses nobody where the profile says open", async () => {
    expect(await statusesOf(startFaulty(fault, vars), "/open", 10)).toEqual(Array(10).fill(200));
  });

  it("lets each isolate admit an eighth of the limit by itself where the profile says local", async () => {
    const isolate = startFaulty(fault, vars);
    expect(await statusesOf(isolate, "/local", 15)).toEqual([...Array(10).fill(200), ...Array(5).fill(429)]);
    expect(await statusesOf(isolate, "/local", 1, "192.0.2.2")).toEqual([200]);
    expect(await statusesOf(isolate, "/few", 1)).toEqual([429]);
  });

  it("lets exempt requests pass", async () => {
    const response = await startFaulty(fault, vars).send("/api/billing/webhook", { method: "POST" });
    expect(response.status).toBe(200);
  });

  it("is left alone after three failures in a row, and asked again later", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const isolate = startFaulty(fault, vars);
    const send = async () => {
      const sent = isolate.send("/open", { client: "192.0.2.1" });
      // A call that hangs is given up by the clock that is faked here.
      const ticking = setInterval(() => vi.setSystemTime(Date.now() + 10), 10);
      await sent.finally(() => clearInterval(ticking));
      return await sent;
    };
    for (let count = 0; count < 3; count += 1) await send();
    expect(isolate.calls).toBe(3);
    for (let count = 0; count < 10; count += 1) await send();
    expect(isolate.calls).toBe(3);
    expect(isolate.logged.filter(({ event }) => event === "counter-failed")).toHaveLength(3);
    vi.setSystemTime(Date.now() + 2_001);
    isolate.isDown = false;
    expect(limitOf(await send())).toMatchObject({ profile: "open", q: 2, r: 1 });
  });
});

describe("a counter that comes back", () => {
  it("has forgotten nothing it counted, and refuses as it would have", async () => {
    const isolate = startFaulty("rejects");
    isolate.isDown = false;
    expect(await statusesOf(isolate, "/open", 2)).toEqual([200, 200]);
    isolate.isDown = true;
    await statusesOf(isolate, "/closed", 2, "192.0.2.7");
    isolate.isDown = false;
    expect(await statusesOf(isolate, "/open", 1)).toEqual([429]);
  });
});
