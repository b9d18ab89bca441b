/**
 * Load: how busy the origin is, from the request rates that were published.
 *
 * Several publishers may speak: whoever knows the origin (`external`), and the gateway's own measurement (`edge`). The
 * higher load among the fresh ones counts, so that a silent or optimistic publisher never hides a busy origin. An
 * operator's pin wins over both. Nothing published is load 0; something published but nothing usable is "stale", and
 * the caller then falls to the tier configured for that.
 *
 * Pure: no clock. Price: load is only as fresh as its publisher.
 */

/** Who published a rate. */
export type SignalSource = "external" | "edge";

/** A published request rate that was understood. */
export interface Signal {
  readonly source: SignalSource;
  /** Requests per minute that reached the origin; finite, >= 0. */
  readonly requestsPerMinute: number;
  /** Requests per minute the origin carries; null: the tables' own `capacityRpm`. */
  readonly capacity: number | null;
  /** Unix ms; null: never goes stale. */
  readonly publishedAtMs: number | null;
}

/** Something stands under a publisher's key but is no rate: published, not usable. */
export interface UnusableSignal {
  readonly source: SignalSource;
  readonly unusable: string;
}

/** An operator's override. */
export interface Pin {
  /** 0..1. */
  readonly load: number;
  /** Unix ms; null: until it is deleted. */
  readonly untilMs: number | null;
}

/** What was read from outside about load. */
export interface Published {
  readonly signals: readonly (Signal | UnusableSignal)[];
  readonly pin: Pin | null;
}

/** How signals become load. */
export interface SignalRules {
  readonly capacityRpm: number;
  /** A signal older than this is not used. */
  readonly maxAgeMs: number;
}

/** Load as it can be known at one moment. */
export type Load =
  | { readonly kind: "pinned"; readonly load: number; readonly untilMs: number | null }
  | { readonly kind: "measured"; readonly load: number; readonly source: SignalSource; readonly ageMs: number | null }
  | { readonly kind: "unpublished" }
  | { readonly kind: "stale" };

/** A publisher's clock may run ahead of ours by this much before its signal is taken for wrong. */
export const CLOCK_AHEAD_MAX_MS = 60_000;

/**
 * Load from a request rate: the share of capacity in use.
 *
 * @param requestsPerMinute finite, >= 0.
 * @param capacity requests per minute the origin carries, > 0.
 * @returns 0..1; a rate above capacity is load 1.
 * @throws RangeError on a rate or capacity outside its range.
 */
export function estimateLoadFromRequests(requestsPerMinute: number, capacity = 1000): number {
  if (!(Number.isFinite(requestsPerMinute) && requestsPerMinute >= 0))
    throw new RangeError(`requestsPerMinute: expected a finite number >= 0, got ${requestsPerMinute}`);
  if (!(Number.isFinite(capacity) && capacity > 0))
    throw new RangeError(`capacity: expected a finite number > 0, got ${capacity}`);
  return Math.min(1, requestsPerMinute / capacity);
}

/**
 * Load at `nowMs`: the pin, else the highest fresh signal.
 *
 * @param nowMs Unix ms.
 */
export function deriveLoad({ signals, pin }: Published, rules: SignalRules, nowMs: number): Load {
  if (pin !== null && isInForce(pin, nowMs)) return { kind: "pinned", load: pin.load, untilMs: pin.untilMs };
  if (signals.length === 0) return { kind: "unpublished" };
  let highest: Load = { kind: "stale" };
  for (const signal of signals) {
    if ("unusable" in signal || !isFresh(signal, rules.maxAgeMs, nowMs)) continue;
    const load = estimateLoadFromRequests(signal.requestsPerMinute, signal.capacity ?? rules.capacityRpm);
    if (highest.kind === "measured" && highest.load >= load) continue;
    const ageMs = signal.publishedAtMs === null ? null : Math.max(0, nowMs - signal.publishedAtMs);
    highest = { kind: "measured", load, source: signal.source, ageMs };
  }
  return highest;
}

function isInForce(pin: Pin, nowMs: number): boolean {
  return pin.untilMs === null || nowMs < pin.untilMs;
}

function isFresh(signal: Signal, maxAgeMs: number, nowMs: number): boolean {
  if (signal.publishedAtMs === null) return true;
  const ageMs = nowMs - signal.publishedAtMs;
  return ageMs <= maxAgeMs && ageMs >= -CLOCK_AHEAD_MAX_MS;
}
