import { describe, expect, it } from "vitest";
import { type HealthFacts, summarise } from "../../src/policy/health.ts";
import type { Load } from "../../src/policy/load.ts";
import {
  ORIGIN_UNASKED,
  ORIGIN_UNREACHABLE,
  type OriginHealth,
  readOriginHealth,
} from "../../src/policy/origin-health.ts";

const WELL = readOriginHealth(200, '{"db_ok":true,"scheduler_ok":true}');
const UNHINDERED = { isDocumentRefused: false, areCountersFailing: false };
const FACTS: HealthFacts = {
  version: "1.0.0",
  uptimeMs: 86_400_999,
  origin: WELL,
  hindrances: UNHINDERED,
  rates: { admittedPerMinute: 450, errorRate: 0.02, avgResponseMs: 125 },
  load: { kind: "measured", load: 0.45, source: "edge", ageMs: 12_900 },
  tier: "medium",
};

describe("summarise", () => {
  it("gives the documented document while all is well", () => {
    expect(summarise(FACTS)).toEqual({
      httpStatus: 200,
      document: {
        status: "healthy",
        version: "1.0.0",
        uptime_seconds: 86_400,
        checks: { database: "ok", scheduler: "ok", rate_limits: "ok" },
        metrics: { requests_per_minute: 450, error_rate: 0.02, avg_response_ms: 125 },
        load: { ratio: 0.45, tier: "medium", source: "edge", age_seconds: 12 },
      },
    });
  });

  it.each<{ name: string; origin: OriginHealth; status: string; httpStatus: number }>([
    { name: "all is well", origin: WELL, status: "healthy", httpStatus: 200 },
    { name: "the origin was not asked", origin: ORIGIN_UNASKED, status: "healthy", httpStatus: 200 },
    { name: "the origin has no summary", origin: readOriginHealth(404, ""), status: "healthy", httpStatus: 200 },
    { name: "the origin fails", origin: readOriginHealth(500, ""), status: "degraded", httpStatus: 200 },
    { name: "the scheduler is down", origin: { ...WELL, scheduler: "down" }, status: "degraded", httpStatus: 200 },
    { name: "the database is slow", origin: { ...WELL, database: "degraded" }, status: "degraded", httpStatus: 200 },
    { name: "the database is down", origin: { ...WELL, database: "down" }, status: "unhealthy", httpStatus: 503 },
    { name: "the origin is gone", origin: ORIGIN_UNREACHABLE, status: "unhealthy", httpStatus: 503 },
  ])("is $status with $httpStatus when $name", ({ origin, status, httpStatus }) => {
    const { document, ...answer } = summarise({ ...FACTS, origin });
    expect({ ...answer, status: document.status }).toEqual({ httpStatus, status });
    expect(document.checks).toMatchObject({ database: origin.database, scheduler: origin.scheduler });
  });

  it.each<{ name: string; facts: Partial<HealthFacts> }>([
    { name: "the signal is stale", facts: { load: { kind: "stale" } } },
    { name: "a document is refused", facts: { hindrances: { ...UNHINDERED, isDocumentRefused: true } } },
    { name: "counters fail", facts: { hindrances: { ...UNHINDERED, areCountersFailing: true } } },
  ])("is degraded while $name", ({ facts }) => {
    const { httpStatus, document } = summarise({ ...FACTS, ...facts });
    expect({ httpStatus, status: document.status }).toEqual({ httpStatus: 200, status: "degraded" });
    expect(document.checks).toEqual({ database: "ok", scheduler: "ok", rate_limits: "degraded" });
  });

  it("needs no signal while load is pinned", () => {
    const pinned = summarise({ ...FACTS, load: { kind: "pinned", load: 0.9, untilMs: null } });
    expect(pinned.document).toMatchObject({ status: "healthy", checks: { rate_limits: "ok" } });
  });

  it("stays unhealthy whatever else is wrong", () => {
    const hindrances = { isDocumentRefused: true, areCountersFailing: true };
    expect(summarise({ ...FACTS, origin: ORIGIN_UNREACHABLE, hindrances })).toMatchObject({
      httpStatus: 503,
      document: { status: "unhealthy", checks: { rate_limits: "degraded" } },
    });
  });

  it.each<{ name: string; load: Load; said: object }>([
    {
      name: "a pin",
      load: { kind: "pinned", load: 0.9, untilMs: null },
      said: { ratio: 0.9, source: "pin", age_seconds: null },
    },
    {
      name: "a rate without a time",
      load: { kind: "measured", load: 1 / 3, source: "external", ageMs: null },
      said: { ratio: 0.3333, source: "external", age_seconds: null },
    },
    { name: "nothing published", load: { kind: "unpublished" }, said: { ratio: 0, source: "none", age_seconds: null } },
    { name: "nothing fresh", load: { kind: "stale" }, said: { ratio: null, source: "fallback", age_seconds: null } },
  ])("says of load by $name", ({ load, said }) => {
    expect(summarise({ ...FACTS, load }).document.load).toEqual({ tier: "medium", ...said });
  });

  it("rounds figures to what is worth reading", () => {
    const rates = { admittedPerMinute: 449.6, errorRate: 0.123456, avgResponseMs: 12.3456 };
    expect(summarise({ ...FACTS, rates }).document.metrics).toEqual({
      requests_per_minute: 450,
      error_rate: 0.1235,
      avg_response_ms: 12.3,
    });
  });
});
