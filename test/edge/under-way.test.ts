/** When requests at the origin are given up: each in its own time, with one timer for all that are quick. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { startIsolate } from "./gateway.ts";

const TIMEOUT_MS = 10_000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** An isolate whose origin answers paths under /quick, and no other. */
function start(originTimeoutMs = TIMEOUT_MS) {
  return startIsolate({
    vars: { ORIGIN_TIMEOUT_MS: originTimeoutMs },
    origin: ({ url }) => (url.includes("/quick") ? new Response("quick") : new Promise<Response>(() => {})),
  });
}

/** Sends, and notes the moment and the status of the answer. */
function watched(isolate: ReturnType<typeof start>, path: string) {
  const sentMs = Date.now();
  const seen: { status: number | null; afterMs: number | null } = { status: null, afterMs: null };
  void isolate.send(path).then(({ status }) => {
    seen.status = status;
    seen.afterMs = Date.now() - sentMs;
  });
  return seen;
}

describe("a request that the origin does not answer", () => {
  it.each([100, 2_999, 3_000, TIMEOUT_MS])("is 504 after %d ms, and not before", async (timeoutMs) => {
    const seen = watched(start(timeoutMs), "/slow");
    await vi.advanceTimersByTimeAsync(timeoutMs - 1);
    expect(seen.status).toBeNull();
    await vi.advanceTimersByTimeAsync(20);
    expect(seen.status).toBe(504);
  });

  it("is given up in its own time, whoever else is under way and whenever they came", async () => {
    const isolate = start();
    const all: { status: number | null; afterMs: number | null }[] = [];
    for (let i = 0; i < 25; i += 1) {
      all.push(watched(isolate, `/slow-${i}`));
      watched(isolate, `/quick-${i}`);
      await vi.advanceTimersByTimeAsync(370);
    }
    await vi.advanceTimersByTimeAsync(TIMEOUT_MS + 1_000);
    for (const { status, afterMs } of all) {
      expect(status).toBe(504);
      expect(afterMs).toBeGreaterThanOrEqual(TIMEOUT_MS);
      expect(afterMs).toBeLessThanOrEqual(TIMEOUT_MS + 50);
    }
  });

  it("is given up also when whoever held the tick was ended: the next request takes its place", async () => {
    const isolate = start();
    watched(isolate, "/ended");
    await vi.advanceTimersByTimeAsync(50);
    const slow = watched(isolate, "/slow");
    await vi.advanceTimersByTimeAsync(50);
    // All that the first has under way is gone with it, the tick too.
    vi.clearAllTimers();
    await vi.advanceTimersByTimeAsync(4_000);
    watched(isolate, "/quick");
    await vi.advanceTimersByTimeAsync(TIMEOUT_MS);
    expect(slow.status).toBe(504);
  });
});
