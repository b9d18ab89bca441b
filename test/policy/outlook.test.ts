import { describe, expect, it } from "vitest";
import { BUILT_IN } from "../../src/policy/limits.ts";
import type { Published, Signal } from "../../src/policy/load.ts";
import { type Outlook, outlook } from "../../src/policy/outlook.ts";
import type { Tier } from "../../src/policy/tier.ts";

const T = 1_764_000_000_000;
const S = 1_000;

function edge(rpm: number, publishedAtMs: number | null = T): Signal {
  return { source: "edge", requestsPerMinute: rpm, capacity: 1_000, publishedAtMs };
}

function external(rpm: number, publishedAtMs: number | null = T): Signal {
  return { source: "external", requestsPerMinute: rpm, capacity: 1_000, publishedAtMs };
}

function look(signals: Published["signals"], edgeTier: Tier | null, at = 0, previous: Outlook | null = null): Outlook {
  return outlook(previous, { signals, pin: null }, edgeTier, BUILT_IN, T + at * S);
}

describe("outlook", () => {
  it.each<{ name: string; signals: Published["signals"]; edgeTier?: Tier; at?: number; tier: Tier; basis: string }>([
    { name: "nothing published is low", signals: [], tier: "low", basis: "load" },
    {
      name: "the meter's tier stands, above its load",
      signals: [edge(100)],
      edgeTier: "high",
      tier: "high",
      basis: "load",
    },
    { name: "and below it: the meter knows best", signals: [edge(900)], edgeTier: "high", tier: "high", basis: "load" },
    { name: "a rate without a tier names its own", signals: [edge(650)], tier: "high", basis: "load" },
    {
      name: "the stricter of two publishers counts",
      signals: [external(900), edge(100)],
      edgeTier: "medium",
      tier: "critical",
      basis: "load",
    },
    {
      name: "the other way round too",
      signals: [external(100), edge(700)],
      edgeTier: "high",
      tier: "high",
      basis: "load",
    },
    {
      name: "a stale tier is not used",
      signals: [edge(900)],
      edgeTier: "critical",
      at: 181,
      tier: "medium",
      basis: "fallback",
    },
    {
      name: "nor where another is fresh",
      signals: [edge(900), external(100, T + 181 * S)],
      edgeTier: "critical",
      at: 181,
      tier: "low",
      basis: "load",
    },
    {
      name: "the closing document never goes stale",
      signals: [edge(0, null)],
      edgeTier: "low",
      at: 36_000,
      tier: "low",
      basis: "load",
    },
    {
      name: "what is no rate is something published",
      signals: [{ source: "external", unusable: "expected a number" }],
      tier: "medium",
      basis: "fallback",
    },
    {
      name: "a clock ten minutes ahead is no signal",
      signals: [external(900, T + 600 * S)],
      tier: "medium",
      basis: "fallback",
    },
  ])("$name", ({ signals, edgeTier = null, at = 0, tier, basis }) => {
    expect(look(signals, edgeTier, at)).toMatchObject({ tier, basis });
  });

  it("obeys a pin, at once and both ways", () => {
    const pin = { load: 0.1, untilMs: T + 10 * S };
    const pinned = outlook(null, { signals: [edge(900)], pin }, "critical", BUILT_IN, T);
    expect(pinned).toMatchObject({ tier: "low", basis: "pin" });
    const after = outlook(pinned, { signals: [edge(900)], pin }, "critical", BUILT_IN, T + 10 * S);
    expect(after).toMatchObject({ tier: "critical", basis: "load" });
  });

  it("relaxes with the meter, without a hold of its own", () => {
    const before = look([edge(900)], "critical");
    expect(look([edge(500, T + S)], "high", 1, before).tier).toBe("high");
  });

  it("holds what another publisher has said, since nobody else will", () => {
    const before = look([external(650)], null);
    const held = look([external(500, T + S)], null, 1, before);
    expect(held.tier).toBe("high");
    expect(look([external(500, T + 31 * S)], null, 31, held).tier).toBe("medium");
  });
});
