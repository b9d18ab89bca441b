/**
 * Circuit breaker: when the origin fails, stop asking it for a while, then ask with one request at a time.
 *
 * Closed, it counts what came of the calls of the last ten seconds. Twenty of them, half of them failures, trip it: fewer
 * prove nothing, and a client that provokes errors has to be half of an isolate's traffic to do harm. A failure is a
 * status of 5xx, a timeout, a connection that could not be had or broke before response headers; 4xx and 429 are the
 * client's own, and a client that went away says nothing of the origin.
 *
 * Open, it refuses until its pause is over: 2 s at first, double after each failed probe, 8 s at most. Doubling means
 * that what the pauses cost after a recovery stays shorter than the outage was; the bound, that nobody ever waits longer
 * for a healthy origin than 10 s. A breaker that trips again within a window of closing goes on where it had stopped, so
 * that an origin which survives one probe but no load is not tried every 2 s. Pauses are drawn up to a quarter longer,
 * so that isolates which tripped together do not probe together.
 *
 * Half-open, one probe at a time: a request of a client, whose answer decides. A probe that never reports (its isolate's
 * request was ended) holds the place for as long as an answer could take, and not for ever. Every state has a number,
 * and a result is only heard by the state that its call was let through in: a call that started before the trip cannot
 * close the breaker, nor can a lost probe that comes back late.
 *
 * The price: it knows what one isolate saw. An isolate with little traffic never opens, and each finds out for itself.
 *
 * Why not a library: cockatiel 4 lets callers of a half-open breaker wait on a promise that the probe's request settles,
 * which on Workers hangs them when that request ends; a probe that never returns blocks it for ever, and a late failure
 * of a closed state reopens it. opossum 10 keeps time with timers and event emitters, which die with the request that
 * set them. Both read the clock themselves.
 *
 * Pure: state in, state out. Times are Unix ms of whoever keeps the state; chance is an argument, 0 <= random < 1.
 */

/** Where the breaker stands. `era` numbers the states: it grows with every transition and every probe. */
export type Breaker =
  | {
      readonly kind: "closed";
      readonly era: number;
      /** Flat triples `slice number, calls, failures`, rising: what came back in the last window. */
      readonly slices: readonly number[];
      /** The pause that it came out of, ms; 0 when there was none. */
      readonly lastPauseMs: number;
      /** Unix ms when it closed. */
      readonly closedAtMs: number;
    }
  | {
      readonly kind: "open";
      readonly era: number;
      /** Without its random part, ms. */
      readonly pauseMs: number;
      /** Unix ms from which a probe may go. */
      readonly untilMs: number;
    }
  | {
      readonly kind: "half-open";
      readonly era: number;
      readonly pauseMs: number;
      /** Unix ms by which the probe under way must have reported; null where none is. */
      readonly probeUntilMs: number | null;
    };

/** What a call came to: the origin answered, it failed, or nothing can be said. */
export type Outcome = "answered" | "failed" | "unknown";

/** Whether a request may go to the origin. */
export type Permit =
  | { readonly granted: true; readonly era: number; readonly isProbe: boolean }
  /** `retryAfterMs`: when asking again may help, already spread. */
  | { readonly granted: false; readonly retryAfterMs: number };

const WINDOW_MS = 10_000;
const SLICE_MS = 1_000;
const CALLS_MIN = 20;
/** Trips at one failure in so many calls. */
const CALLS_PER_FAILURE = 2;
const PAUSE_MS = 2_000;
const PAUSE_MS_MAX = 8_000;
/** A pause is up to this share longer than it has to be. */
const PAUSE_SPREAD = 0.25;
/** Clients are told to come back up to so much later than they might: half a pause, and never all in one second. */
const RETRY_SPREAD = 0.5;
const RETRY_SPREAD_MS_MIN = 2_000;
/** What a client is told while a probe is under way: nobody knows, and it may be over at once. */
const PROBE_RETRY_MS = 1_000;

/** A breaker that has seen nothing. */
export const CLOSED: Breaker = { kind: "closed", era: 0, slices: [], lastPauseMs: 0, closedAtMs: 0 };

/**
 * Asks to let a request through.
 *
 * @param probeMs how long a probe may take to report.
 */
export function ask(
  breaker: Breaker,
  probeMs: number,
  nowMs: number,
  random: () => number,
): { readonly breaker: Breaker; readonly permit: Permit } {
  switch (breaker.kind) {
    case "closed":
      return { breaker, permit: { granted: true, era: breaker.era, isProbe: false } };
    case "open": {
      const open = withinReach(breaker, nowMs);
      const leftMs = open.untilMs - nowMs;
      if (leftMs > 0) return { breaker: open, permit: refusal(leftMs, open.pauseMs, random) };
      return probe(open, probeMs, nowMs);
    }
    case "half-open": {
      const { probeUntilMs } = breaker;
      const isBusy = probeUntilMs !== null && nowMs < probeUntilMs && probeUntilMs - nowMs <= probeMs;
      if (isBusy) return { breaker, permit: refusal(PROBE_RETRY_MS, breaker.pauseMs, random) };
      return probe(breaker, probeMs, nowMs);
    }
  }
}

/** Takes in what a permitted call came to. A call that was never made, or says nothing, is `unknown`. */
export function report(breaker: Breaker, era: number, outcome: Outcome, nowMs: number, random: () => number): Breaker {
  if (era !== breaker.era) return breaker;
  switch (breaker.kind) {
    case "closed": {
      if (outcome === "unknown") return breaker;
      const counted = { ...breaker, slices: count(breaker.slices, outcome === "failed", nowMs) };
      return isTripped(counted.slices) ? open(counted, firstPauseMs(counted, nowMs), nowMs, random) : counted;
    }
    case "open":
      return breaker;
    case "half-open":
      switch (outcome) {
        case "answered":
          return { kind: "closed", era: era + 1, slices: [], lastPauseMs: breaker.pauseMs, closedAtMs: nowMs };
        case "failed":
          return open(breaker, Math.min(2 * breaker.pauseMs, PAUSE_MS_MAX), nowMs, random);
        case "unknown":
          return { ...breaker, era: era + 1, probeUntilMs: null };
      }
  }
}

function probe(breaker: Exclude<Breaker, { kind: "closed" }>, probeMs: number, nowMs: number) {
  const era = breaker.era + 1;
  const { pauseMs } = breaker;
  const next: Breaker = { kind: "half-open", era, pauseMs, probeUntilMs: nowMs + probeMs };
  return { breaker: next, permit: { granted: true, era, isProbe: true } as const };
}

function open(breaker: Breaker, pauseMs: number, nowMs: number, random: () => number): Breaker {
  const untilMs = nowMs + Math.ceil(pauseMs * (1 + PAUSE_SPREAD * random()));
  return { kind: "open", era: breaker.era + 1, pauseMs, untilMs };
}

/** A clock that stepped back does not make a pause longer than it was. */
function withinReach(breaker: Extract<Breaker, { kind: "open" }>, nowMs: number) {
  const longestMs = Math.ceil(breaker.pauseMs * (1 + PAUSE_SPREAD));
  return breaker.untilMs - nowMs <= longestMs ? breaker : { ...breaker, untilMs: nowMs + longestMs };
}

function firstPauseMs({ lastPauseMs, closedAtMs }: Extract<Breaker, { kind: "closed" }>, nowMs: number): number {
  const isRelapse = lastPauseMs > 0 && nowMs - closedAtMs <= WINDOW_MS;
  return isRelapse ? Math.min(2 * lastPauseMs, PAUSE_MS_MAX) : PAUSE_MS;
}

function refusal(leftMs: number, pauseMs: number, random: () => number): Permit {
  const spreadMs = Math.max(RETRY_SPREAD_MS_MIN, RETRY_SPREAD * pauseMs);
  return { granted: false, retryAfterMs: leftMs + Math.floor(spreadMs * random()) };
}

/** The slices with one more call; what has left the window, or lies ahead of a clock that stepped back, is dropped. */
function count(slices: readonly number[], isFailure: boolean, nowMs: number): readonly number[] {
  const slice = Math.floor(nowMs / SLICE_MS);
  const oldest = slice - WINDOW_MS / SLICE_MS;
  const failures = isFailure ? 1 : 0;
  const counted: number[] = [];
  for (let i = 0; i < slices.length; i += 3) {
    const at = slices[i] ?? 0;
    const calls = slices[i + 1] ?? 0;
    const failed = slices[i + 2] ?? 0;
    if (at > oldest && at < slice) counted.push(at, calls, failed);
    if (at === slice) {
      counted.push(at, calls + 1, failed + failures);
      return counted;
    }
  }
  counted.push(slice, 1, failures);
  return counted;
}

function isTripped(slices: readonly number[]): boolean {
  let calls = 0;
  let failures = 0;
  for (let i = 0; i < slices.length; i += 3) {
    calls += slices[i + 1] ?? 0;
    failures += slices[i + 2] ?? 0;
  }
  return calls >= CALLS_MIN && failures * CALLS_PER_FAILURE >= calls;
}
