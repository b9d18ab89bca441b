import { describe, expect, it } from "vitest";
import { BUILT_IN, chooseRateLimits, getLimitForEndpoint } from "../../src/policy/limits.ts";
import { TIERS } from "../../src/policy/tier.ts";

const LIMITS = {
  low: { default: 200, "ai-chat": 50, workflows: 100, billing: 30, health: 200 },
  medium: { default: 100, "ai-chat": 30, workflows: 60, billing: 20, health: 100 },
  high: { default: 70, "ai-chat": 20, workflows: 40, billing: 15, health: 50 },
  critical: { default: 50, "ai-chat": 10, workflows: 20, billing: 10, health: 30 },
} as const;

/** Tables of one profile beside `default`. */
function tables(match: readonly string[]) {
  const profile = { windowMs: 60_000, onCounterFailure: "local", shadow: false } as const;
  return {
    profiles: {
      default: { ...profile, match: [], limits: { low: 9, medium: 8, high: 7, critical: 6 } },
      uploads: { ...profile, match, limits: { low: 4, medium: 3, high: 2, critical: 0 } },
    },
  };
}

describe("chooseRateLimits", () => {
  it.each(TIERS)("gives the whole row of the built-in table at %s", (tier) => {
    expect(chooseRateLimits(tier)).toEqual(LIMITS[tier]);
  });

  it("gives the row of the tables it is handed", () => {
    expect(chooseRateLimits("critical", tables(["/uploads/*"]))).toEqual({ default: 6, uploads: 0 });
  });

  it("gives a row of its own, not a part of the tables", () => {
    const row = chooseRateLimits("low") as Record<string, number>;
    row["ai-chat"] = 0;
    expect(chooseRateLimits("low")["ai-chat"]).toBe(50);
  });
});

describe("getLimitForEndpoint", () => {
  it.each(["/api/ai/chat", "/api/ai/chat/", "/API/AI/chat", "/api//ai/%63hat", "/api%2Fai%2Fchat"])(
    "counts %s as ai-chat",
    (path) => {
      for (const tier of TIERS) expect(getLimitForEndpoint(path, tier)).toBe(LIMITS[tier]["ai-chat"]);
    },
  );

  it.each([
    { path: "/", profile: "default" },
    { path: "/anything/else", profile: "default" },
    { path: "/api/workflows/7/runs", profile: "workflows" },
    { path: "/api/workflow", profile: "workflows" },
    { path: "/api/billing/invoices", profile: "billing" },
    { path: "/api/billing/webhook", profile: "billing" },
    { path: "/health", profile: "health" },
    { path: "/api/health/summary", profile: "health" },
  ] as const)("counts $path as $profile in every tier", ({ path, profile }) => {
    for (const tier of TIERS) expect(getLimitForEndpoint(path, tier)).toBe(LIMITS[tier][profile]);
  });

  it("follows the tables it is handed", () => {
    expect(getLimitForEndpoint("/uploads/1", "high", tables(["/uploads/*"]))).toBe(2);
    expect(getLimitForEndpoint("/uploads/1", "critical", tables(["/uploads/*"]))).toBe(0);
    expect(getLimitForEndpoint("/api/ai/chat", "high", tables(["/uploads/*"]))).toBe(7);
  });

  it("reads a path without a method as GET", () => {
    expect(getLimitForEndpoint("/uploads", "low", tables(["GET /uploads"]))).toBe(4);
    expect(getLimitForEndpoint("/uploads", "low", tables(["POST /uploads"]))).toBe(9);
  });

  it("throws where the tables lack the profile default", () => {
    expect(() => getLimitForEndpoint("/", "low", { profiles: {} })).toThrow(
      new RangeError("profiles: expected one named default"),
    );
  });
});

describe("BUILT_IN", () => {
  it("keeps the rules it holds others to", () => {
    for (const { limits } of Object.values(BUILT_IN.profiles)) {
      const row = TIERS.map((tier) => limits[tier]);
      expect(row).toEqual(row.toSorted((a, b) => b - a));
    }
  });
});
