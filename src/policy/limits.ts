/**
 * Tier tables: how many requests each profile allows in each tier, and what else an operator may set.
 *
 * A limit belongs to a profile (a named set of endpoints) and a tier, and counts per client and window. The built-in
 * tables below are what the gateway starts with; a document in KV may replace any part of them.
 */
import { endpointsOf, profileFor } from "./endpoint.ts";
import { SCALING, type ScalingRules } from "./scaling.ts";
import { type Hysteresis, THRESHOLDS, type Thresholds, type Tier } from "./tier.ts";

/** Units per window in each tier; whole numbers 0..1,000,000 that never grow as load grows. 0 refuses all. */
export type Limits = Readonly<Record<Tier, number>>;

/** Limits that load does not change. */
export function inEveryTier(limit: number): Limits {
  return { low: limit, medium: limit, high: limit, critical: limit };
}

/** What happens to a request whose counter does not answer. */
export type FailurePolicy = "local" | "open" | "closed";

/** A named row of the tables. */
export interface Profile {
  /** Path patterns, at will with a method before: `/api/ai/*`, `POST /api/ai/chat`. */
  readonly match: readonly string[];
  readonly limits: Limits;
  /** 1,000..3,600,000. */
  readonly windowMs: number;
  readonly onCounterFailure: FailurePolicy;
  /** Decide, count and report, never refuse. */
  readonly shadow: boolean;
}

/** A ceiling for the sum of all clients; see `overload.ts`. */
export interface OverloadRules {
  /** 0..1: the load that is not to be passed. */
  readonly shedAbove: number;
  /** Profiles that may be shed, first of all first; each once. */
  readonly order: readonly string[];
}

/** Everything that decides limits, checked and complete. */
export interface TierTables {
  readonly capacityRpm: number;
  readonly thresholds: Thresholds;
  readonly hysteresis: Hysteresis;
  readonly signal: { readonly maxAgeMs: number; readonly fallbackTier: Tier };
  /** Path patterns that cost no units. */
  readonly exempt: readonly string[];
  /** Exempt requests a client may send a minute. */
  readonly exemptLimit: number;
  /** false: every profile is in shadow. */
  readonly enforce: boolean;
  /** null: no ceiling. */
  readonly overload: OverloadRules | null;
  readonly profiles: Readonly<Record<string, Profile>>;
  /** Between which sizes the origin is advised to be scaled. */
  readonly scaling: ScalingRules;
}

/** The profile of every path that no pattern matches. */
export const DEFAULT_PROFILE = "default";

const MINUTE_MS = 60_000;

/** The tables in force while nobody has set others. */
export const BUILT_IN: TierTables = {
  capacityRpm: 1000,
  thresholds: THRESHOLDS,
  hysteresis: { margin: 0.05, holdMs: 30_000 },
  signal: { maxAgeMs: 180_000, fallbackTier: "medium" },
  exempt: ["/api/billing/webhook", "/api/billing/webhook-event"],
  exemptLimit: 600,
  enforce: true,
  overload: null,
  profiles: {
    default: profile([], 200, 100, 70, 50),
    "ai-chat": profile(["/api/ai/*"], 50, 30, 20, 10),
    workflows: profile(["/api/workflows/*", "/api/workflow/*"], 100, 60, 40, 20),
    billing: profile(["/api/billing/*"], 30, 20, 15, 10),
    health: profile(["/api/health/*", "/health"], 200, 100, 50, 30),
  },
  scaling: SCALING,
};

function profile(match: readonly string[], low: number, medium: number, high: number, critical: number): Profile {
  const limits = { low, medium, high, critical };
  return { match, limits, windowMs: MINUTE_MS, onCounterFailure: "local", shadow: false };
}

/**
 * The limit of every profile in one tier.
 *
 * @returns units per window, by profile.
 */
export function chooseRateLimits(
  tier: Tier,
  tables: Pick<TierTables, "profiles"> = BUILT_IN,
): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(tables.profiles).map(([name, { limits }]) => [name, limits[tier]]));
}

/**
 * The limit that counts for a path, in units per window.
 *
 * @param path as a client writes it, without query; any spelling of an endpoint is that endpoint.
 * @throws RangeError when the tables lack the profile `default`.
 */
export function getLimitForEndpoint(path: string, tier: Tier, tables: Pick<TierTables, "profiles"> = BUILT_IN): number {
  const name = profileFor(endpointsOf(tables.profiles), "GET", path);
  const found = tables.profiles[name];
  if (found === undefined) throw new RangeError(`profiles: expected one named ${DEFAULT_PROFILE}`);
  return found.limits[tier];
}
