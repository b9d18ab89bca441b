/**
 * The loop between limits and an autoscaler, second by second: clients, the gateway's tier, a fleet, and a Kubernetes
 * autoscaler that reads the gateway's advice as KEDA's metrics-api scaler hands it over.
 *
 * Tier, load, limits and advice are the real policy code. The rest is the simplest that can show the loop: clients send
 * evenly and do not give up, every instance carries what it is planned to, and shedding is on: what passes the limits
 * but not the fleet is shed. The autoscaler follows Kubernetes' algorithm: tolerance, bounds, both stabilization
 * windows, at most so many pods up or down in a while.
 *
 * Pure and deterministic.
 */
import { chooseRateLimits } from "../../src/policy/limits.ts";
import { deriveLoad } from "../../src/policy/load.ts";
import { peakRpsOf, recommendInstances, SCALING } from "../../src/policy/scaling.ts";
import { type Course, steer } from "../../src/policy/steer.ts";
import { THRESHOLDS, TIERS, type Tier } from "../../src/policy/tier.ts";

/** What the advice is computed from. */
export type Basis = "offered" | "admitted";

/** The rule in `deploy/kubernetes/scaledobject.yaml`; a test of that file holds the two together. */
export const RULE = {
  targetValue: 1,
  minReplicas: SCALING.minInstances,
  maxReplicas: SCALING.maxInstances,
  scaleUp: { stabilizationSeconds: 300, pods: 4, periodSeconds: 60 },
  scaleDown: { stabilizationSeconds: 600, pods: 1, periodSeconds: 120 },
} as const;

/** Kubernetes' own defaults: how often the autoscaler looks, and what it takes for no difference. */
const SYNC_SECONDS = 15;
const TOLERANCE = 0.1;
/** From a pod's creation until it serves. */
const START_SECONDS = 60;

/** Demand: so many clients that each send so many requests a minute, all to the default profile. */
export interface Demand {
  readonly clients: number;
  readonly perClientPerMinute: number;
}

/** The fleet and its load at the end of one minute. */
export interface Minute {
  readonly minute: number;
  /** Requests per second, over that minute. */
  readonly offeredRps: number;
  readonly admittedRps: number;
  readonly advice: number;
  readonly replicas: number;
  readonly ready: number;
  readonly load: number;
  readonly tier: Tier;
}

/** A replica, and the second from which it serves. */
type Replicas = readonly number[];

/** An autoscaler's own memory: what it computed, and by how much it has changed the count. */
interface Autoscaler {
  readonly computed: readonly { readonly second: number; readonly replicas: number }[];
  readonly changes: readonly { readonly second: number; readonly by: number }[];
}

/** Runs the loop for so many minutes from the minimum fleet, and says where it stood after each. */
export function runLoop(basis: Basis, demandAt: (minute: number) => Demand, minutes: number): readonly Minute[] {
  const told: Minute[] = [];
  const busiest: number[] = [];
  let offered: number[] = [];
  let admitted: number[] = [];
  let course: Course | null = null;
  let replicas: Replicas = Array<number>(RULE.minReplicas).fill(0);
  let autoscaler: Autoscaler = { computed: [], changes: [] };
  for (let second = 0; second < minutes * 60; second++) {
    const demand = demandAt(Math.floor(second / 60));
    const ready = replicas.filter((since) => since <= second).length;
    const offeredNow = (demand.clients * demand.perClientPerMinute) / 60;
    const under = (tier: Tier) =>
      Math.min(1, (chooseRateLimits(tier)["default"] ?? 0) / demand.perClientPerMinute) * offeredNow;
    offered = lastMinute(offered, offeredNow);
    const carried = ready * SCALING.rpsPerInstance;
    admitted = lastMinute(admitted, Math.min(under(course?.tier ?? "low"), carried));

    const load = loadOf(sumOf(admitted), ready, second);
    const [low, medium, high, critical] = TIERS.map((tier) => under(tier) / carried);
    const predicted = { low, medium, high, critical } as Readonly<Record<Tier, number>>;
    const sight = { load, steep: "low", predicted, capacityRpm: carried * 60 } as const;
    course = steer(course, sight, THRESHOLDS, { margin: 0.05, holdMs: 30_000 }, second * 1000);
    if (second % 60 === 59) busiest.push(sumOf(basis === "offered" ? offered : admitted));
    const advice = recommendInstances(peakRpsOf(busiest.slice(-60)));
    if (second % SYNC_SECONDS === 0) ({ autoscaler, replicas } = sync(autoscaler, replicas, advice, second));
    if (second % 60 === 59) {
      const [offeredRps, admittedRps] = [sumOf(offered) / 60, sumOf(admitted) / 60];
      const minute = Math.ceil(second / 60);
      told.push({ minute, offeredRps, admittedRps, advice, replicas: replicas.length, ready, load, tier: course.tier });
    }
  }
  return told;
}

/** Load as the gateway's own signal gives it: the last minute's admitted requests over what the ready fleet carries. */
function loadOf(requestsPerMinute: number, ready: number, second: number): number {
  const signal = {
    source: "edge" as const,
    requestsPerMinute,
    capacity: ready * SCALING.rpsPerInstance * 60,
    publishedAtMs: second * 1000,
  };
  const rules = { capacityRpm: 1000, maxAgeMs: 180_000 };
  const load = deriveLoad({ signals: [signal], pin: null }, rules, second * 1000);
  return load.kind === "measured" ? load.load : 0;
}

function lastMinute(perSecond: readonly number[], now: number): number[] {
  return [...perSecond.slice(-59), now];
}

/** One look of the autoscaler at the advice. */
function sync(
  { computed, changes }: Autoscaler,
  replicas: Replicas,
  advice: number,
  second: number,
): { autoscaler: Autoscaler; replicas: Replicas } {
  const current = replicas.length;
  const ratio = advice / RULE.targetValue / current;
  const wanted = Math.abs(ratio - 1) <= TOLERANCE ? current : Math.ceil(advice / RULE.targetValue);
  const bounded = Math.min(RULE.maxReplicas, Math.max(RULE.minReplicas, wanted));
  const all = [...computed, { second, replicas: bounded }];
  const within = (seconds: number) => all.filter((past) => past.second > second - seconds).map((past) => past.replicas);
  const atLeast = Math.min(...within(RULE.scaleUp.stabilizationSeconds));
  const atMost = Math.max(...within(RULE.scaleDown.stabilizationSeconds));
  const calm = Math.min(Math.max(current, atLeast), atMost);
  const changedBy = (seconds: number, sign: 1 | -1) =>
    sumOf(changes.filter((past) => past.second > second - seconds && past.by * sign > 0).map((past) => past.by));
  const ceiling = current + RULE.scaleUp.pods - changedBy(RULE.scaleUp.periodSeconds, 1);
  const floor = current - RULE.scaleDown.pods - changedBy(RULE.scaleDown.periodSeconds, -1);
  const next = Math.max(floor, Math.min(ceiling, calm));
  return {
    autoscaler: {
      computed: all.slice(-RULE.scaleDown.stabilizationSeconds / SYNC_SECONDS),
      changes: next === current ? changes : [...changes, { second, by: next - current }],
    },
    replicas:
      next <= current
        ? replicas.slice(0, next)
        : [...replicas, ...Array<number>(next - current).fill(second + START_SECONDS)],
  };
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
