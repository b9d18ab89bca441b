/**
 * The tier of the fleet, as the meter decides it: the strictest of what it measures and of what others publish.
 *
 * Each source is steered by itself, so that a publisher that calms down does not wait for one that does not. What
 * relaxing would let in is predicted for both: whoever else measures the origin will see the same requests more. A pin
 * is an order: it counts alone, and when it ends the tier is at once what the sources say. So that it is at once in an
 * isolate, too, what the sources say is known beside the pin.
 *
 * Pure.
 */
import type { TierTables } from "./limits.ts";
import type { Rates } from "./meter-rates.ts";
import { type Predicted, SETTLED_MS } from "./prediction.ts";
import { type Course, steer, stricterOf } from "./steer.ts";
import { getLoadTier, type Tier } from "./tier.ts";

/** The tier of the fleet, and the course of each source. */
export interface FleetTier {
  readonly tier: Tier;
  /** What the sources say, which is the tier while nothing is pinned. */
  readonly sources: Tier;
  readonly measured: Course | null;
  readonly external: Course | null;
  /** Unix ms of the last change. */
  readonly changedMs: number;
  /** Changes so far, for the metric. */
  readonly changes: number;
  /** Of these, made by the steep rise before the rate of the minute named the tier. */
  readonly steepChanges: number;
}

/** What is known at one moment. */
export interface FleetSight {
  readonly rates: Rates;
  readonly steep: Tier;
  readonly predicted: Predicted;
  /** The fresh signal of another publisher, null where there is none. */
  readonly external: { readonly load: number; readonly capacityRpm: number } | null;
  /** The tier of a pin in force. */
  readonly pin: Tier | null;
}

/** A fleet of which nothing is known yet. */
export function newFleetTier(nowMs: number): FleetTier {
  return {
    tier: "low",
    sources: "low",
    measured: null,
    external: null,
    changedMs: nowMs - SETTLED_MS,
    changes: 0,
    steepChanges: 0,
  };
}

/** Whether what is measured over a window came under the limits of the present tier alone. */
export function isSettled({ changedMs }: FleetTier, nowMs: number): boolean {
  return Math.abs(nowMs - changedMs) >= SETTLED_MS;
}

/** The tier after what is seen at `nowMs`. */
export function nextFleetTier(fleet: FleetTier, sight: FleetSight, tables: TierTables, nowMs: number): FleetTier {
  const { rates, steep, predicted, external, pin } = sight;
  const { measured: before, external: followedBefore } = pin === null ? fleet : UNSTEERED;
  const { capacityRpm, thresholds, hysteresis } = tables;
  const load = Math.min(1, rates.admittedPerMinute / capacityRpm);
  const seen = { load, steep, predicted: each(predicted, (rpm) => rpm / capacityRpm), capacityRpm };
  const measured = steer(before, seen, thresholds, hysteresis, nowMs);
  const said = external === null ? SILENT : besides(external, predicted, rates);
  const isHeard = external !== null || followedBefore !== null;
  const followed = isHeard ? steer(followedBefore, said, thresholds, hysteresis, nowMs) : null;
  const sources = stricterOf(measured.tier, followed?.tier ?? "low");
  if (pin !== null) return turn({ ...fleet, ...UNSTEERED, sources }, pin, false, nowMs);
  const isSteep = sources === measured.tier && sources !== getLoadTier(load, thresholds);
  return turn({ ...fleet, measured, external: followed, sources }, sources, isSteep, nowMs);
}

/** Under a pin no source has a past. */
const UNSTEERED = { measured: null, external: null } as const;

/** What another publisher sees, and would see if the gateway let in more. */
function besides(external: NonNullable<FleetSight["external"]>, predicted: Predicted, { admittedPerMinute }: Rates) {
  const { load, capacityRpm } = external;
  const more = each(predicted, (rpm) => load + Math.max(0, rpm - admittedPerMinute) / capacityRpm);
  return { load, steep: "low", predicted: more, capacityRpm: null } as const;
}

/** A publisher that says nothing any more is let go of by steps, as if it had said 0. */
const SILENT = { load: 0, steep: "low", predicted: null, capacityRpm: null } as const;

function turn(fleet: FleetTier, tier: Tier, isSteep: boolean, nowMs: number): FleetTier {
  if (tier === fleet.tier) return fleet;
  const isTighter = stricterOf(tier, fleet.tier) === tier;
  const steepChanges = fleet.steepChanges + (isSteep && isTighter ? 1 : 0);
  return { ...fleet, tier, changedMs: nowMs, changes: fleet.changes + 1, steepChanges };
}

function each(predicted: Predicted, map: (rpm: number) => number): Predicted {
  const { low, medium, high, critical } = predicted;
  return { low: map(low), medium: map(medium), high: map(high), critical: map(critical) };
}
