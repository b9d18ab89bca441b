import fc from "fast-check";
import { parseList } from "structured-headers";
import { describe, expect, it, vi } from "vitest";
import { type Quota, rateLimit, rateLimitPolicy, rateLimitReset, retryAfter } from "../../src/policy/fields.ts";
import { TIERS } from "../../src/policy/tier.ts";

/** Random cases take their time on a machine that does something else as well. */
vi.setConfig({ testTimeout: 60_000 });

const NOW = 1_764_000_000_000;
const QUOTA: Quota = {
  profile: "ai-chat",
  tier: "high",
  limit: 20,
  windowMs: 60_000,
  remaining: 13,
  growsAtMs: NOW + 42_000,
};

describe("rateLimitPolicy", () => {
  it.each([
    { name: "a minute", quota: QUOTA, field: '"ai-chat";q=20;w=60;levqor-tier="high"' },
    { name: "an hour", quota: { ...QUOTA, windowMs: 3_600_000 }, field: '"ai-chat";q=20;w=3600;levqor-tier="high"' },
    { name: "a second", quota: { ...QUOTA, windowMs: 1_000 }, field: '"ai-chat";q=20;w=1;levqor-tier="high"' },
    {
      name: "a part of a second, rounded up",
      quota: { ...QUOTA, windowMs: 1_001 },
      field: '"ai-chat";q=20;w=2;levqor-tier="high"',
    },
    { name: "a limit of 0", quota: { ...QUOTA, limit: 0 }, field: '"ai-chat";q=0;w=60;levqor-tier="high"' },
    {
      name: "the greatest limit",
      quota: { ...QUOTA, limit: 1_000_000 },
      field: '"ai-chat";q=1000000;w=60;levqor-tier="high"',
    },
    { name: "another tier", quota: { ...QUOTA, tier: "low" as const }, field: '"ai-chat";q=20;w=60;levqor-tier="low"' },
  ])("is written as agreed: $name", ({ quota, field }) => {
    expect(rateLimitPolicy(quota)).toBe(field);
  });
});

describe("rateLimit", () => {
  it.each([
    { name: "as agreed", growsInMs: 42_000, field: '"ai-chat";r=13;t=42' },
    { name: "rounded up by a millisecond", growsInMs: 41_001, field: '"ai-chat";r=13;t=42' },
    { name: "in a millisecond", growsInMs: 1, field: '"ai-chat";r=13;t=1' },
    { name: "now", growsInMs: 0, field: '"ai-chat";r=13;t=0' },
    { name: "already", growsInMs: -1, field: '"ai-chat";r=13;t=0' },
    { name: "long ago", growsInMs: -90_000, field: '"ai-chat";r=13;t=0' },
    { name: "without t where nothing is used", growsInMs: null, field: '"ai-chat";r=13' },
  ])("says when more units come: $name", ({ growsInMs, field }) => {
    expect(rateLimit({ ...QUOTA, growsAtMs: growsInMs === null ? null : NOW + growsInMs }, NOW)).toBe(field);
  });

  it("says that nothing is left", () => {
    expect(rateLimit({ ...QUOTA, remaining: 0 }, NOW)).toBe('"ai-chat";r=0;t=42');
  });
});

describe("rateLimitReset", () => {
  it.each([
    { name: "the moment", growsAtMs: NOW + 42_000, nowMs: NOW, reset: "1764000042" },
    { name: "the moment rounded up", growsAtMs: NOW + 41_001, nowMs: NOW, reset: "1764000042" },
    { name: "now where nothing is used", growsAtMs: null, nowMs: NOW, reset: "1764000000" },
    { name: "now rounded up where nothing is used", growsAtMs: null, nowMs: NOW + 1, reset: "1764000001" },
  ])("is $name in Unix seconds", ({ growsAtMs, nowMs, reset }) => {
    expect(rateLimitReset({ ...QUOTA, growsAtMs }, nowMs)).toBe(reset);
  });
});

describe("retryAfter", () => {
  it.each([
    { ms: 0, seconds: 1 },
    { ms: 1, seconds: 1 },
    { ms: 999, seconds: 1 },
    { ms: 1_000, seconds: 1 },
    { ms: 1_001, seconds: 2 },
    { ms: 41_001, seconds: 42 },
    { ms: 42_000, seconds: 42 },
    { ms: 3_660_000, seconds: 3_660 },
  ])("rounds $ms ms up to $seconds s", ({ ms, seconds }) => {
    expect(retryAfter(ms)).toBe(seconds);
  });
});

describe("the fields of any quota", () => {
  const aQuota = fc.record({
    profile: fc.stringMatching(/^[a-z][a-z0-9-]{0,62}$/),
    tier: fc.constantFrom(...TIERS),
    limit: fc.nat(1_000_000),
    windowMs: fc.integer({ min: 1, max: 3_600 }).map((seconds) => seconds * 1_000),
    remaining: fc.nat(1_000_000),
    growsAtMs: fc.option(fc.integer({ min: -5_000, max: 3_700_000 }).map((ms) => NOW + ms)),
  });

  it("are lists of one String with parameters, by a strict parser of RFC 9651", () => {
    fc.assert(
      fc.property(aQuota, (quota) => {
        expect(parseList(rateLimitPolicy(quota))).toEqual([
          [
            quota.profile,
            new Map<string, unknown>([
              ["q", quota.limit],
              ["w", quota.windowMs / 1_000],
              ["levqor-tier", quota.tier],
            ]),
          ],
        ]);
        const [item, ...others] = parseList(rateLimit(quota, NOW));
        expect(others).toEqual([]);
        expect(item?.[0]).toBe(quota.profile);
        const names = quota.growsAtMs === null ? ["r"] : ["r", "t"];
        expect([...(item?.[1].keys() ?? [])]).toEqual(names);
        expect(item?.[1].get("r")).toBe(quota.remaining);
      }),
      { numRuns: 2_000 },
    );
  });

  it("never send a client back too early, nor a whole second too late", () => {
    fc.assert(
      fc.property(aQuota, fc.nat(3_700_000), (quota, waitMs) => {
        const growsAtMs = quota.growsAtMs ?? NOW;
        const reset = Number(rateLimitReset(quota, NOW)) * 1_000;
        expect(reset).toBeGreaterThanOrEqual(growsAtMs);
        expect(reset).toBeLessThan(growsAtMs + 1_000);
        const t = /;t=(\d+)$/.exec(rateLimit(quota, NOW))?.[1];
        if (quota.growsAtMs !== null) {
          expect(NOW + Number(t) * 1_000).toBeGreaterThanOrEqual(growsAtMs);
          expect(NOW + Number(t) * 1_000).toBeLessThan(Math.max(NOW, growsAtMs) + 1_000);
        }
        const seconds = retryAfter(waitMs);
        expect(Number.isInteger(seconds) && seconds >= 1 && seconds * 1_000 >= waitMs).toBe(true);
        expect(seconds * 1_000).toBeLessThan(Math.max(1, waitMs) + 1_000);
      }),
      { numRuns: 2_000 },
    );
  });
});
