/**
 * The same question as `paced.ts`, asked of the policy code alone, at its true pace: a minute is a minute of simulated
 * time, and the way to the counter takes 3 to 17 ms each way, as it would.
 *
 * It runs the very code of `src/policy`: an account at the counter, a holding in each isolate, and between them no more
 * than what `edge/lane.ts` does about one client: one call at a time, takes that wait leave together, what a lease
 * leaves over is settled when it has run out.
 */
import { type Account, openAccount, serve } from "../src/policy/account.ts";
import { compose, decide, type Holding, leftOverDueMs, newHolding, receive } from "../src/policy/holding.ts";
import type { Cost } from "./counting.ts";
import type { PacedPlan } from "./paced.ts";
import { nextArrivalMs, seeded } from "./random.ts";

const WINDOW_MS = 60_000;
const LIMIT = 200;
const BELIEF = { tier: "low", limit: LIMIT, windowMs: WINDOW_MS } as const;
const WINDOWS = 20;
const SEEDS = [1, 2, 3, 4, 5] as const;

interface Isolate {
  readonly name: string;
  readonly holding: Holding;
  waiting: number;
  isCalling: boolean;
}

/** The cost of a client: the mean of five runs of twenty windows, the first of each left out. */
export function simulatePaced(plan: PacedPlan): Cost {
  const runs = SEEDS.map((seed) => simulate(plan, seed));
  const mean = (of: (cost: Cost) => number) => runs.reduce((sum, run) => sum + of(run), 0) / runs.length;
  return {
    calls: mean((run) => run.calls),
    asks: mean((run) => run.asks),
    rows: mean((run) => run.rows),
    requests: mean((run) => run.requests),
  };
}

function simulate({ rps, isolates }: PacedPlan, seed: number): Cost {
  const random = seeded(seed);
  const timeline = newTimeline();
  const fleet = Array.from({ length: isolates }, (_, i): Isolate => {
    return { name: `isolate-${i}`, holding: newHolding(), waiting: 0, isCalling: false };
  });
  let account: Account = openAccount(WINDOW_MS, 0);
  let calls = 0;
  const counted = { requests: 0, calls: 0, rows: 0 };
  const counts = (nowMs: number) => (nowMs >= WINDOW_MS ? 1 : 0);
  const oneWayMs = () => 3 + Math.floor(random() * 15);

  function arrive(isolate: Isolate, nowMs: number): void {
    counted.requests += counts(nowMs);
    if (decide(isolate.holding, 1, BELIEF, nowMs).kind !== "unknown") return;
    isolate.waiting++;
    if (!isolate.isCalling) call(isolate, nowMs);
  }

  function call(isolate: Isolate, nowMs: number): void {
    const { holding, name } = isolate;
    const costs = Array<number>(isolate.waiting).fill(1);
    isolate.waiting = 0;
    isolate.isCalling = true;
    const ask = compose(holding, ++calls, costs, BELIEF, nowMs);
    timeline.add(nowMs + oneWayMs(), (servedMs) => {
      const served = serve(account, name, ask, { limit: LIMIT, windowMs: WINDOW_MS }, servedMs);
      account = served.account;
      counted.calls += counts(servedMs);
      if (served.changed) counted.rows += counts(servedMs);
      timeline.add(servedMs + oneWayMs(), (landedMs) => {
        isolate.isCalling = false;
        if (served.answer !== null) receive(holding, served.answer, costs, landedMs);
        settleLater(isolate, ask.call, landedMs);
        lookAgain(isolate, landedMs);
      });
    });
  }

  function lookAgain(isolate: Isolate, nowMs: number): void {
    while (isolate.waiting > 0 && decide(isolate.holding, 1, BELIEF, nowMs).kind !== "unknown") isolate.waiting--;
    if (isolate.waiting > 0) call(isolate, nowMs);
  }

  function settleLater(isolate: Isolate, number: number, nowMs: number): void {
    const dueMs = leftOverDueMs(isolate.holding);
    if (dueMs === null) return;
    timeline.add(Math.max(dueMs, nowMs), (atMs) => {
      const isDue = (leftOverDueMs(isolate.holding) ?? Number.POSITIVE_INFINITY) <= atMs;
      if (isDue && isolate.holding.call === number && !isolate.isCalling) call(isolate, atMs);
    });
  }

  for (let atMs = 0; atMs < (WINDOWS + 1) * WINDOW_MS; atMs += nextArrivalMs(rps, random)) {
    const nowMs = Math.floor(atMs);
    const isolate = fleet[Math.floor(random() * isolates)];
    timeline.runUntil(nowMs);
    if (isolate !== undefined) arrive(isolate, nowMs);
  }
  const per1000 = 1_000 / counted.requests;
  return {
    calls: counted.calls * per1000,
    asks: counted.calls * per1000,
    rows: counted.rows * per1000,
    requests: counted.requests,
  };
}

interface Timeline {
  readonly add: (atMs: number, run: (nowMs: number) => void) => void;
  /** Runs what is due by `untilMs`, in order. */
  readonly runUntil: (untilMs: number) => void;
}

/** A handful of events at a time: a sorted list is enough. */
function newTimeline(): Timeline {
  const events: { readonly atMs: number; readonly run: (nowMs: number) => void }[] = [];
  return {
    add(atMs, run) {
      const at = events.findLastIndex((event) => event.atMs <= atMs) + 1;
      events.splice(at, 0, { atMs, run });
    },
    runUntil(untilMs) {
      for (let next = events[0]; next !== undefined && next.atMs <= untilMs; next = events[0]) {
        events.shift();
        next.run(next.atMs);
      }
    },
  };
}
