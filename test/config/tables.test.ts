import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { brief } from "../../src/config/json.ts";
import { type ReadTables, readTierTables } from "../../src/config/tables.ts";
import { parsePattern } from "../../src/policy/endpoint.ts";
import { BUILT_IN, type TierTables } from "../../src/policy/limits.ts";
import { TIERS } from "../../src/policy/tier.ts";

/** Random cases take their time on a machine that does something else as well. */
vi.setConfig({ testTimeout: 60_000 });

/** The built-in tables as they are documented, written out in full. */
const DOCUMENTED = `{
  "capacity_rpm": 1000,
  "tiers": { "medium": 0.3, "high": 0.6, "critical": 0.8 },
  "hysteresis": { "margin": 0.05, "hold_seconds": 30 },
  "signal": { "max_age_seconds": 180, "fallback_tier": "medium" },
  "exempt": ["/api/billing/webhook", "/api/billing/webhook-event"],
  "exempt_limit": 600,
  "enforce": true,
  "profiles": {
    "default":   { "match": [],                                    "limits": { "low": 200, "medium": 100, "high": 70, "critical": 50 } },
    "ai-chat":   { "match": ["/api/ai/*"],                         "limits": { "low": 50,  "medium": 30,  "high": 20, "critical": 10 } },
    "workflows": { "match": ["/api/workflows/*", "/api/workflow/*"], "limits": { "low": 100, "medium": 60, "high": 40, "critical": 20 } },
    "billing":   { "match": ["/api/billing/*"],                    "limits": { "low": 30,  "medium": 20,  "high": 15, "critical": 10 } },
    "health":    { "match": ["/api/health/*", "/health"],          "limits": { "low": 200, "medium": 100, "high": 50, "critical": 30 } }
  }
}`;

const FOUR = { low: 4, medium: 3, high: 2, critical: 1 };

function read(document: unknown): ReadTables {
  return readTierTables(JSON.stringify(document));
}

function tablesOf(document: unknown): TierTables {
  const result = read(document);
  if (!result.ok) throw new Error(`refused: ${JSON.stringify(result.faults)}`);
  return result.tables;
}

function names(count: number, prefix = "p"): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`);
}

describe("readTierTables, of documents it accepts", () => {
  it("gives the built-in tables for the documented document", () => {
    expect(readTierTables(DOCUMENTED)).toEqual({ ok: true, tables: BUILT_IN });
  });

  it.each([
    { name: "an empty document", text: "{}" },
    { name: "empty members", text: '{"tiers":{},"hysteresis":{},"signal":{},"profiles":{"ai-chat":{"limits":{}}}}' },
    { name: "white space", text: " \t\r\n{ \n } \n" },
  ])("gives the built-in tables for $name", ({ text }) => {
    expect(readTierTables(text)).toEqual({ ok: true, tables: BUILT_IN });
  });

  it("keeps built in what a document leaves out", () => {
    const { profiles, ...rest } = tablesOf({ profiles: { "ai-chat": { limits: { low: 60 } } } });
    const { profiles: builtIn, ...restBuiltIn } = BUILT_IN;
    expect(rest).toEqual(restBuiltIn);
    expect(profiles).toEqual({
      ...builtIn,
      "ai-chat": { ...builtIn["ai-chat"], limits: { low: 60, medium: 30, high: 20, critical: 10 } },
    });
  });

  it.each<{ name: string; document: object; tables: object }>([
    { name: "the capacity", document: { capacity_rpm: 0x3b9aca00 }, tables: { capacityRpm: 1_000_000_000 } },
    {
      name: "one threshold",
      document: { tiers: { high: 0.7 } },
      tables: { thresholds: { medium: 0.3, high: 0.7, critical: 0.8 } },
    },
    {
      name: "thresholds at both ends",
      document: { tiers: { medium: 0, critical: 1 } },
      tables: { thresholds: { medium: 0, high: 0.6, critical: 1 } },
    },
    {
      name: "the margin",
      document: { hysteresis: { margin: 0.5 } },
      tables: { hysteresis: { margin: 0.5, holdMs: 30_000 } },
    },
    {
      name: "no hold",
      document: { hysteresis: { hold_seconds: 0 } },
      tables: { hysteresis: { margin: 0.05, holdMs: 0 } },
    },
    {
      name: "a hold of part seconds",
      document: { hysteresis: { hold_seconds: 0.5 } },
      tables: { hysteresis: { margin: 0.05, holdMs: 500 } },
    },
    {
      name: "the age of a signal",
      document: { signal: { max_age_seconds: 60 } },
      tables: { signal: { maxAgeMs: 60_000, fallbackTier: "medium" } },
    },
    {
      name: "the fallback",
      document: { signal: { fallback_tier: "critical" } },
      tables: { signal: { maxAgeMs: 180_000, fallbackTier: "critical" } },
    },
    { name: "nothing exempt", document: { exempt: [] }, tables: { exempt: [] } },
    {
      name: "an exempt subtree of one method",
      document: { exempt: ["POST /hooks/*"] },
      tables: { exempt: ["POST /hooks/*"] },
    },
    { name: "no exempt requests at all", document: { exempt_limit: 0 }, tables: { exemptLimit: 0 } },
    {
      name: "a ceiling for the sum",
      document: { overload: { shed_above: 0.95, order: ["default", "billing"] } },
      tables: { overload: { shedAbove: 0.95, order: ["default", "billing"] } },
    },
    {
      name: "ceilings at both ends, and nobody to shed",
      document: { overload: { shed_above: 0, order: [] } },
      tables: { overload: { shedAbove: 0, order: [] } },
    },
    { name: "shadow for all", document: { enforce: false }, tables: { enforce: false } },
    {
      name: "one bound of the fleet",
      document: { scaling: { max_instances: 40 } },
      tables: { scaling: { minInstances: 2, maxInstances: 40, rpsPerInstance: 75 } },
    },
    {
      name: "a fleet of one size, whose instances carry little",
      document: { scaling: { min_instances: 1, max_instances: 1, rps_per_instance: 0.5 } },
      tables: { scaling: { minInstances: 1, maxInstances: 1, rpsPerInstance: 0.5 } },
    },
    {
      name: "the largest fleet there may be",
      document: { scaling: { min_instances: 1000, max_instances: 1000, rps_per_instance: 1_000_000 } },
      tables: { scaling: { minInstances: 1000, maxInstances: 1000, rpsPerInstance: 1_000_000 } },
    },
  ])("takes from a document $name", ({ document, tables }) => {
    expect(tablesOf(document)).toEqual({ ...BUILT_IN, ...tables });
  });

  it.each<{ name: string; profile: object; expected: object }>([
    { name: "limits alone", profile: { limits: FOUR }, expected: {} },
    { name: "a window of 1 s", profile: { limits: FOUR, window_seconds: 1 }, expected: { windowMs: 1_000 } },
    { name: "a window of 1 h", profile: { limits: FOUR, window_seconds: 3_600 }, expected: { windowMs: 3_600_000 } },
    { name: "open", profile: { limits: FOUR, on_counter_failure: "open" }, expected: { onCounterFailure: "open" } },
    {
      name: "closed",
      profile: { limits: FOUR, on_counter_failure: "closed" },
      expected: { onCounterFailure: "closed" },
    },
    { name: "shadow", profile: { limits: FOUR, shadow: true }, expected: { shadow: true } },
    {
      name: "limits of 0 and of the greatest number",
      profile: { limits: { low: 1_000_000, medium: 1_000_000, high: 0, critical: 0 } },
      expected: { limits: { low: 1_000_000, medium: 1_000_000, high: 0, critical: 0 } },
    },
    {
      name: "patterns of every form",
      profile: {
        limits: FOUR,
        match: ["/", "/*", "/a", "/b/", "/c/*", "DELETE /a", "/d.e/~f/@g:h/(i)!$&'+,=", "/..x/.y"],
      },
      expected: { match: ["/", "/*", "/a", "/b/", "/c/*", "DELETE /a", "/d.e/~f/@g:h/(i)!$&'+,=", "/..x/.y"] },
    },
    {
      name: "a pattern of 1024 characters",
      profile: { limits: FOUR, match: [`/${"a".repeat(1_023)}`] },
      expected: { match: [`/${"a".repeat(1_023)}`] },
    },
  ])("takes a new profile with $name", ({ profile, expected }) => {
    const base = { match: [], limits: FOUR, windowMs: 60_000, onCounterFailure: "local", shadow: false };
    const { profiles } = tablesOf({ profiles: { uploads: profile } });
    expect(profiles).toEqual({ ...BUILT_IN.profiles, uploads: { ...base, ...expected } });
  });

  it("takes a pattern that its built-in profile has given up in the same document", () => {
    const { profiles } = tablesOf({
      profiles: { "ai-chat": { match: [] }, chat: { match: ["/api/ai/*"], limits: FOUR } },
    });
    expect(profiles["chat"]?.match).toEqual(["/api/ai/*"]);
    expect(profiles["ai-chat"]?.match).toEqual([]);
  });

  it("takes one path under several methods", () => {
    const match = ["/a", "GET /a", "POST /a", "/a/*", "GET /a/*"];
    expect(tablesOf({ profiles: { uploads: { match, limits: FOUR } } }).profiles["uploads"]?.match).toEqual(match);
  });

  it("takes a name of 63 characters", () => {
    const name = "a".repeat(63);
    expect(tablesOf({ profiles: { [name]: { limits: FOUR } } }).profiles[name]?.limits).toEqual(FOUR);
  });

  it("takes 64 profiles in all", () => {
    const more = names(64 - Object.keys(BUILT_IN.profiles).length);
    const { profiles } = tablesOf({ profiles: Object.fromEntries(more.map((name) => [name, { limits: FOUR }])) });
    expect(Object.keys(profiles)).toHaveLength(64);
  });

  it("takes 256 patterns in all", () => {
    const builtIn = Object.values(BUILT_IN.profiles).flatMap(({ match }) => match).length;
    const match = names(256 - builtIn, "/");
    expect(tablesOf({ profiles: { uploads: { match, limits: FOUR } } }).profiles["uploads"]?.match).toHaveLength(250);
  });

  it("takes 64 KiB", () => {
    const text = "{}".padEnd(65_536, " ");
    expect(readTierTables(text)).toEqual({ ok: true, tables: BUILT_IN });
  });

  it("reads the same text the same way every time, and never changes the built-in tables", () => {
    const before = structuredClone(BUILT_IN);
    const first = tablesOf({ profiles: { default: { limits: { low: 900 } }, uploads: { limits: FOUR } } });
    expect(tablesOf({ profiles: { default: { limits: { low: 900 } }, uploads: { limits: FOUR } } })).toEqual(first);
    expect(BUILT_IN).toEqual(before);
  });
});

const WHOLE = "a whole number 0..1000000";
const PATTERN = 'a path pattern such as "/api/ai/*" or "POST /api/ai/chat"';

describe("readTierTables, of documents it refuses", () => {
  it.each<{ name: string; document: unknown; path: string; expected: string; got: unknown }>([
    { name: "null", document: null, path: "", expected: "an object", got: null },
    { name: "a number", document: 60, path: "", expected: "an object", got: 60 },
    { name: "a string", document: "{}", path: "", expected: "an object", got: "{}" },
    { name: "an array", document: [{}], path: "", expected: "an object", got: [{}] },
    {
      name: "an unknown member",
      document: { capacity: 5 },
      path: "capacity",
      expected: "no such member",
      got: "capacity",
    },
    {
      name: "a member by another case",
      document: { Enforce: true },
      path: "Enforce",
      expected: "no such member",
      got: "Enforce",
    },
    {
      name: "a member every object has",
      document: { toString: 1 },
      path: "toString",
      expected: "no such member",
      got: "toString",
    },
    {
      name: "a capacity under 1",
      document: { capacity_rpm: 0 },
      path: "capacity_rpm",
      expected: "a number 1..1000000000",
      got: 0,
    },
    {
      name: "a capacity too large",
      document: { capacity_rpm: 1e9 + 1 },
      path: "capacity_rpm",
      expected: "a number 1..1000000000",
      got: 1e9 + 1,
    },
    {
      name: "a capacity as text",
      document: { capacity_rpm: "1000" },
      path: "capacity_rpm",
      expected: "a number 1..1000000000",
      got: "1000",
    },
    {
      name: "a capacity of null",
      document: { capacity_rpm: null },
      path: "capacity_rpm",
      expected: "a number 1..1000000000",
      got: null,
    },
    { name: "a list for scaling", document: { scaling: [] }, path: "scaling", expected: "an object", got: [] },
    {
      name: "an unknown member of scaling",
      document: { scaling: { instances: 3 } },
      path: "scaling.instances",
      expected: "no such member",
      got: "instances",
    },
    {
      name: "a fleet that may fall to nothing",
      document: { scaling: { min_instances: 0 } },
      path: "scaling.min_instances",
      expected: "a whole number 1..1000",
      got: 0,
    },
    {
      name: "half an instance",
      document: { scaling: { min_instances: 2.5 } },
      path: "scaling.min_instances",
      expected: "a whole number 1..1000",
      got: 2.5,
    },
    {
      name: "more instances than there may be",
      document: { scaling: { max_instances: 1001 } },
      path: "scaling.max_instances",
      expected: "a whole number 1..1000",
      got: 1001,
    },
    {
      name: "a maximum below the minimum that is built in",
      document: { scaling: { max_instances: 1 } },
      path: "scaling.max_instances",
      expected: "at least scaling.min_instances, which is 2 (built in)",
      got: "1",
    },
    {
      name: "a minimum above the maximum that is built in",
      document: { scaling: { min_instances: 11 } },
      path: "scaling.max_instances",
      expected: "at least scaling.min_instances, which is 11",
      got: "10 (built in)",
    },
    {
      name: "instances that carry nothing",
      document: { scaling: { rps_per_instance: 0 } },
      path: "scaling.rps_per_instance",
      expected: "a number above 0, at most 1000000",
      got: 0,
    },
    {
      name: "instances that carry too much",
      document: { scaling: { rps_per_instance: 1_000_001 } },
      path: "scaling.rps_per_instance",
      expected: "a number above 0, at most 1000000",
      got: 1_000_001,
    },
    {
      name: "what an instance carries as text",
      document: { scaling: { rps_per_instance: "75" } },
      path: "scaling.rps_per_instance",
      expected: "a number above 0, at most 1000000",
      got: "75",
    },
    { name: "an array for thresholds", document: { tiers: [] }, path: "tiers", expected: "an object", got: [] },
    {
      name: "a threshold for low",
      document: { tiers: { low: 0 } },
      path: "tiers.low",
      expected: "no such member",
      got: "low",
    },
    {
      name: "a threshold under 0",
      document: { tiers: { medium: -0.1 } },
      path: "tiers.medium",
      expected: "a number 0..1",
      got: -0.1,
    },
    {
      name: "a threshold over 1",
      document: { tiers: { critical: 1.01 } },
      path: "tiers.critical",
      expected: "a number 0..1",
      got: 1.01,
    },
    {
      name: "a threshold in percent",
      document: { tiers: { critical: "80%" } },
      path: "tiers.critical",
      expected: "a number 0..1",
      got: "80%",
    },
    {
      name: "thresholds that fall, both written",
      document: { tiers: { medium: 0.5, high: 0.4 } },
      path: "tiers.high",
      expected: "more than tiers.medium, which is 0.5",
      got: "0.4",
    },
    {
      name: "thresholds that stand still",
      document: { tiers: { high: 0.7, critical: 0.7 } },
      path: "tiers.critical",
      expected: "more than tiers.high, which is 0.7",
      got: "0.7",
    },
    {
      name: "a threshold under a built-in one",
      document: { tiers: { critical: 0.6 } },
      path: "tiers.critical",
      expected: "more than tiers.high, which is 0.6 (built in)",
      got: "0.6",
    },
    {
      name: "a threshold over a built-in one",
      document: { tiers: { medium: 0.6 } },
      path: "tiers.high",
      expected: "more than tiers.medium, which is 0.6",
      got: "0.6 (built in)",
    },
    {
      name: "a margin under 0",
      document: { hysteresis: { margin: -0.01 } },
      path: "hysteresis.margin",
      expected: "a number 0..0.5",
      got: -0.01,
    },
    {
      name: "a margin over 0.5",
      document: { hysteresis: { margin: 0.51 } },
      path: "hysteresis.margin",
      expected: "a number 0..0.5",
      got: 0.51,
    },
    {
      name: "a hold under 0",
      document: { hysteresis: { hold_seconds: -1 } },
      path: "hysteresis.hold_seconds",
      expected: "a number 0..3600",
      got: -1,
    },
    {
      name: "a hold over an hour",
      document: { hysteresis: { hold_seconds: 3_601 } },
      path: "hysteresis.hold_seconds",
      expected: "a number 0..3600",
      got: 3_601,
    },
    {
      name: "a hold in ms",
      document: { hysteresis: { hold_ms: 1 } },
      path: "hysteresis.hold_ms",
      expected: "no such member",
      got: "hold_ms",
    },
    {
      name: "an age of 0",
      document: { signal: { max_age_seconds: 0 } },
      path: "signal.max_age_seconds",
      expected: "a number 1..86400",
      got: 0,
    },
    {
      name: "a fallback that is no tier",
      document: { signal: { fallback_tier: "severe" } },
      path: "signal.fallback_tier",
      expected: "one of low, medium, high, critical",
      got: "severe",
    },
    {
      name: "one exempt path as text",
      document: { exempt: "/a" },
      path: "exempt",
      expected: "a list of path patterns",
      got: "/a",
    },
    {
      name: "an object for a list",
      document: { exempt: { 0: "/a" } },
      path: "exempt",
      expected: "a list of path patterns",
      got: { 0: "/a" },
    },
    {
      name: "an exempt path that is no text",
      document: { exempt: ["/a", 7] },
      path: "exempt.1",
      expected: "a path pattern",
      got: 7,
    },
    {
      name: "an exempt path in need of decoding",
      document: { exempt: ["/a%62"] },
      path: "exempt.0",
      expected: PATTERN,
      got: "/a%62",
    },
    { name: "an exempt limit under 0", document: { exempt_limit: -1 }, path: "exempt_limit", expected: WHOLE, got: -1 },
    {
      name: "an exempt limit of part units",
      document: { exempt_limit: 0.5 },
      path: "exempt_limit",
      expected: WHOLE,
      got: 0.5,
    },
    {
      name: "a flag as text",
      document: { enforce: "false" },
      path: "enforce",
      expected: "true or false",
      got: "false",
    },
    {
      name: "a ceiling without a load",
      document: { overload: { order: ["default"] } },
      path: "overload.shed_above",
      expected: "a value",
      got: undefined,
    },
    {
      name: "a ceiling without an order",
      document: { overload: { shed_above: 0.9 } },
      path: "overload.order",
      expected: "a value",
      got: undefined,
    },
    { name: "a ceiling alone", document: { overload: 0.95 }, path: "overload", expected: "an object", got: 0.95 },
    {
      name: "a ceiling over 1",
      document: { overload: { shed_above: 1.01, order: [] } },
      path: "overload.shed_above",
      expected: "a number 0..1",
      got: 1.01,
    },
    {
      name: "a ceiling under 0",
      document: { overload: { shed_above: -0.1, order: [] } },
      path: "overload.shed_above",
      expected: "a number 0..1",
      got: -0.1,
    },
    {
      name: "an order of one, as text",
      document: { overload: { shed_above: 0.9, order: "default" } },
      path: "overload.order",
      expected: "a list of profiles",
      got: "default",
    },
    {
      name: "an order of something else",
      document: { overload: { shed_above: 0.9, order: ["default", 1] } },
      path: "overload.order.1",
      expected: "the name of a profile",
      got: 1,
    },
    {
      name: "an order with a profile that is not there",
      document: { overload: { shed_above: 0.9, order: ["default", "uploads"] } },
      path: "overload.order.1",
      expected: "a profile of these tables",
      got: "uploads",
    },
    {
      name: "an order with what every object has",
      document: { overload: { shed_above: 0.9, order: ["constructor"] } },
      path: "overload.order.0",
      expected: "a profile of these tables",
      got: "constructor",
    },
    {
      name: "an order that names a profile twice",
      document: { overload: { shed_above: 0.9, order: ["billing", "default", "billing"] } },
      path: "overload.order.2",
      expected: "each profile once",
      got: "billing",
    },
    {
      name: "an order of too many",
      document: { overload: { shed_above: 0.9, order: names(65) } },
      path: "overload.order",
      expected: "at most 64 profiles",
      got: names(65),
    },
    {
      name: "a member of a ceiling that nobody knows",
      document: { overload: { shed_above: 0.9, order: [], shed_below: 1 } },
      path: "overload.shed_below",
      expected: "no such member",
      got: "shed_below",
    },
    { name: "a flag as a number", document: { enforce: 0 }, path: "enforce", expected: "true or false", got: 0 },
    { name: "a list of profiles", document: { profiles: [] }, path: "profiles", expected: "an object", got: [] },
    {
      name: "a profile that is a limit",
      document: { profiles: { "ai-chat": 60 } },
      path: "profiles.ai-chat",
      expected: "an object",
      got: 60,
    },
    {
      name: "an unknown member of a profile",
      document: { profiles: { "ai-chat": { limit: 60 } } },
      path: "profiles.ai-chat.limit",
      expected: "no such member",
      got: "limit",
    },
    {
      name: "an unknown tier of a profile",
      document: { profiles: { "ai-chat": { limits: { severe: 60 } } } },
      path: "profiles.ai-chat.limits.severe",
      expected: "no such member",
      got: "severe",
    },
    {
      name: "a list of limits",
      document: { profiles: { "ai-chat": { limits: [50, 30, 20, 10] } } },
      path: "profiles.ai-chat.limits",
      expected: "an object",
      got: [50, 30, 20, 10],
    },
    {
      name: "a limit under 0",
      document: { profiles: { "ai-chat": { limits: { low: -1 } } } },
      path: "profiles.ai-chat.limits.low",
      expected: WHOLE,
      got: -1,
    },
    {
      name: "a limit of part units",
      document: { profiles: { "ai-chat": { limits: { high: 19.5 } } } },
      path: "profiles.ai-chat.limits.high",
      expected: WHOLE,
      got: 19.5,
    },
    {
      name: "a limit too large",
      document: { profiles: { "ai-chat": { limits: { low: 1_000_001 } } } },
      path: "profiles.ai-chat.limits.low",
      expected: WHOLE,
      got: 1_000_001,
    },
    {
      name: "a limit of null",
      document: { profiles: { "ai-chat": { limits: { low: null } } } },
      path: "profiles.ai-chat.limits.low",
      expected: WHOLE,
      got: null,
    },
    {
      name: "a limit that grows over a written one",
      document: { profiles: { "ai-chat": { limits: { high: 15, critical: 16 } } } },
      path: "profiles.ai-chat.limits.critical",
      expected: "no more than at high, which is 15",
      got: "16",
    },
    {
      name: "a limit over a built-in one",
      document: { profiles: { "ai-chat": { limits: { medium: 51 } } } },
      path: "profiles.ai-chat.limits.medium",
      expected: "no more than at low, which is 50 (built in)",
      got: "51",
    },
    {
      name: "a limit under a built-in one",
      document: { profiles: { "ai-chat": { limits: { low: 29 } } } },
      path: "profiles.ai-chat.limits.medium",
      expected: "no more than at low, which is 29",
      got: "30 (built in)",
    },
    {
      name: "a window of 0",
      document: { profiles: { "ai-chat": { window_seconds: 0 } } },
      path: "profiles.ai-chat.window_seconds",
      expected: "a whole number 1..3600",
      got: 0,
    },
    {
      name: "a window over an hour",
      document: { profiles: { "ai-chat": { window_seconds: 3_601 } } },
      path: "profiles.ai-chat.window_seconds",
      expected: "a whole number 1..3600",
      got: 3_601,
    },
    {
      name: "a failure policy nobody knows",
      document: { profiles: { "ai-chat": { on_counter_failure: "retry" } } },
      path: "profiles.ai-chat.on_counter_failure",
      expected: "one of local, open, closed",
      got: "retry",
    },
    {
      name: "shadow as text",
      document: { profiles: { "ai-chat": { shadow: "yes" } } },
      path: "profiles.ai-chat.shadow",
      expected: "true or false",
      got: "yes",
    },
    {
      name: "a pattern too long",
      document: { profiles: { "ai-chat": { match: [`/${"a".repeat(1_024)}`] } } },
      path: "profiles.ai-chat.match.0",
      expected: "a path pattern of at most 1024 characters",
      got: `/${"a".repeat(1_024)}`,
    },
    {
      name: "257 patterns in one list",
      document: { profiles: { "ai-chat": { match: names(257, "/") } } },
      path: "profiles.ai-chat.match",
      expected: "at most 256 patterns",
      got: names(257, "/"),
    },
    {
      name: "257 patterns in all",
      document: { profiles: { uploads: { limits: FOUR, match: names(251, "/") } } },
      path: "profiles",
      expected: "at most 256 patterns in all",
      got: 257,
    },
    {
      name: "65 profiles in all",
      document: { profiles: Object.fromEntries(names(60).map((name) => [name, { limits: FOUR }])) },
      path: "profiles",
      expected: "at most 64 in all",
      got: 65,
    },
  ])("refuses $name", ({ document, path, expected, got }) => {
    expect(read(document)).toEqual({ ok: false, faults: [{ path, expected, got: brief(got) }] });
  });

  it("blames the pattern that was written, and says that the other was built in", () => {
    expect(readTierTables('{"profiles":{"default":{"match":["/health"]}}}')).toEqual({
      ok: false,
      faults: [
        {
          path: "profiles.default.match.0",
          expected: "a pattern that profile health (built in) does not have",
          got: "/health",
        },
      ],
    });
  });

  it("takes one pattern written twice in one profile", () => {
    expect(readTierTables('{"profiles":{"health":{"match":["/health","/health/"]}}}').ok).toBe(true);
  });

  it("shows how a long value starts, and names one that is nested too deeply", () => {
    const long = { profiles: { uploads: { limits: FOUR, match: [`/${"a".repeat(1024)}`] } } };
    expect(read(long)).toMatchObject({ faults: [{ got: `"/${"a".repeat(198)}...` }] });
    const deep = readTierTables("[".repeat(5_000) + "]".repeat(5_000));
    expect(JSON.stringify(deep)).toContain("a value nested too deeply");
  });

  it.each(["", "A", "Ai-chat", "ai chat", "ai_chat", "1a", "-a", "a.b", "\u00e4", "a\n", "a".repeat(64)])(
    "refuses a profile named %j",
    (name) => {
      expect(read({ profiles: { [name]: { limits: FOUR } } })).toEqual({
        ok: false,
        faults: [
          {
            path: `profiles.${name}`,
            expected: "a name of lower-case letters, digits and hyphens",
            got: name,
          },
        ],
      });
    },
  );

  it.each(
    [
      "",
      "a",
      "api/ai",
      " /a",
      "/a ",
      "/a b",
      "post /a",
      "POST  /a",
      "POST",
      "POST /",
      "/a*",
      "/*/a",
      "/a/**",
      "/a//b",
      "//a",
      "/a/./b",
      "/a/../b",
      "/a/..",
      "/.",
      "/a%2fb",
      "/a\\b",
      "/a;b",
      "/a?b",
      "/a#b",
      "/\u00e4",
      "/a\n",
      "https://x/a",
    ].filter((text) => text !== "POST /"),
  )("refuses the pattern %j", (text) => {
    const faults = [{ path: "profiles.uploads.match.1", expected: PATTERN, got: text }];
    expect(read({ profiles: { uploads: { limits: FOUR, match: ["/ok", text] } } })).toEqual({ ok: false, faults });
    expect(read({ exempt: [text] })).toMatchObject({ ok: false, faults: [{ path: "exempt.0", got: text }] });
  });

  it.each([
    { name: "as it is", one: "/shared/*", other: "/shared/*" },
    { name: "in another case", one: "/shared/*", other: "/Shared/*" },
    { name: "with a trailing slash", one: "/shared", other: "/shared/" },
    { name: "of one method", one: "POST /shared", other: "POST /SHARED/" },
  ])("refuses one pattern in two profiles, $name", ({ one, other }) => {
    const document = {
      profiles: { one: { limits: FOUR, match: [one] }, two: { limits: FOUR, match: ["/own", other] } },
    };
    expect(read(document)).toEqual({
      ok: false,
      faults: [{ path: "profiles.two.match.1", expected: "a pattern that profile one does not have", got: other }],
    });
  });

  it("refuses a pattern that a built-in profile has", () => {
    expect(read({ profiles: { chat: { limits: FOUR, match: ["/API/ai/*"] } } })).toMatchObject({
      ok: false,
      faults: [{ path: "profiles.chat.match.0", got: "/API/ai/*" }],
    });
  });

  it("asks a new profile for all four limits", () => {
    expect(read({ profiles: { uploads: { limits: { low: 5, high: 4 } } } })).toEqual({
      ok: false,
      faults: ["medium", "critical"].map((tier) => ({
        path: `profiles.uploads.limits.${tier}`,
        expected: "a limit: a new profile gives all four",
        got: undefined,
      })),
    });
    for (const profile of [{}, { match: ["/a"] }, { limits: {} }]) {
      const refused = read({ profiles: { uploads: profile } });
      expect(refused.ok ? [] : refused.faults.map(({ path }) => path)).toEqual(
        TIERS.map((tier) => `profiles.uploads.limits.${tier}`),
      );
    }
  });

  it("names everything that is wrong at once, and takes nothing of the rest", () => {
    const refused = read({
      capacity_rpm: 0,
      tiers: { medium: 2 },
      exempt_limit: 5,
      profiles: { "ai-chat": { limits: { low: -1, high: 1.5 } }, "BAD NAME": { limits: FOUR } },
    });
    expect(refused).toEqual({
      ok: false,
      faults: [
        { path: "capacity_rpm", expected: "a number 1..1000000000", got: 0 },
        { path: "tiers.medium", expected: "a number 0..1", got: 2 },
        { path: "profiles.ai-chat.limits.low", expected: WHOLE, got: -1 },
        { path: "profiles.ai-chat.limits.high", expected: WHOLE, got: 1.5 },
        { path: "profiles.BAD NAME", expected: "a name of lower-case letters, digits and hyphens", got: "BAD NAME" },
      ],
    });
  });

  it("names every rule that is broken at once", () => {
    const refused = read({
      tiers: { medium: 0.9 },
      profiles: { billing: { limits: { low: 1 } }, uploads: { limits: FOUR, match: ["/health"] } },
    });
    expect(refused.ok ? [] : refused.faults.map(({ path }) => path)).toEqual([
      "tiers.high",
      "profiles.billing.limits.medium",
      "profiles.uploads.match.0",
    ]);
  });

  it.each([
    { name: "nothing", text: "" },
    { name: "white space", text: " \n" },
    { name: "a cut-off document", text: '{"enforce":' },
    { name: "a trailing comma", text: '{"enforce":true,}' },
    { name: "single quotes", text: "{'enforce':true}" },
    { name: "a comment", text: "{} // fine" },
    { name: "two documents", text: "{}{}" },
    { name: "NaN", text: '{"capacity_rpm":NaN}' },
    { name: "a byte order mark", text: "\ufeff{}" },
    { name: "a NUL", text: "{}\0" },
    { name: "markup", text: "<html></html>" },
  ])("refuses what is no JSON: $name", ({ text }) => {
    const refused = readTierTables(text);
    expect(refused).toEqual({ ok: false, faults: [{ path: "", expected: "JSON", got: expect.stringMatching(/./) }] });
  });

  it.each([
    { name: "in ASCII", text: "{}".padEnd(65_537, " "), bytes: 65_537 },
    { name: "in bytes, not characters", text: `{"${"\u20ac".repeat(30_000)}":1}`, bytes: 90_006 },
  ])("refuses more than 64 KiB, counted $name", ({ text, bytes }) => {
    expect(readTierTables(text)).toEqual({
      ok: false,
      faults: [{ path: "", expected: "at most 65536 bytes", got: `${bytes} bytes` }],
    });
  });

  it.each([
    { name: "at the top", text: '{"__proto__":{"enforce":false}}', path: "" },
    { name: "as a constructor", text: '{"constructor":{}}', path: "" },
    { name: "as a prototype", text: '{"prototype":{}}', path: "" },
    { name: "among thresholds", text: '{"tiers":{"__proto__":{"medium":1}}}', path: "tiers" },
    { name: "as a profile", text: '{"profiles":{"__proto__":{"limits":{"low":1}}}}', path: "profiles" },
    { name: "as a profile of that name", text: '{"profiles":{"constructor":{"limits":{}}}}', path: "profiles" },
    { name: "in a profile", text: '{"profiles":{"ai-chat":{"__proto__":{"shadow":true}}}}', path: "profiles.ai-chat" },
    {
      name: "among limits",
      text: '{"profiles":{"ai-chat":{"limits":{"__proto__":{"low":1}}}}}',
      path: "profiles.ai-chat.limits",
    },
  ])("refuses a member that would change the object it stands in: $name", ({ text, path }) => {
    expect(readTierTables(text)).toMatchObject({
      ok: false,
      faults: [{ path, expected: "an object without members named __proto__, constructor, prototype" }],
    });
    expect(Object.hasOwn(Object.prototype, "enforce")).toBe(false);
  });

  it.each([
    { name: "lists", text: `${"[".repeat(30_000)}${"]".repeat(30_000)}` },
    { name: "objects", text: `${'{"a":'.repeat(10_000)}1${"}".repeat(10_000)}` },
    { name: "known objects", text: `${'{"profiles":{"ai-chat":'.repeat(2_000)}1${"}}".repeat(2_000)}` },
  ])("refuses a document of $name in each other", ({ text }) => {
    expect(readTierTables(text).ok).toBe(false);
  });
});

/** What the documentation says of complete tables, as a list of what they break. */
function broken({ thresholds, hysteresis, profiles, ...rest }: TierTables): string[] {
  const all = Object.values(profiles);
  const forms = Object.entries(profiles).flatMap(([name, { match }]) =>
    match.map((text) => JSON.stringify({ ...parsePattern(text, name), profile: null })),
  );
  const owned = Object.entries(profiles).flatMap(([name, { match }]) => [
    ...new Set(match.map((text) => `${name} ${JSON.stringify({ ...parsePattern(text, name), profile: null })}`)),
  ]);
  const limits = all.flatMap((profile) => TIERS.map((tier) => profile.limits[tier]));
  const isWhole = (value: number, min: number, max: number) => Number.isInteger(value) && value >= min && value <= max;
  const rules: Readonly<Record<string, boolean>> = {
    "thresholds rise within 0..1":
      thresholds.medium >= 0 &&
      thresholds.medium < thresholds.high &&
      thresholds.high < thresholds.critical &&
      thresholds.critical <= 1,
    "margin 0..0.5": hysteresis.margin >= 0 && hysteresis.margin <= 0.5,
    "hold 0..3600 s": hysteresis.holdMs >= 0 && hysteresis.holdMs <= 3_600_000,
    "capacity 1..1e9": rest.capacityRpm >= 1 && rest.capacityRpm <= 1e9,
    "exempt limit whole": isWhole(rest.exemptLimit, 0, 1_000_000),
    "fallback is a tier": TIERS.includes(rest.signal.fallbackTier),
    "flags are flags": typeof rest.enforce === "boolean" && all.every(({ shadow }) => typeof shadow === "boolean"),
    "limits whole": limits.every((limit) => isWhole(limit, 0, 1_000_000)),
    "limits never grow": all.every(
      ({ limits: { low, medium, high, critical } }) => low >= medium && medium >= high && high >= critical,
    ),
    "windows whole seconds": all.every(({ windowMs }) => isWhole(windowMs / 1_000, 1, 3_600)),
    "failure policies known": all.every(({ onCounterFailure }) =>
      ["local", "open", "closed"].includes(onCounterFailure),
    ),
    "at most 64 profiles": all.length <= 64,
    "at most 256 patterns": forms.length <= 256,
    "no pattern in two profiles": owned.length === new Set(forms).size,
    "a ceiling 0..1": rest.overload === null || (rest.overload.shedAbove >= 0 && rest.overload.shedAbove <= 1),
    "an order of profiles, each once":
      new Set(rest.overload?.order).size === (rest.overload?.order ?? []).length &&
      (rest.overload?.order ?? []).every((name) => Object.hasOwn(profiles, name)),
    "built-in profiles are there": Object.keys(BUILT_IN.profiles).every((name) => Object.hasOwn(profiles, name)),
    "instances 1..1000, the minimum first":
      isWhole(rest.scaling.minInstances, 1, 1_000) &&
      isWhole(rest.scaling.maxInstances, rest.scaling.minInstances, 1_000),
    "an instance carries something": rest.scaling.rpsPerInstance > 0 && rest.scaling.rpsPerInstance <= 1e6,
    "no pattern to decode": all.every(({ match }) => match.every((text) => !/[%\\;?#]|\/\.{0,2}\//.test(text))),
  };
  return Object.entries(rules).flatMap(([rule, holds]) => (holds ? [] : [rule]));
}

/** Any sequence of UTF-16 units, lone surrogates among them. */
const anyText = fc
  .array(fc.oneof(fc.nat(0x7f), fc.nat(0xffff)), { maxLength: 60 })
  .map((units) => String.fromCharCode(...units));

describe("readTierTables, of random documents", () => {
  const aValue = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom<unknown>(0, 1, 5, 10, 30, 60, 100, 0.25, 0.5, 0.7, 1_000_000) },
    { weight: 1, arbitrary: fc.constantFrom<unknown>(-1, 1_000_001, 1.5, null, "5", [], {}, true) },
  );
  const aPattern = fc.constantFrom(
    "/a",
    "/A",
    "/b/*",
    "POST /a",
    "/c",
    "/d",
    "/e",
    "/",
    "/*",
    "/api/ai/*",
    "/a%62",
    "x",
  );
  const some = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 1 });
  const someLimits = fc.record({ low: aValue, medium: aValue, high: aValue, critical: aValue }, { requiredKeys: [] });
  const fallingLimits = fc
    .tuple(fc.nat(100), fc.nat(100), fc.nat(100), fc.nat(100))
    .map((four) => four.toSorted((a, b) => b - a))
    .map(([low, medium, high, critical]) => ({ low, medium, high, critical }));
  const aProfile = fc.record(
    {
      match: fc.array(aPattern, { maxLength: 2 }),
      limits: fc.oneof({ weight: 4, arbitrary: fallingLimits }, { weight: 1, arbitrary: someLimits }),
      window_seconds: fc.oneof({ weight: 4, arbitrary: fc.constantFrom(1, 60) }, { weight: 1, arbitrary: aValue }),
      shadow: fc.oneof({ weight: 4, arbitrary: fc.boolean() }, { weight: 1, arbitrary: aValue }),
    },
    { requiredKeys: ["limits"] },
  );
  const aDocument = fc.record(
    {
      capacity_rpm: some(aValue),
      tiers: fc.record({ medium: some(aValue), high: some(aValue), critical: some(aValue) }, { requiredKeys: [] }),
      hysteresis: fc.record({ margin: some(aValue), hold_seconds: some(aValue) }, { requiredKeys: [] }),
      exempt: fc.array(aPattern, { maxLength: 2 }),
      exempt_limit: some(aValue),
      overload: some(
        fc.record({
          shed_above: aValue,
          order: fc.array(fc.constantFrom("default", "ai-chat", "z"), { maxLength: 3 }),
        }),
      ),
      profiles: fc.dictionary(fc.constantFrom("default", "ai-chat", "uploads", "z", "Bad"), aProfile, { maxKeys: 3 }),
      scaling: fc.record(
        { min_instances: aValue, max_instances: aValue, rps_per_instance: aValue },
        { requiredKeys: [] },
      ),
    },
    { requiredKeys: [] },
  );

  it("never throws, and keeps the rules in whatever it accepts", () => {
    let accepted = 0;
    fc.assert(
      fc.property(aDocument, (document) => {
        const result = read(document);
        if (result.ok) {
          accepted++;
          expect(broken(result.tables)).toEqual([]);
        } else {
          expect(result.faults.length).toBeGreaterThan(0);
          for (const { expected } of result.faults) expect(expected).toMatch(/./);
        }
      }),
      { numRuns: 4_000 },
    );
    expect(accepted, "documents that were accepted").toBeGreaterThan(200);
  });

  it("never throws on JSON or text of any kind", () => {
    const text = fc.oneof(
      fc.json(),
      anyText,
      fc.json().map((json) => `{"profiles":${json}}`),
    );
    fc.assert(
      fc.property(text, (any) => {
        const result = readTierTables(any);
        if (result.ok) expect(broken(result.tables)).toEqual([]);
        else expect(result.faults.length).toBeGreaterThan(0);
      }),
      { numRuns: 2_000 },
    );
  });
});
