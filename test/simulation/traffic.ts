/**
 * Fair weather: Poisson arrivals, each at an isolate drawn for it, wires that take 3 to 17 ms, and an exact sliding log
 * over the same arrivals to compare with. What protocol 7 measures is measured here, on the code that runs.
 */
import type { Served } from "../../src/policy/account.ts";
import { advance, usedOf } from "../../src/policy/window.ts";
import { createAgenda } from "./agenda.ts";
import { type Chance, createChance } from "./chance.ts";
import { createClock } from "./clock.ts";
import type { Isolate, Told } from "./isolate.ts";
import { newLoan } from "./loan.ts";
import { createNetwork } from "./network.ts";
import type { Version } from "./shard.ts";
import type { Truth } from "./truth.ts";

/** What comes in. */
export interface Traffic {
  readonly seed: number;
  readonly limit: number;
  readonly windowMs: number;
  readonly isolates: number;
  /** Requests in a window; the first window is not counted. */
  readonly perWindow: number;
  readonly windows: number;
  /** Chance that a message or an answer is lost. */
  readonly lost?: number;
  /** Requests that come together, at one isolate; then the client moves on. 1 where left out: each on its own. */
  readonly burst?: number;
  /** ms on the way, at least and at most. */
  readonly oneWayMs?: readonly [number, number];
  /** The counter's clock is so far ahead for ten seconds in mid-run. */
  readonly aheadMs?: number;
}

/** What came of it, without the first window. */
export interface Measured {
  readonly requests: number;
  readonly admitted: number;
  /** What an exact sliding log admits of the same requests. */
  readonly byLog: number;
  readonly calls: number;
  readonly rows: number;
  /** Refused, though the counter would have granted at that moment. */
  readonly needless: number;
  /** Most units over the limit in any window, by the counter's clock; of no meaning where that is set. */
  readonly over: number;
}

const CLIENT = "client";

/** Lets `traffic` through. */
export function measure(traffic: Traffic): Measured {
  const { seed, limit, windowMs, isolates, perWindow, windows, lost = 0, burst = 1, aheadMs = 0 } = traffic;
  const [leastMs, mostMs] = traffic.oneWayMs ?? [3, 17];
  const chance = createChance(seed);
  const agenda = createAgenda();
  const log = createLog(limit, windowMs);
  const used = createLog(Number.POSITIVE_INFINITY, windowMs);
  let over = 0;
  const use = (atMs: number, units: number) => {
    for (let i = 0; i < units; i++) used.take(atMs);
    over = Math.max(over, used.count() - limit);
  };
  const witness = createWitness(use);
  const wires = {
    oneWayMs: () => chance.between(leastMs, mostMs),
    lost,
    noticed: 1,
    repeated: 0,
    repeatedAfterMs: () => 0,
  };
  const shardClock = createClock(0, 1);
  const { shard, join } = createNetwork({
    agenda,
    chance,
    wires,
    shardClock,
    writeMs: null,
    deadlineMs: 500,
    truthOf: () => witness,
  });
  const version: Version = { number: 1, tier: "low", limit, windowMs };
  const fleet = Array.from({ length: isolates }, (_, i) =>
    join(`${i}`, createClock(chance.between(0, 1e9), 1), version),
  );

  let admitted = 0;
  let needless = 0;
  const counted: Told = (granted) => {
    if (granted === true) admitted++;
    const account = shard.accountOf(CLIENT);
    if (granted !== false || account === undefined) return;
    if (usedOf(advance(account.window, shardClock.read(agenda.nowMs()))) < limit) needless++;
  };
  let byLog = 0;
  let requests = 0;
  let before = shard.tally();
  if (aheadMs > 0) {
    const middleMs = Math.floor(windows / 2) * windowMs;
    agenda.at(middleMs, () => shardClock.step(aheadMs));
    agenda.at(middleMs + 10_000, () => shardClock.step(-aheadMs));
  }
  for (const { atMs, isolate } of arrivals(chance, fleet, windowMs / perWindow, burst)) {
    if (atMs >= windows * windowMs) break;
    agenda.runUntil(atMs);
    const isCounted = atMs >= windowMs;
    if (!isCounted) before = shard.tally();
    const isInLog = log.take(Math.floor(atMs));
    if (isCounted) requests++;
    if (isCounted && isInLog) byLog++;
    isolate.take(CLIENT, 1, isCounted ? counted : () => {});
  }
  agenda.runUntil(windows * windowMs + 1_000);
  const after = shard.tally();
  return {
    requests,
    admitted,
    byLog,
    calls: after.calls - before.calls,
    rows: after.rows - before.rows,
    needless,
    over,
  };
}

interface Arrival {
  readonly atMs: number;
  readonly isolate: Isolate;
}

function* arrivals(chance: Chance, fleet: readonly Isolate[], gapMs: number, burst: number): Generator<Arrival> {
  let atMs = 0;
  for (;;) {
    atMs += chance.gapMs(gapMs * burst);
    const isolate = fleet[chance.whole(0, fleet.length - 1)];
    if (isolate === undefined) throw new RangeError("isolates: expected at least one, got none");
    for (let i = 0; i < burst; i++) {
      if (i > 0) atMs += chance.gapMs(gapMs / 20);
      yield { atMs, isolate };
    }
  }
}

interface SlidingLog {
  /** Whether one more fits into the window that ends at `atMs`. */
  readonly take: (atMs: number) => boolean;
  readonly count: () => number;
}

/** The exact thing: every moment is kept. */
export function createLog(limit: number, windowMs: number): SlidingLog {
  const moments: number[] = [];
  let first = 0;
  return {
    take(atMs) {
      for (let moment = moments[first]; moment !== undefined && moment <= atMs - windowMs; moment = moments[++first]);
      if (moments.length - first >= limit) return false;
      moments.push(atMs);
      return true;
    },
    count: () => moments.length - first,
  };
}

/** Notes what is used, and no more. */
function createWitness(use: (atMs: number, units: number) => void): Truth {
  const loan = newLoan("", 0, 0);
  const unitsOf = (costs: readonly number[], { answer }: Served) =>
    costs.reduce((sum, cost, index) => (answer?.granted[index] === true ? sum + cost : sum), 0);
  return {
    composed: () => loan,
    closed() {},
    used: (_, units, trueMs) => use(Math.floor(trueMs), units),
    served({ ask, before, served, clockMs }) {
      if (served.account !== before) use(clockMs, unitsOf(ask.costs, served));
    },
    reloaded() {},
    lost() {},
    swept() {},
    forgive() {},
    openUnits: () => 0,
    hasOpen: () => false,
    violation: () => null,
    finish: () => 0,
    admitted: () => 0,
  };
}
