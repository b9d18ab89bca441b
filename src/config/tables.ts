/**
 * The door for `tier-tables`: a partial JSON document becomes complete tables, or a list of everything wrong with it.
 *
 * What the document leaves out keeps its built-in value. Shapes are checked on what was written, rules on the complete
 * result, so that a document which fits the built-in tables badly is refused too; the fault then says which of the two
 * values was built in. A document is taken whole or not at all.
 */
import * as v from "valibot";
import { BUILT_IN, type Profile, type TierTables } from "../policy/limits.ts";
import type { ScalingRules } from "../policy/scaling.ts";
import { brief, parseJson } from "./json.ts";
import { type Fault, faultsOf } from "./rules.ts";
import { TierTablesDocument } from "./tables-schema.ts";

/** What came of a document. */
export type ReadTables =
  | { readonly ok: true; readonly tables: TierTables }
  | { readonly ok: false; readonly faults: readonly Fault[] };

type Document = v.InferOutput<typeof TierTablesDocument>;
type ProfileDocument = NonNullable<Document["profiles"]>[string];

/** Reads a `tier-tables` document; never throws. */
export function readTierTables(text: string): ReadTables {
  const parsed = parseJson(text);
  if (!parsed.ok) return { ok: false, faults: [{ path: "", expected: parsed.expected, got: parsed.got }] };
  const checked = v.safeParse(TierTablesDocument, parsed.value, { abortPipeEarly: true });
  if (!checked.success) return { ok: false, faults: checked.issues.map(faultOfIssue) };
  const tables = complete(checked.output);
  const faults = faultsOf(tables, checked.output);
  return faults.length === 0 ? { ok: true, tables } : { ok: false, faults };
}

function faultOfIssue(issue: v.InferIssue<typeof TierTablesDocument>): Fault {
  const path = v.getDotPath(issue) ?? "";
  if (issue.type === "strict_object" && issue.expected === "never")
    return { path, expected: "no such member", got: brief(issue.input) };
  if (issue.type === "strict_object" && issue.input === undefined) return { path, expected: "a value", got: undefined };
  return { path, expected: issue.message, got: brief(issue.input) };
}

function complete(document: Document): TierTables {
  const { tiers, hysteresis, signal, overload } = document;
  return {
    capacityRpm: document.capacity_rpm ?? BUILT_IN.capacityRpm,
    thresholds: { ...BUILT_IN.thresholds, ...tiers },
    hysteresis: {
      margin: hysteresis?.margin ?? BUILT_IN.hysteresis.margin,
      holdMs: inMs(hysteresis?.hold_seconds) ?? BUILT_IN.hysteresis.holdMs,
    },
    signal: {
      maxAgeMs: inMs(signal?.max_age_seconds) ?? BUILT_IN.signal.maxAgeMs,
      fallbackTier: signal?.fallback_tier ?? BUILT_IN.signal.fallbackTier,
    },
    exempt: document.exempt ?? BUILT_IN.exempt,
    exemptLimit: document.exempt_limit ?? BUILT_IN.exemptLimit,
    enforce: document.enforce ?? BUILT_IN.enforce,
    overload: overload === undefined ? BUILT_IN.overload : { shedAbove: overload.shed_above, order: overload.order },
    profiles: completeProfiles(document.profiles ?? {}),
    scaling: completeScaling(document.scaling),
  };
}

function completeScaling(document: Document["scaling"]): ScalingRules {
  return {
    minInstances: document?.min_instances ?? BUILT_IN.scaling.minInstances,
    maxInstances: document?.max_instances ?? BUILT_IN.scaling.maxInstances,
    rpsPerInstance: document?.rps_per_instance ?? BUILT_IN.scaling.rpsPerInstance,
  };
}

function completeProfiles(documents: Readonly<Record<string, ProfileDocument>>): Readonly<Record<string, Profile>> {
  const profiles: Record<string, Profile> = { ...BUILT_IN.profiles };
  for (const [name, document] of Object.entries(documents)) {
    const base = BUILT_IN.profiles[name];
    profiles[name] = {
      match: document.match ?? base?.match ?? [],
      // A new profile that leaves out a limit is caught by the rules, which see the gap as NaN.
      limits: { ...(base?.limits ?? NO_LIMITS), ...document.limits },
      windowMs: inMs(document.window_seconds) ?? base?.windowMs ?? 60_000,
      onCounterFailure: document.on_counter_failure ?? base?.onCounterFailure ?? "local",
      shadow: document.shadow ?? base?.shadow ?? false,
    };
  }
  return profiles;
}

const NO_LIMITS = { low: Number.NaN, medium: Number.NaN, high: Number.NaN, critical: Number.NaN };

function inMs(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : Math.round(seconds * 1000);
}
