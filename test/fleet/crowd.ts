/**
 * Ten thousand isolates and a million clients, in memory: the policy that runs in production on both sides of a network
 * that only delays.
 *
 * Real are the counter's accounts, the isolate's holdings and its bounded map of them. Told again in few lines, because
 * the real ones are bound to promises and timers, are the lane (one call at a time from an isolate to a counter, which
 * carries all that wait) and the journal (one row for each call that changed anything).
 *
 * Isolates have clocks of their own, hours apart. Every unit is noted at its true moment by the one who watches, not by
 * the policy, and every client is watched: in no stretch of a window more than the limit, against an exact sliding log
 * of the same arrivals.
 */
import { type BoundedMap, createBoundedMap } from "../../src/edge/bounded-map.ts";
import {
  type Belief,
  compose,
  decide,
  type Holding,
  leftOverDueMs,
  newHolding,
  receive,
} from "../../src/policy/holding.ts";
import type { Answer } from "../../src/policy/lease.ts";
import { createChance } from "../simulation/chance.ts";
import { type CrowdAsk, type CrowdCounts, createCrowdCounter } from "./crowd-counter.ts";
import { zipf } from "./popularity.ts";
import { createTimeline } from "./timeline.ts";
import { createWatch, type Watch } from "./watch.ts";

/** A crowd and what it meets. */
export interface CrowdOptions {
  readonly isolates: number;
  /** Their popularity falls with their rank (Zipf, exponent 1). */
  readonly clients: number;
  readonly perSecond: number;
  readonly limit: number;
  readonly windowMs: number;
  /** Windows in all, and how many of the first are not part of the figures. */
  readonly windows: number;
  readonly unmeasured: number;
  /** ms, least and most. */
  readonly oneWayMs: readonly [number, number];
  readonly seed: number;
}

/** What it came to in the measured windows. */
export interface CrowdResult {
  readonly options: CrowdOptions;
  readonly watch: Watch;
  readonly counts: CrowdCounts;
  /** Batches sent. */
  readonly calls: number;
}

interface Group extends CrowdAsk {
  readonly holding: Holding;
}

interface Lane {
  readonly isolate: number;
  isBusy: boolean;
  /** Clients that wait, in order; one may stand more than once. */
  queue: number[];
  leftOvers: Group[];
}

/** As in the gateway: `edge/quota.ts`, `edge/lane.ts`, `wrangler.toml`. */
const ENTRIES = 10_000;
const PASSENGERS_MAX = 500;
const SETTLE_WAIT_MAX_MS = 6_000;
const SHARDS = 8;
const CLOCK_APART_MS = 7_200_000;

/** Lets a crowd loose. The same seed comes to the same result. */
export function runCrowd(options: CrowdOptions): CrowdResult {
  const { isolates, clients, perSecond, limit, windowMs, windows, unmeasured, seed } = options;
  const chance = createChance(seed);
  const draw = zipf(clients, chance);
  const timeline = createTimeline(windows * windowMs);
  const belief: Belief = { tier: "low", limit, windowMs };
  const clockMs = Float64Array.from({ length: isolates }, () => chance.whole(0, CLOCK_APART_MS));
  const holdings: (BoundedMap<Holding> | undefined)[] = new Array(isolates);
  const callsOf = new Uint32Array(isolates);
  const lanes = new Map<number, Lane>();
  const watch = createWatch(clients, limit, windowMs);
  const counter = createCrowdCounter(clients, belief, watch);
  let calls = 0;

  const isoMs = (isolate: number): number => timeline.nowMs() + (clockMs[isolate] ?? 0);
  const delayMs = (): number => chance.whole(...options.oneWayMs);

  function arrive(client: number, isolate: number): void {
    watch.offered(client, timeline.nowMs());
    if (decideAtHand(holdingOf(isolate, client), client, isolate)) return;
    const lane = laneOf(isolate, client % SHARDS);
    lane.queue.push(client);
    if (!lane.isBusy) depart(lane);
  }

  function decideAtHand(holding: Holding, client: number, isolate: number): boolean {
    const { kind } = decide(holding, 1, belief, isoMs(isolate));
    if (kind === "granted") watch.admitted(client, timeline.nowMs(), 1);
    return kind !== "unknown";
  }

  function depart(lane: Lane): void {
    const { isolate } = lane;
    const takes = new Map<number, number>();
    for (const client of lane.queue.splice(0, PASSENGERS_MAX))
      if (!decideAtHand(holdingOf(isolate, client), client, isolate)) takes.set(client, (takes.get(client) ?? 0) + 1);
    const groups = [...takes].map(([client, count]) => groupOf(isolate, client, holdingOf(isolate, client), count));
    for (const { client, holding, ask } of lane.leftOvers.splice(0))
      if (holding.call === ask.call) groups.push(groupOf(isolate, client, holding, 0));
    if (groups.length === 0) return;
    lane.isBusy = true;
    calls++;
    timeline.after(delayMs(), () => count(lane, groups));
  }

  function groupOf(isolate: number, client: number, holding: Holding, takes: number): Group {
    const call = (callsOf[isolate] ?? 0) + 1;
    callsOf[isolate] = call;
    return { client, holding, ask: compose(holding, call, new Array(takes).fill(1), belief, isoMs(isolate)) };
  }

  function count(lane: Lane, groups: readonly Group[]): void {
    const answers = counter.answer(lane.isolate, groups, timeline.nowMs());
    timeline.after(delayMs(), () => land(lane, groups, answers));
  }

  function land(lane: Lane, groups: readonly Group[], answers: readonly (Answer | null)[]): void {
    lane.isBusy = false;
    for (const [i, { holding, ask }] of groups.entries()) {
      const answer = answers[i] ?? null;
      if (answer !== null) receive(holding, answer, ask.costs, isoMs(lane.isolate));
    }
    settleLater(lane, groups);
    if (lane.queue.length + lane.leftOvers.length > 0) depart(lane);
  }

  function settleLater(lane: Lane, groups: readonly Group[]): void {
    const dues = groups.flatMap(({ holding }) => leftOverDueMs(holding) ?? []);
    if (dues.length === 0) return;
    timeline.after(Math.min(Math.max(...dues) - isoMs(lane.isolate), SETTLE_WAIT_MAX_MS), () => {
      const nowMs = isoMs(lane.isolate);
      for (const group of groups) {
        const isDue = (leftOverDueMs(group.holding) ?? Number.POSITIVE_INFINITY) <= nowMs;
        if (isDue && group.holding.call === group.ask.call) lane.leftOvers.push(group);
      }
      if (!lane.isBusy) depart(lane);
    });
  }

  function holdingOf(isolate: number, client: number): Holding {
    const map = holdings[isolate] ?? createBoundedMap<Holding>(ENTRIES);
    holdings[isolate] = map;
    const key = String(client);
    let holding = map.get(key);
    if (holding === undefined) {
      holding = newHolding();
      map.set(key, holding);
    }
    return holding;
  }

  function laneOf(isolate: number, shard: number): Lane {
    const key = isolate * SHARDS + shard;
    let lane = lanes.get(key);
    if (lane === undefined) {
      lane = { isolate, isBusy: false, queue: [], leftOvers: [] };
      lanes.set(key, lane);
    }
    return lane;
  }

  function sweep(): void {
    counter.sweep(timeline.nowMs());
    timeline.after(windowMs, sweep);
  }

  function beginToMeasure(): void {
    watch.reset();
    counter.reset();
    calls = 0;
  }

  let nextMs = chance.gapMs(1000 / perSecond);
  timeline.after(windowMs, sweep);
  if (unmeasured > 0) timeline.after(unmeasured * windowMs, beginToMeasure);
  timeline.run((nowMs) => {
    for (; nextMs < nowMs + 1; nextMs += chance.gapMs(1000 / perSecond)) arrive(draw(), chance.whole(0, isolates - 1));
  });
  return { options, watch, counts: counter.counts(), calls };
}
