/**
 * The health summary: one answer out of what the origin says of itself and what the gateway knows of its own work.
 *
 * Unhealthy is only what takes the whole down: an origin that cannot be reached, or its database. Anything less is
 * degraded and still 200, so that a balancer which reads the status alone keeps sending. What is unknown harms nobody.
 *
 * Pure.
 */
import type { Load } from "./load.ts";
import type { CheckState, OriginHealth } from "./origin-health.ts";
import type { Tier } from "./tier.ts";

/** What hinders the limiter, besides a signal that is stale: limits are in force that are not quite the right ones. */
export interface Hindrances {
  readonly isDocumentRefused: boolean;
  readonly areCountersFailing: boolean;
}

/** Everything the summary is made of. */
export interface HealthFacts {
  readonly version: string;
  readonly uptimeMs: number;
  readonly origin: OriginHealth;
  readonly hindrances: Hindrances;
  /** Of the last minute, fleet-wide. */
  readonly rates: { readonly admittedPerMinute: number; readonly errorRate: number; readonly avgResponseMs: number };
  readonly load: Load;
  /** In force. */
  readonly tier: Tier;
}

/** The document, with the names of the wire. */
export interface HealthDocument {
  readonly status: "healthy" | "degraded" | "unhealthy";
  readonly version: string;
  readonly uptime_seconds: number;
  readonly checks: Readonly<Record<"database" | "scheduler" | "rate_limits", CheckState>>;
  readonly metrics: {
    readonly requests_per_minute: number;
    readonly error_rate: number;
    readonly avg_response_ms: number;
  };
  readonly load: {
    /** null: nothing fresh is published, and the tier is the one configured for that. */
    readonly ratio: number | null;
    readonly tier: Tier;
    readonly source: "external" | "edge" | "pin" | "none" | "fallback";
    /** null: it has no age. */
    readonly age_seconds: number | null;
  };
}

/** The summary, and the status it is answered with. */
export interface Health {
  readonly httpStatus: 200 | 503;
  readonly document: HealthDocument;
}

/** Sums up. */
export function summarise({ version, uptimeMs, origin, hindrances, rates, load, tier }: HealthFacts): Health {
  const isHindered = load.kind === "stale" || hindrances.isDocumentRefused || hindrances.areCountersFailing;
  const checks = {
    database: origin.database,
    scheduler: origin.scheduler,
    rate_limits: isHindered ? "degraded" : "ok",
  } as const;
  const status = statusOf(origin.reach, checks);
  return {
    httpStatus: status === "unhealthy" ? 503 : 200,
    document: {
      status,
      version,
      uptime_seconds: Math.floor(uptimeMs / 1000),
      checks,
      metrics: {
        requests_per_minute: Math.round(rates.admittedPerMinute),
        error_rate: rounded(rates.errorRate, 4),
        avg_response_ms: rounded(rates.avgResponseMs, 1),
      },
      load: loadOf(load, tier),
    },
  };
}

function statusOf(reach: OriginHealth["reach"], checks: HealthDocument["checks"]): HealthDocument["status"] {
  if (reach === "unreachable" || checks.database === "down") return "unhealthy";
  const isDegraded = Object.values(checks).some((check) => check === "degraded" || check === "down");
  return isDegraded || reach === "failing" ? "degraded" : "healthy";
}

function loadOf(load: Load, tier: Tier): HealthDocument["load"] {
  switch (load.kind) {
    case "pinned":
      return { ratio: rounded(load.load, 4), tier, source: "pin", age_seconds: null };
    case "measured": {
      const age = load.ageMs === null ? null : Math.floor(load.ageMs / 1000);
      return { ratio: rounded(load.load, 4), tier, source: load.source, age_seconds: age };
    }
    case "unpublished":
      return { ratio: 0, tier, source: "none", age_seconds: null };
    case "stale":
      return { ratio: null, tier, source: "fallback", age_seconds: null };
  }
}

function rounded(value: number, digits: number): number {
  const scale = 10 ** digits;
  return Math.round(value * scale) / scale;
}
