/** Whose load it is that counts, and how old that is. */
import { describe, expect, it } from "vitest";
import { viewOf } from "../../src/policy/fleet-view.ts";
import { BUILT_IN } from "../../src/policy/limits.ts";
import type { Load } from "../../src/policy/load.ts";
import { type LoopRules, openLoop, published, publishing, receive } from "../../src/policy/load-loop.ts";
import { outcomeAt } from "../../src/policy/tally.ts";
import { flushOf } from "./flushes.ts";

const T = Date.UTC(2026, 10, 23, 12);
const NOBODY: Load = { kind: "unpublished" };

/** A fleet that admits 450 a minute, as KV knows since 7 s. */
function fleet(said: Load) {
  const external = said.kind === "measured" ? { load: said.load, capacityRpm: 1_000 } : null;
  const pin = said.kind === "pinned" ? { load: said.load, untilMs: said.untilMs } : null;
  const rules: LoopRules = { tables: BUILT_IN, publishMs: 10_000, external, pin, documentsAsOfMs: T };
  const loop = openLoop(null, T - 60_000);
  receive(loop, flushOf({ admitted: 450, refused: 50 }, { spanMs: 45_000, inFlight: 3 }), rules, T - 7_000);
  publishing(loop, "publish", T - 7_000);
  published(loop, "publish", true);
  return viewOf(loop, rules, said, T);
}

describe("viewOf", () => {
  it.each<{ name: string; said: Load; load: number; source: string; ageMs: number | null; tier: string }>([
    { name: "its own rate", said: NOBODY, load: 0.45, source: "edge", ageMs: 7_000, tier: "medium" },
    {
      name: "a higher signal of somebody else",
      said: { kind: "measured", load: 0.65, source: "external", ageMs: 90_000 },
      load: 0.65,
      source: "external",
      ageMs: 90_000,
      tier: "high",
    },
    {
      name: "its own where the other's is lower",
      said: { kind: "measured", load: 0.1, source: "external", ageMs: 90_000 },
      load: 0.45,
      source: "edge",
      ageMs: 7_000,
      tier: "medium",
    },
    {
      name: "a pin before all, which has no age",
      said: { kind: "pinned", load: 0.9, untilMs: null },
      load: 0.9,
      source: "pin",
      ageMs: null,
      tier: "critical",
    },
    {
      name: "its own where the other's is stale",
      said: { kind: "stale" },
      load: 0.45,
      source: "edge",
      ageMs: 7_000,
      tier: "medium",
    },
  ])("shows $name", ({ said, load, source, ageMs, tier }) => {
    expect(fleet(said)).toMatchObject({ load, source, signalAgeMs: ageMs, tier, capacityRpm: 1_000 });
  });

  it("shows rates, totals and what is under way", () => {
    const { rates, totals, inFlight, openCircuits, startedMs } = fleet(NOBODY);
    expect(rates).toMatchObject({ offeredPerMinute: 500, admittedPerMinute: 450 });
    expect(new Map(totals).get("default")?.[outcomeAt("low", "refused")]).toBe(50);
    expect({ inFlight, openCircuits, startedMs }).toEqual({ inFlight: 3, openCircuits: 0, startedMs: T - 60_000 });
  });

  it("has no age where KV has never taken anything, or knows that all has ended", () => {
    const rules: LoopRules = { tables: BUILT_IN, publishMs: 10_000, external: null, pin: null, documentsAsOfMs: T };
    expect(viewOf(openLoop(null, T), rules, NOBODY, T)).toMatchObject({ load: 0, source: "edge", signalAgeMs: null });
  });
});
