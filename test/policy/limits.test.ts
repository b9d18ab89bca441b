import { describe, expect, it } from "vitest";
import { chooseRateLimits, getLimitForEndpoint } from "../../src/policy/limits.ts";

describe("chooseRateLimits", () => {
  it.each([
    ["low", { default: 200, "ai-chat": 50, workflows: 100, billing: 30, health: 200 }],
    ["medium", { default: 100, "ai-chat": 30, workflows: 60, billing: 20, health: 100 }],
    ["high", { default: 70, "ai-chat": 20, workflows: 40, billing: 15, health: 50 }],
    ["critical", { default: 50, "ai-chat": 10, workflows: 20, billing: 10, health: 30 }],
  ] as const)("gives the whole row of the built-in table at %s", (tier, limits) => {
    expect(chooseRateLimits(tier)).toEqual(limits);
  });
});

describe("getLimitForEndpoint", () => {
  it.each(["/api/ai/chat", "/api/ai/chat/", "/API/AI/chat", "/api//ai/%63hat", "/api%2Fai%2Fchat"])(
    "counts %s as ai-chat",
    (path) => {
      expect(getLimitForEndpoint(path, "high")).toBe(20);
    },
  );
});
