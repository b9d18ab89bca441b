/**
 * What this isolate has seen, added up, and told to the meter behind requests.
 *
 * Whoever counts holds the telling with `waitUntil`, unless somebody does already: it waits until a flush may be sent (at
 * most one in five seconds), sends, and goes on while there is more, so that the last requests of a burst are told too.
 * After some seconds it leaves the rest to the next request: the platform ends what a request holds after thirty. One
 * whose context is ended all the same is replaced once its time is over.
 *
 * A meter that does not answer costs no request anything: what it was told stays pending and is sent again.
 *
 * The price: what an isolate that dies had not sent is lost, five seconds' worth at most.
 */

import { sleep, within } from "../deadline.ts";
import { acknowledge, flushWaitMs, newReporter, nextFlush, type Present, type Reporter } from "../policy/flush.ts";
import type { Limits } from "../policy/limits.ts";
import type { EdgeSignal } from "../policy/publication.ts";
import { countAnswer, countEvent, countOutcome, countRefusal, type MeterEvent, type Outcome } from "../policy/tally.ts";
import type { Tier } from "../policy/tier.ts";
import type { Ports, WaitUntil } from "../ports.ts";
import { createRefusalLog } from "./refusal-log.ts";

/** Counts of one isolate. Nothing in it rejects or throws. */
export interface Reports {
  /** A request came to this, under the tier that decided it. */
  readonly outcome: (profile: string, tier: Tier, outcome: Outcome) => void;
  /** A request was refused by its limit, the nth of its client within the window. */
  readonly refusal: (profile: string, tier: Tier, nth: number, limits: Limits) => void;
  /** Origin or cache answered; `responseMs` of the origin, null where it was not asked. */
  readonly answer: (profile: string, status: number, responseMs: number | null) => void;
  readonly event: (event: MeterEvent, units: number) => void;
  /** Sees to it that what was counted is told. */
  readonly tell: (waitUntil: WaitUntil) => void;
}

/** How the isolate stands, and what it hears. */
export interface Hearing {
  readonly present: () => Present;
  /** Unix ms at which a document was seen to change; 0 for never. */
  readonly documentsChangedMs: () => number;
  readonly hear: (word: EdgeSignal) => void;
}

/** The meter has this long to answer; it is a call behind a request, and may start an object on another continent. */
const ANSWER_MS = 4_000;
/** One request tells for so long, and stays within the platform's thirty seconds with a wait and an answer to come. */
const TELL_MS = 15_000;
/** By then whoever tells is done, or will never be. */
const GIVEN_UP_MS = 30_000;
/** Between two lines of the log about a meter that does not answer. */
const WARN_EVERY_MS = 60_000;

/** An isolate that has counted nothing. */
export function createReports(hearing: Hearing, { meter, nowMs, newId, log }: Ports): Reports {
  const sayRefusals = createRefusalLog(log);
  let reporter: Reporter | null = null;
  let tellingSinceMs: number | null = null;
  let warnedMs = Number.NEGATIVE_INFINITY;

  // Made with the first count: random values are not to be had before a request.
  const own = (): Reporter => {
    reporter ??= newReporter(newId());
    return reporter;
  };

  function isTold(atMs: number): boolean {
    return tellingSinceMs !== null && atMs >= tellingSinceMs && atMs - tellingSinceMs < GIVEN_UP_MS;
  }

  async function tellAll(sinceMs: number): Promise<void> {
    for (;;) {
      const waitMs = flushWaitMs(own(), nowMs());
      if (waitMs === null) return leave(sinceMs);
      await sleep(waitMs);
      const isLast = nowMs() - sinceMs >= TELL_MS;
      // What is counted while the last flush is under way needs somebody else to tell it.
      if (isLast) leave(sinceMs);
      await send();
      if (isLast) return;
    }
  }

  function leave(sinceMs: number): void {
    if (tellingSinceMs === sinceMs) tellingSinceMs = null;
  }

  async function send(): Promise<void> {
    const flush = nextFlush(own(), hearing.present(), nowMs());
    if (flush === null) return;
    sayRefusals(flush, nowMs());
    const { number } = flush;
    const answered = meter.report({ flush, documentsChangedMs: hearing.documentsChangedMs() }).then(
      (word) => {
        acknowledge(own(), number);
        hearing.hear(word);
      },
      (error: unknown) => warn(String(error)),
    );
    if (!(await within(answered, ANSWER_MS))) warn("no answer in time");
  }

  function warn(error: string): void {
    const atMs = nowMs();
    if (Math.abs(atMs - warnedMs) < WARN_EVERY_MS) return;
    warnedMs = atMs;
    log("warn", "meter-failed", { error });
  }

  return {
    outcome: (profile, tier, outcome) => countOutcome(own().tally, profile, tier, outcome, nowMs()),
    refusal: (profile, tier, nth, limits) => countRefusal(own().tally, profile, tier, nth, limits, nowMs()),
    answer: (profile, status, responseMs) => countAnswer(own().tally, profile, status, responseMs, nowMs()),
    event: (event, units) => countEvent(own().tally, event, units, nowMs()),
    tell(waitUntil) {
      const atMs = nowMs();
      if (isTold(atMs)) return;
      tellingSinceMs = atMs;
      waitUntil(tellAll(atMs));
    },
  };
}
