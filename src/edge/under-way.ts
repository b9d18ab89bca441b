/**
 * Requests that this isolate has at the origin: when to give each of them up, and what becomes of those whose client left.
 *
 * A timer for every request costs it five percent, and nearly all are answered long before. So a request has a timer of
 * its own only if it is still there after a second or so: one tick for all of them, held by the first request that finds
 * none running, wakes those, and each then waits in its own context for what is left of its time. A tick whose owner was
 * ended all the same is replaced by the next request. The price: where the owner is ended and nobody comes after it,
 * nobody is woken; the platform then ends the isolate's last requests itself.
 *
 * The platform ends a request that holds nothing when its client leaves, and nothing of ours runs after that. Such a
 * request has taken its unit and is at the origin all the same: whatever is here longer than the origin is waited for was
 * ended so, and is counted then. Holding every request instead would cost each of them several percent.
 *
 * Bound: `REQUESTS_MAX`; beyond it each has its own timer, and is not counted should its client leave.
 */
import { sleep } from "../deadline.ts";
import type { WaitUntil } from "../ports.ts";

/** The requests of one isolate. */
export interface UnderWay {
  /** A request is about to be sent; whoever begins it ends it. `count` counts it, where nobody else will. */
  readonly begin: (sentMs: number, count: () => void, waitUntil: WaitUntil) => Departed;
  /** The answer; null where it is not there in time; `WOKEN`: it takes long, and is to be waited for with `rest`. */
  readonly first: <T>(departed: Departed, answer: Promise<T>) => Promise<T | null | typeof WOKEN>;
  /** The answer, or null where it is not there in what is left of its time. */
  readonly rest: <T>(departed: Departed, answer: Promise<T>) => Promise<T | null>;
  readonly end: (departed: Departed) => void;
  /** How many there are, after those that were ended without a word have been counted. */
  readonly present: (nowMs: number) => number;
}

/** One request. */
export interface Departed {
  readonly sentMs: number;
  readonly count: () => void;
  /** Tells the request to look after itself; null while nobody has to, and once it does. */
  wake: (() => void) | null;
}

/** What an answer is not. */
export const WOKEN = Symbol("woken");

/** An isolate may have some thousands; a hundred bytes each. */
const REQUESTS_MAX = 10_000;
/** What a request may take beyond the origin's own deadline before it must have been ended. */
const SLACK_MS = 2_000;
const TICK_MS = 1_000;
/** A tick that is so late will not come. */
const TICK_LATE_MS = 500;
/** Origins that are given less time have a timer for each request at once. */
const SHARED_FROM_MS = 3_000;

/** Nothing under way. `originTimeoutMs`: how long each is waited for. */
export function createUnderWay(originTimeoutMs: number, nowMs: () => number): UnderWay {
  const requests = new Set<Departed>();
  let tickDueMs: number | null = null;

  function tick(): void {
    tickDueMs = null;
    for (const departed of requests) {
      departed.wake?.();
      departed.wake = null;
    }
  }

  /** Sees to it that somebody wakes what is under way now. */
  function keepTicking(sentMs: number, waitUntil: WaitUntil): void {
    if (tickDueMs !== null && sentMs < tickDueMs + TICK_LATE_MS && sentMs >= tickDueMs - TICK_MS) return;
    tickDueMs = sentMs + TICK_MS;
    waitUntil(sleep(TICK_MS).then(tick));
  }

  const isShared = originTimeoutMs >= SHARED_FROM_MS;

  return {
    begin(sentMs, count, waitUntil) {
      const departed: Departed = { sentMs, count, wake: null };
      if (requests.size < REQUESTS_MAX) requests.add(departed);
      if (isShared) keepTicking(sentMs, waitUntil);
      return departed;
    },

    first(departed, answer) {
      if (!isShared || !requests.has(departed)) return headersWithin(answer, originTimeoutMs);
      return new Promise((resolve, reject) => {
        departed.wake = () => resolve(WOKEN);
        answer.then(resolve, reject);
      });
    },

    rest: ({ sentMs }, answer) => headersWithin(answer, Math.max(0, sentMs + originTimeoutMs - nowMs())),

    end: (departed) => void requests.delete(departed),

    present(atMs) {
      // In order of sending: the first that is not over ends the search.
      for (const departed of requests) {
        if (atMs - departed.sentMs < originTimeoutMs + SLACK_MS) break;
        requests.delete(departed);
        departed.count();
      }
      return requests.size;
    },
  };
}

/**
 * The answer, or null where it is not there after `ms`. The call is not aborted by a signal of ours, which would cost
 * every request several percent: it ends with the request that made it, once that has been answered.
 */
function headersWithin<T>(answer: Promise<T>, ms: number): Promise<T | null> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms, null);
    answer.then(
      (response) => {
        clearTimeout(timer);
        resolve(response);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}
