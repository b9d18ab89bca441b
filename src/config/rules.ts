/**
 * Rules that complete tables must keep: what no single member can be blamed for. Each fault names the member of the
 * document that would have to change, and says where the value beside it was built in rather than written.
 */
import { parsePattern } from "../policy/endpoint.ts";
import type { Limits, TierTables } from "../policy/limits.ts";
import { TIERS, type Tier } from "../policy/tier.ts";
import { brief } from "./json.ts";
import { PATTERNS_MAX, PROFILES_MAX } from "./tables-schema.ts";

/** One thing wrong with a document. */
export interface Fault {
  /** JSON path; empty for the document itself. */
  readonly path: string;
  readonly expected: string;
  readonly got: unknown;
}

/** The parts of a document in which a value may be missing, and so built in. */
interface Written {
  readonly tiers?: Partial<Record<Tier, number>> | undefined;
  readonly profiles?: Readonly<Record<string, WrittenProfile>> | undefined;
  readonly scaling?: { readonly min_instances?: number; readonly max_instances?: number } | undefined;
}

interface WrittenProfile {
  readonly limits?: Partial<Limits> | undefined;
  readonly match?: readonly string[] | undefined;
}

/** Everything in which `tables`, made from `written`, break a rule. */
export function faultsOf(tables: TierTables, written: Written): Fault[] {
  return [
    ...thresholdFaults(tables, written),
    ...overloadFaults(tables),
    ...profileFaults(tables, written),
    ...patternFaults(tables, written),
    ...scalingFaults(tables, written),
  ];
}

function thresholdFaults({ thresholds }: TierTables, { tiers }: Written): Fault[] {
  const steps = [
    ["medium", "high"],
    ["high", "critical"],
  ] as const;
  return steps.flatMap(([lower, upper]) => {
    if (thresholds[upper] > thresholds[lower]) return [];
    const than = `${thresholds[lower]}${builtIn(tiers?.[lower])}`;
    const got = `${thresholds[upper]}${builtIn(tiers?.[upper])}`;
    return [{ path: `tiers.${upper}`, expected: `more than tiers.${lower}, which is ${than}`, got }];
  });
}

function overloadFaults({ overload, profiles }: TierTables): Fault[] {
  return (overload?.order ?? []).flatMap((name, index, order) => {
    const path = `overload.order.${index}`;
    if (!Object.hasOwn(profiles, name)) return [{ path, expected: "a profile of these tables", got: brief(name) }];
    return order.indexOf(name) === index ? [] : [{ path, expected: "each profile once", got: name }];
  });
}

function scalingFaults({ scaling: { minInstances, maxInstances } }: TierTables, { scaling }: Written): Fault[] {
  if (maxInstances >= minInstances) return [];
  const than = `${minInstances}${builtIn(scaling?.min_instances)}`;
  const got = `${maxInstances}${builtIn(scaling?.max_instances)}`;
  return [{ path: "scaling.max_instances", expected: `at least scaling.min_instances, which is ${than}`, got }];
}

function profileFaults({ profiles }: TierTables, written: Written): Fault[] {
  const count = Object.keys(profiles).length;
  const faults =
    count > PROFILES_MAX ? [{ path: "profiles", expected: `at most ${PROFILES_MAX} in all`, got: count }] : [];
  return [
    ...faults,
    ...Object.entries(profiles).flatMap(([name, { limits }]) =>
      limitFaults(name, limits, written.profiles?.[name]?.limits),
    ),
  ];
}

function limitFaults(profile: string, limits: Limits, written: Partial<Limits> | undefined): Fault[] {
  const missing = TIERS.filter((tier) => Number.isNaN(limits[tier]));
  if (missing.length > 0)
    return missing.map((tier) => ({
      path: `profiles.${profile}.limits.${tier}`,
      expected: "a limit: a new profile gives all four",
      got: undefined,
    }));
  return TIERS.slice(1).flatMap((tier, index) => {
    const looser = TIERS[index] ?? "low";
    if (limits[tier] <= limits[looser]) return [];
    const than = `${limits[looser]}${builtIn(written?.[looser])}`;
    const got = `${limits[tier]}${builtIn(written?.[tier])}`;
    return [
      { path: `profiles.${profile}.limits.${tier}`, expected: `no more than at ${looser}, which is ${than}`, got },
    ];
  });
}

/** Built-in patterns come first, so that the one who wrote the same again is blamed for it. */
function patternFaults({ profiles }: TierTables, written: Written): Fault[] {
  const patterns = Object.entries(profiles).flatMap(([profile, { match }]) => {
    const isWritten = written.profiles?.[profile]?.match !== undefined;
    return match.map((text, index) => ({ profile, text, index, isWritten }));
  });
  patterns.sort((a, b) => Number(a.isWritten) - Number(b.isWritten));
  const faults: Fault[] = [];
  const owners = new Map<string, (typeof patterns)[number]>();
  for (const pattern of patterns) {
    const { method, path, subtree } = parsePattern(pattern.text, pattern.profile);
    const form = `${method ?? ""} ${path}${subtree ? "/*" : ""}`;
    const owner = owners.get(form);
    if (owner === undefined) owners.set(form, pattern);
    else if (owner.profile !== pattern.profile)
      faults.push({
        path: `profiles.${pattern.profile}.match.${pattern.index}`,
        expected: `a pattern that profile ${owner.profile}${owner.isWritten ? "" : " (built in)"} does not have`,
        got: pattern.text,
      });
  }
  if (patterns.length > PATTERNS_MAX)
    faults.push({ path: "profiles", expected: `at most ${PATTERNS_MAX} patterns in all`, got: patterns.length });
  return faults;
}

function builtIn(written: unknown): string {
  return written === undefined ? " (built in)" : "";
}
