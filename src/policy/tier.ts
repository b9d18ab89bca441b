/**
 * Load tier with hysteresis: quick to tighten, slow to relax.
 *
 * Load climbs: the tier follows at once. Load falls: one tier at a time, and only after load has stayed under the
 * lower edge minus `margin` for `holdMs`. The price: after a spike, clients keep tight limits up to three holds longer.
 *
 * Pure: no clock. The caller passes `nowMs` and keeps the state.
 */

/** Loosest first. */
export const TIERS = ["low", "medium", "high", "critical"] as const;

/** A step of load. */
export type Tier = (typeof TIERS)[number];

/** The load, 0..1, at which each tier starts; rising strictly. Below `medium` is low; critical has no upper end. */
export interface Thresholds {
  readonly medium: number;
  readonly high: number;
  readonly critical: number;
}

/** How reluctantly a tier is relaxed. */
export interface Hysteresis {
  /** 0..0.5: how far below a tier's start load must fall before that tier may be left. */
  readonly margin: number;
  /** ms: for how long it must stay there. */
  readonly holdMs: number;
}

/** Where the tier stands, and since when load has been low enough to leave it. */
export interface TierState {
  readonly tier: Tier;
  /** Unix ms; null while load is not low enough. */
  readonly relaxingSinceMs: number | null;
}

/** What a tier rests on: a load that was measured, or something that stands in for one. */
export type Basis = "load" | "pin" | "fallback";

/** The tier in force, with what it rests on. */
export interface Standing extends TierState {
  readonly basis: Basis;
}

/** The thresholds of the built-in tables. */
export const THRESHOLDS: Thresholds = Object.freeze({ medium: 0.3, high: 0.6, critical: 0.8 });

/**
 * The tier that `load` names, without hysteresis. A tier begins at its threshold: 0.60 is high.
 *
 * @param load 0..1; more is read as 1, less as 0.
 * @throws RangeError on NaN: a load nobody knows must not pass for a low one.
 */
export function getLoadTier(load: number, thresholds: Thresholds = THRESHOLDS): Tier {
  if (Number.isNaN(load)) throw new RangeError("load: expected a number 0..1, got NaN");
  if (load >= thresholds.critical) return "critical";
  if (load >= thresholds.high) return "high";
  if (load >= thresholds.medium) return "medium";
  return "low";
}

/**
 * The tier after seeing `load`.
 *
 * @param load 0..1; more is read as 1.
 * @param nowMs Unix ms. A clock that steps back restarts the hold.
 */
export function nextTier(
  state: TierState,
  load: number,
  thresholds: Thresholds,
  hysteresis: Hysteresis,
  nowMs: number,
): TierState {
  const named = getLoadTier(load, thresholds);
  if (TIERS.indexOf(named) >= TIERS.indexOf(state.tier)) return { tier: named, relaxingSinceMs: null };
  return relax(state, load, thresholds, hysteresis, nowMs);
}

/**
 * The tier in force after what is known of load has been looked at again.
 *
 * A pin and the fallback take effect and end at once, both ways: an operator who lets go of a pin wants what the
 * signals say, and a tier that was guessed is no reason to hold on to it. Only load that follows load is calmed.
 *
 * @param previous null at the start.
 * @param seen load 0..1 with its basis; for the fallback, the tier itself.
 */
export function standing(
  previous: Standing | null,
  seen: { readonly basis: "load" | "pin"; readonly load: number } | { readonly basis: "fallback"; readonly tier: Tier },
  thresholds: Thresholds,
  hysteresis: Hysteresis,
  nowMs: number,
): Standing {
  switch (seen.basis) {
    case "fallback":
      return { basis: "fallback", tier: seen.tier, relaxingSinceMs: null };
    case "pin":
      return { basis: "pin", tier: getLoadTier(seen.load, thresholds), relaxingSinceMs: null };
    case "load": {
      if (previous?.basis !== "load")
        return { basis: "load", tier: getLoadTier(seen.load, thresholds), relaxingSinceMs: null };
      return { basis: "load", ...nextTier(previous, seen.load, thresholds, hysteresis, nowMs) };
    }
  }
}

/**
 * One step down when a whole hold has passed. The next hold starts now: nobody has seen yet that load was low enough for
 * the next tier too.
 */
function relax(
  state: TierState,
  load: number,
  thresholds: Thresholds,
  hysteresis: Hysteresis,
  nowMs: number,
): TierState {
  if (!isBelowEdge(state.tier, load, thresholds, hysteresis)) return { tier: state.tier, relaxingSinceMs: null };
  const held = hold(state, nowMs);
  if (held.relaxingSinceMs === null || nowMs - held.relaxingSinceMs < hysteresis.holdMs) return held;
  const tier = looserThan(state.tier);
  return { tier, relaxingSinceMs: isBelowEdge(tier, load, thresholds, hysteresis) ? nowMs : null };
}

/** The same tier with its hold running; restarted where the clock has stepped back behind its start. */
function hold(state: TierState, nowMs: number): TierState {
  const since = state.relaxingSinceMs;
  return since !== null && since <= nowMs ? state : { tier: state.tier, relaxingSinceMs: nowMs };
}

/**
 * Whether load is low enough for `tier` to be left. Low cannot be left downwards. No load at all is below every edge, so
 * that a margin as wide as the threshold does not hold a tier for ever.
 */
function isBelowEdge(tier: Tier, load: number, thresholds: Thresholds, hysteresis: Hysteresis): boolean {
  return tier !== "low" && (load <= 0 || load < thresholds[tier] - hysteresis.margin);
}

/** The next looser tier; low stays low. */
function looserThan(tier: Tier): Tier {
  return TIERS[Math.max(0, TIERS.indexOf(tier) - 1)] ?? "low";
}
