/**
 * Tiers: the steps of load, and how reluctantly one is left. How the tier follows load is in `steer.ts`.
 *
 * Pure.
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

/** What a tier rests on: a load that was measured, or something that stands in for one. */
export type Basis = "load" | "pin" | "fallback";

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
