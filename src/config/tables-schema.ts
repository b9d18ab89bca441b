/**
 * The shape of a `tier-tables` document. `schema/tier-tables.schema.json` is generated from it, so that an editor and
 * the gateway never disagree. Messages say what was expected; the fault adds where, and what was there.
 */
import * as v from "valibot";
import { TIERS } from "../policy/tier.ts";
import { JSON_OBJECT, JsonObject } from "./json.ts";

const LIMIT_MAX = 1_000_000;
const INSTANCES_MAX = 1_000;
const RPS_PER_INSTANCE_MAX = 1_000_000;
export const PATTERNS_MAX = 256;
export const PROFILES_MAX = 64;

function whole(min: number, max: number) {
  const message = `a whole number ${min}..${max}`;
  return v.pipe(v.number(message), v.integer(message), v.minValue(min, message), v.maxValue(max, message));
}

function number(min: number, max: number) {
  const message = `a number ${min}..${max}`;
  return v.pipe(v.number(message), v.minValue(min, message), v.maxValue(max, message));
}

function positive(max: number) {
  const message = `a number above 0, at most ${max}`;
  return v.pipe(v.number(message), v.gtValue(0, message), v.maxValue(max, message));
}

const TierName = v.picklist(TIERS, `one of ${TIERS.join(", ")}`);
const Flag = v.boolean("true or false");

/** An object with these members and no others. */
function object<const E extends v.ObjectEntries>(entries: E) {
  return v.pipe(JsonObject, v.strictObject(entries, JSON_OBJECT));
}

/** Lower-case letters, digits, hyphens: a name is written into header fields and metric labels as it is. */
const ProfileName = v.pipe(
  v.string(),
  v.regex(/^[a-z][a-z0-9-]{0,62}$/, "a name of lower-case letters, digits and hyphens"),
);

/**
 * A path of visible ASCII with nothing to decode or resolve: no `%`, `\`, `;`, `?`, `#`, no empty or dot segment, and
 * `*` only as the last segment.
 */
const PATTERN = /^(?:[A-Z]{1,20} )?(?=\/)(?:\/(?!\.{1,2}(?:\/|$))[!$&'()+,.0-9:=@A-Z_a-z~-]+)*(?:\/\*|\/)?$/;
const Pattern = v.pipe(
  v.string("a path pattern"),
  v.maxLength(1024, "a path pattern of at most 1024 characters"),
  v.regex(PATTERN, 'a path pattern such as "/api/ai/*" or "POST /api/ai/chat"'),
);
const Patterns = v.pipe(
  v.array(Pattern, "a list of path patterns"),
  v.maxLength(PATTERNS_MAX, `at most ${PATTERNS_MAX} patterns`),
);

const Limit = v.exactOptional(whole(0, LIMIT_MAX));
const Threshold = v.exactOptional(number(0, 1));

const ProfileDocument = object({
  match: v.exactOptional(Patterns),
  limits: v.exactOptional(object({ low: Limit, medium: Limit, high: Limit, critical: Limit })),
  window_seconds: v.exactOptional(whole(1, 3600)),
  on_counter_failure: v.exactOptional(v.picklist(["local", "open", "closed"], "one of local, open, closed")),
  shadow: v.exactOptional(Flag),
});

const OverloadDocument = object({
  shed_above: number(0, 1),
  order: v.pipe(
    v.array(v.string("the name of a profile"), "a list of profiles"),
    v.maxLength(PROFILES_MAX, `at most ${PROFILES_MAX} profiles`),
  ),
});

const ScalingDocument = object({
  min_instances: v.exactOptional(whole(1, INSTANCES_MAX)),
  max_instances: v.exactOptional(whole(1, INSTANCES_MAX)),
  rps_per_instance: v.exactOptional(positive(RPS_PER_INSTANCE_MAX)),
});

/** The document under `tier-tables`; every member may be left out. */
export const TierTablesDocument = object({
  capacity_rpm: v.exactOptional(number(1, 1_000_000_000)),
  tiers: v.exactOptional(object({ medium: Threshold, high: Threshold, critical: Threshold })),
  hysteresis: v.exactOptional(
    object({ margin: v.exactOptional(number(0, 0.5)), hold_seconds: v.exactOptional(number(0, 3600)) }),
  ),
  signal: v.exactOptional(
    object({ max_age_seconds: v.exactOptional(number(1, 86_400)), fallback_tier: v.exactOptional(TierName) }),
  ),
  exempt: v.exactOptional(Patterns),
  exempt_limit: v.exactOptional(whole(0, LIMIT_MAX)),
  enforce: v.exactOptional(Flag),
  overload: v.exactOptional(OverloadDocument),
  profiles: v.exactOptional(v.pipe(JsonObject, v.record(ProfileName, ProfileDocument, JSON_OBJECT))),
  scaling: v.exactOptional(ScalingDocument),
});
