import { describe, expect, it } from "vitest";
import { readRate } from "../../src/config/signals.ts";
import {
  began,
  closingSignal,
  documentOf,
  type EdgeSignal,
  ended,
  laterOf,
  nextPublication,
  type Publication,
  UNPUBLISHED,
} from "../../src/policy/publication.ts";

const T = Date.UTC(2026, 10, 23, 15, 0, 0);
const S = 1_000;
const PUBLISH_MS = 10_000;

const SIGNAL: EdgeSignal = {
  requestsPerMinute: 450.4,
  offeredPerMinute: 1_200.6,
  capacity: 1_000,
  tier: "medium",
  pin: null,
  documentsAsOfMs: 0,
  errorRate: 0.021_234,
  avgResponseMs: 125.4,
  publishedAtMs: T,
  shed: { default: 0.5 },
};

/** Asks every second; `takes` says whether KV takes a write then. */
function play(
  seconds: number,
  isBusy: (at: number) => boolean,
  takes: (at: number) => boolean,
  publishMs = PUBLISH_MS,
) {
  const writes: string[] = [];
  let publication: Publication = UNPUBLISHED;
  for (let at = 0; at < seconds; at++) {
    const step = nextPublication(publication, isBusy(at), publishMs, T + at * S);
    if (step.kind === "wait") continue;
    publication = ended(began(publication, step.kind, T + at * S), step.kind, takes(at));
    writes.push(`${at} ${step.kind}${takes(at) ? "" : " refused"}`);
  }
  return writes;
}

describe("nextPublication", () => {
  it("publishes while there is traffic, no oftener than it may, and once more when it ends", () => {
    expect(
      play(
        200,
        (at) => at < 25,
        () => true,
      ),
    ).toEqual(["0 publish", "10 publish", "20 publish", "30 close"]);
  });

  it("has nothing to say while nothing comes", () => {
    expect(
      play(
        200,
        () => false,
        () => true,
      ),
    ).toEqual([]);
    expect(nextPublication(UNPUBLISHED, false, PUBLISH_MS, T)).toEqual({ kind: "wait", waitMs: null });
  });

  it("opens again when traffic comes back", () => {
    expect(
      play(
        100,
        (at) => at < 5 || at > 50,
        () => true,
      ),
    ).toEqual(["0 publish", "10 close", "51 publish", "61 publish", "71 publish", "81 publish", "91 publish"]);
  });

  it("tries again after a refusal: later each time, no later than it would have published anyway", () => {
    expect(
      play(
        60,
        () => true,
        (at) => at >= 30,
      ),
    ).toEqual([
      "0 publish refused",
      "2 publish refused",
      "6 publish refused",
      "14 publish refused",
      "24 publish refused",
      "34 publish",
      "44 publish",
      "54 publish",
    ]);
  });

  it("keeps trying to close", () => {
    expect(
      play(
        60,
        (at) => at < 5,
        (at) => at < 5 || at > 20,
      ).slice(1),
    ).toEqual(["10 close refused", "12 close refused", "16 close refused", "24 close"]);
  });

  it("closes after a publication that may have been taken though it seemed to fail", () => {
    expect(
      play(
        60,
        (at) => at < 1,
        (at) => at > 0,
      ),
    ).toEqual(["0 publish refused", "2 close"]);
  });

  it("never writes twice within a second, whatever fails", () => {
    const writes = play(
      300,
      (at) => at % 90 < 60,
      (at) => at % 7 > 2,
      1_000,
    );
    const seconds = writes.map((write) => Number.parseInt(write, 10));
    expect(seconds.every((second, index) => index === 0 || second - (seconds[index - 1] ?? 0) >= 1)).toBe(true);
  });

  it("does not overtake a write under way, and gives it up after ten seconds", () => {
    const underWay = began(UNPUBLISHED, "publish", T);
    expect(nextPublication(underWay, true, 1_000, T + 9_999)).toEqual({ kind: "wait", waitMs: 1 });
    expect(nextPublication(underWay, true, 1_000, T + 10_000)).toEqual({ kind: "publish" });
  });

  it("says how long to wait", () => {
    const once = ended(began(UNPUBLISHED, "publish", T), "publish", true);
    expect(nextPublication(once, true, PUBLISH_MS, T + 3_000)).toEqual({ kind: "wait", waitMs: 7_000 });
  });

  it("goes on after the clock has stepped back", () => {
    const once = ended(began(UNPUBLISHED, "publish", T), "publish", true);
    expect(nextPublication(once, true, PUBLISH_MS, T - 3_600_000)).toEqual({ kind: "publish" });
  });
});

describe("documentOf", () => {
  it("is the document of the contract", () => {
    expect(documentOf(SIGNAL)).toEqual({
      requests_per_minute: 450,
      capacity: 1_000,
      published_at: "2026-11-23T15:00:00.000Z",
      tier: "medium",
      offered_per_minute: 1_201,
      error_rate: 0.0212,
      avg_response_ms: 125,
    });
  });

  it("can be read through the door that others' rates come through", () => {
    expect(readRate("edge", JSON.stringify(documentOf(SIGNAL)))).toEqual({
      source: "edge",
      requestsPerMinute: 450,
      capacity: 1_000,
      publishedAtMs: T,
    });
  });

  it("closes with zero and no time, so that a quiet night is no stale signal", () => {
    const closing = documentOf(closingSignal(1_000));
    expect(closing).toMatchObject({ requests_per_minute: 0, capacity: 1_000, tier: "low", offered_per_minute: 0 });
    expect("published_at" in closing).toBe(false);
  });
});

describe("laterOf", () => {
  const later = { ...SIGNAL, publishedAtMs: T + 1 };
  const closing = closingSignal(1_000);

  it.each<{ name: string; a: EdgeSignal | null; b: EdgeSignal | null; at?: number; expected: EdgeSignal | null }>([
    { name: "nothing of nothing", a: null, b: null, expected: null },
    { name: "the only one", a: null, b: SIGNAL, expected: SIGNAL },
    { name: "the later", a: SIGNAL, b: later, expected: later },
    { name: "the later, the other way round", a: later, b: SIGNAL, expected: later },
    { name: "what is fresh, over an old closing that KV still shows", a: closing, b: SIGNAL, at: 60, expected: SIGNAL },
    { name: "the closing, over what is older than a minute", a: SIGNAL, b: closing, at: 61, expected: closing },
    { name: "the closing, the other way round", a: closing, b: SIGNAL, at: 61, expected: closing },
  ])("is $name", ({ a, b, at = 0, expected }) => {
    expect(laterOf(a, b, T + at * S)).toBe(expected);
  });
});
