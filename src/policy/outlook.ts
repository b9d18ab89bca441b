/**
 * The tier as one isolate sees it: from its copy of the documents, and from the freshest word of the meter it has heard.
 *
 * The strictest fresh source wins, so that an isolate may be stricter than the meter, never looser. The meter has
 * steered its own rate with all it knows, so its tier is taken as it stands; a rate that comes without a tier is steered
 * here, where nobody knows what is offered. A pin wins over all. Something published but nothing fresh: the tier
 * configured for that, and shown as such.
 *
 * Pure.
 */
import type { TierTables } from "./limits.ts";
import { deriveLoad, type Load, type Published, type Signal, type UnusableSignal } from "./load.ts";
import { type Course, steer, stricterOf } from "./steer.ts";
import { type Basis, getLoadTier, type Tier } from "./tier.ts";

/** The tier an isolate acts by, and what it rests on. */
export interface Outlook {
  readonly tier: Tier;
  readonly basis: Basis;
  readonly load: Load;
  /** Rates that came without a tier. */
  readonly course: Course | null;
}

/**
 * The outlook at `nowMs`.
 *
 * @param previous null at the start.
 * @param published what stands in KV, the newest word of the meter in the place of its document.
 * @param edgeTier the tier that came with the meter's rate; null where it named none.
 */
export function outlook(
  previous: Outlook | null,
  published: Published,
  edgeTier: Tier | null,
  tables: TierTables,
  nowMs: number,
): Outlook {
  const rules = { capacityRpm: tables.capacityRpm, maxAgeMs: tables.signal.maxAgeMs };
  const load = deriveLoad(published, rules, nowMs);
  switch (load.kind) {
    case "pinned":
      return { tier: getLoadTier(load.load, tables.thresholds), basis: "pin", load, course: null };
    case "stale":
      return { tier: tables.signal.fallbackTier, basis: "fallback", load, course: null };
    case "unpublished":
    case "measured":
      break;
  }
  const edge = edgeTier === null ? undefined : published.signals.find(isFreshEdge);
  const steered = published.signals.filter((signal) => signal !== edge);
  const own = deriveLoad({ signals: steered, pin: null }, rules, nowMs);
  const sight = own.kind === "measured" ? { load: own.load, ...UNKNOWN } : { load: 0, ...UNKNOWN };
  const course = steer(previous?.course ?? null, sight, tables.thresholds, tables.hysteresis, nowMs);
  const tier = edge === undefined ? course.tier : stricterOf(course.tier, edgeTier ?? "low");
  return { tier, basis: "load", load, course };

  function isFreshEdge(signal: Signal | UnusableSignal): boolean {
    if (signal.source !== "edge") return false;
    return deriveLoad({ signals: [signal], pin: null }, rules, nowMs).kind === "measured";
  }
}

/** Nobody knows what is offered, and no count of ours is behind it. */
const UNKNOWN = { steep: "low", predicted: null, capacityRpm: null } as const;
