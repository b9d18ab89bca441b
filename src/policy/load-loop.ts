/**
 * The load loop: flushes in, the signal that travels back, and what is to be published. All that the meter object
 * decides, in one place, so that the object only keeps the time, the storage and KV.
 *
 * Rates, tier and shares are reckoned again at most every `REVIEW_MS`: at 500 flushes a second, each would otherwise
 * sum up a minute. In between every flush is answered with the last signal.
 *
 * No clock. The loop is changed in place, as the meter in it.
 */
import { type FleetTier, isSettled, newFleetTier, nextFleetTier } from "./fleet-tier.ts";
import type { Flush } from "./flush.ts";
import type { TierTables } from "./limits.ts";
import type { Pin } from "./load.ts";
import { absorb, type Meter } from "./meter.ts";
import { copyMeter, type MeterCopy, openMeter } from "./meter-copy.ts";
import { profileRatesOf, type Rates, ratesOf, surgeOf } from "./meter-rates.ts";
import { OVERLOAD_SECONDS, shedShares, type Yields } from "./overload.ts";
import { predict } from "./prediction.ts";
import {
  began,
  closingSignal,
  documentOf,
  type EdgeDocument,
  type EdgeSignal,
  ended,
  nextPublication,
  type Publication,
  UNPUBLISHED,
} from "./publication.ts";
import { steepTier } from "./steep.ts";
import { getLoadTier } from "./tier.ts";

/** Everything the meter object keeps. */
export interface LoadLoop {
  readonly meter: Meter;
  fleet: FleetTier;
  yields: Yields;
  publication: Publication;
  /** As of `reviewedMs`; null before the first review. */
  signal: EdgeSignal | null;
  reviewedMs: number;
}

/** What it is judged by. */
export interface LoopRules {
  readonly tables: TierTables;
  readonly publishMs: number;
  /** What another publisher says, if it is fresh, and the requests per minute that are load 1 to it. */
  readonly external: { readonly load: number; readonly capacityRpm: number } | null;
  /** In force. */
  readonly pin: Pin | null;
  /** Unix ms of the read of the documents that say so; 0 before the first. */
  readonly documentsAsOfMs: number;
}

/** What is stored of a loop. */
export interface LoopCopy {
  readonly meter: MeterCopy;
  readonly fleet: FleetTier;
  readonly yields: Yields;
  readonly publication: Publication;
}

/** What there is to write; `waitMs` until it is worth asking again, null: when the next flush comes. */
export type Due =
  | { readonly kind: "publish" | "close"; readonly document: EdgeDocument }
  | { readonly kind: "wait"; readonly waitMs: number | null };

const REVIEW_MS = 250;

/** A loop as it was stored; one that has seen nothing where there is no copy. */
export function openLoop(copy: LoopCopy | null, nowMs: number): LoadLoop {
  return {
    meter: openMeter(copy?.meter ?? null, nowMs),
    fleet: copy?.fleet ?? newFleetTier(nowMs),
    yields: copy?.yields ?? {},
    publication: copy?.publication ?? UNPUBLISHED,
    signal: null,
    reviewedMs: Number.NEGATIVE_INFINITY,
  };
}

/** The loop as plain data that later changes do not reach. */
export function copyLoop({ meter, fleet, yields, publication }: LoadLoop, nowMs: number): LoopCopy {
  return { meter: copyMeter(meter, nowMs), fleet, yields, publication };
}

/** Counts a flush and answers it. `isCounted` is false for a repeat; either way the isolate is done with it. */
export function receive(
  loop: LoadLoop,
  flush: Flush,
  rules: LoopRules,
  nowMs: number,
): { readonly isCounted: boolean; readonly signal: EdgeSignal } {
  const isCounted = absorb(loop.meter, flush, nowMs);
  return { isCounted, signal: signalAt(loop, rules, nowMs) };
}

/** What the meter knows at `nowMs`, at most `REVIEW_MS` old. */
export function signalAt(loop: LoadLoop, rules: LoopRules, nowMs: number): EdgeSignal {
  const ageMs = nowMs - loop.reviewedMs;
  if (loop.signal !== null && ageMs >= 0 && ageMs < REVIEW_MS) return loop.signal;
  const { meter } = loop;
  const { tables, external, documentsAsOfMs } = rules;
  const rates = ratesOf(meter, nowMs);
  const steep = steepTier(surgeOf(meter, nowMs), tables.capacityRpm, tables.thresholds);
  const profiles = profileRatesOf(meter, 60, nowMs);
  const predicted = predict(profiles, tables.profiles, loop.fleet.tier, isSettled(loop.fleet, nowMs));
  const pin = rules.pin === null ? null : getLoadTier(rules.pin.load, tables.thresholds);
  loop.fleet = nextFleetTier(loop.fleet, { rates, steep, predicted, external, pin }, tables, nowMs);
  loop.signal = {
    requestsPerMinute: rates.admittedPerMinute,
    offeredPerMinute: rates.offeredPerMinute,
    capacity: tables.capacityRpm,
    tier: loop.fleet.sources,
    pin: rules.pin,
    documentsAsOfMs,
    errorRate: rates.errorRate,
    avgResponseMs: rates.avgResponseMs,
    publishedAtMs: nowMs,
    shed: sharesAt(loop, rules, nowMs),
  };
  loop.reviewedMs = nowMs;
  return loop.signal;
}

/** What there is to publish; whoever writes it tells `publishing` before and `published` after. */
export function dueAt(loop: LoadLoop, rules: LoopRules, nowMs: number): Due {
  const signal = signalAt(loop, rules, nowMs);
  const step = nextPublication(loop.publication, isBusy(signal), rules.publishMs, nowMs);
  switch (step.kind) {
    case "publish":
      return { kind: "publish", document: documentOf(signal) };
    case "close":
      return { kind: "close", document: documentOf(closingSignal(rules.tables.capacityRpm)) };
    case "wait":
      return step;
  }
}

/** A write of that kind begins. */
export function publishing(loop: LoadLoop, kind: "publish" | "close", nowMs: number): void {
  loop.publication = began(loop.publication, kind, nowMs);
}

/** A write of that kind has ended. */
export function published(loop: LoadLoop, kind: "publish" | "close", isTaken: boolean): void {
  loop.publication = ended(loop.publication, kind, isTaken);
}

function isBusy({ offeredPerMinute }: Pick<Rates, "offeredPerMinute">): boolean {
  return offeredPerMinute > 0;
}

function sharesAt(loop: LoadLoop, { tables }: LoopRules, nowMs: number): EdgeSignal["shed"] {
  const { overload } = tables;
  if (overload === null) return {};
  const rates = profileRatesOf(loop.meter, OVERLOAD_SECONDS, nowMs);
  const { shares, yields } = shedShares(rates, loop.yields, overload.shedAbove * tables.capacityRpm, overload.order);
  loop.yields = yields;
  return shares;
}
