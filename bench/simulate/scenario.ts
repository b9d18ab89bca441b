/**
 * The door for scenarios: JSON becomes a load shape with the bands its result must fall in, or one line that says what
 * is wrong with it.
 *
 * Minute 0 of every scenario is `STARTS_AT`, so that a document in it can be dated.
 */
import * as v from "valibot";
import { TIERS } from "../../src/policy/tier.ts";
import { Faulty } from "./faulty.ts";

/** The moment at which every scenario starts. */
export const STARTS_AT = "2026-11-23T15:00:00Z";

function object<const E extends v.ObjectEntries>(entries: E) {
  return v.strictObject(entries, "an object");
}

function number(min: number, max: number) {
  const message = `a number ${min}..${max}`;
  return v.pipe(v.number(message), v.minValue(min, message), v.maxValue(max, message));
}

function whole(min: number, max: number) {
  const message = `a whole number ${min}..${max}`;
  return v.pipe(v.number(message), v.integer(message), v.minValue(min, message), v.maxValue(max, message));
}

/** A simulated day: more would be more than anybody waits for. */
const MINUTES_MAX = 1_440;
/** A simulated client takes about a kilobyte. */
const CLIENTS_MAX = 100_000;
const GROUPS_MAX = 1_000;
const Minute = number(0, MINUTES_MAX);
/** Traffic is booked by the minute. */
const WholeMinute = whole(0, MINUTES_MAX);
const Capacity = number(1, 1_000_000_000);
const JsonObject = v.custom<Record<string, unknown>>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  "an object",
);

const BAND = "a band [least, most]";
const Band = v.pipe(
  v.strictTuple([v.number(BAND), v.number(BAND)], BAND),
  v.check(([least, most]) => least <= most, "a band whose first number is not above its second"),
);
const TierName = v.picklist(TIERS, `one of ${TIERS.join(", ")}`);
const TierBand = v.pipe(
  v.strictTuple([TierName, TierName], "a band [loosest, tightest]"),
  v.check(
    ([loosest, tightest]) => TIERS.indexOf(loosest) <= TIERS.indexOf(tightest),
    "a band whose first tier is not tighter than its second",
  ),
);

/** What can be said of any part of the traffic: requests per minute, and shares of what was offered. */
const traffic = {
  offered_rpm: v.optional(Band),
  admitted_rpm: v.optional(Band),
  refused_rpm: v.optional(Band),
  shed_rpm: v.optional(Band),
  refused: v.optional(Band),
  shed: v.optional(Band),
};

const TrafficBands = object(traffic);

/** What can be said of a stretch of the run. */
const stretch = {
  ...traffic,
  load: v.optional(Band),
  tier_changes: v.optional(Band),
  changes_in_5_minutes: v.optional(Band),
  tier: v.optional(TierBand),
  final_tier: v.optional(TierBand),
  seconds_to_tighten: v.optional(Band),
  seconds_to_critical: v.optional(Band),
  fallback_seconds: v.optional(Band),
  profiles: v.optional(v.record(v.string(), TrafficBands, "an object")),
  groups: v.optional(v.record(v.pipe(v.string(), v.regex(/^\d+$/, "the place of a group in clients")), TrafficBands)),
};

const ScenarioDocument = object({
  name: v.pipe(v.string("a name"), v.nonEmpty("a name")),
  comment: v.optional(v.string("a text")),
  minutes: whole(1, MINUTES_MAX),
  seed: whole(0, 4_294_967_295),
  capacity_rpm: Capacity,
  tables: v.optional(JsonObject),
  kv_delay_seconds: v.optional(number(0, 3_600), 60),
  clients: v.pipe(
    v.array(
      object({
        count: whole(1, CLIENTS_MAX),
        profile: v.string("the name of a profile"),
        rpm: v.pipe(number(0, 1_000_000_000), v.gtValue(0, "a number above 0")),
        arrivals: v.picklist(["poisson", "even"], "poisson or even"),
        from_minute: v.optional(Minute),
        to_minute: v.optional(Minute),
      }),
      "a list of clients",
    ),
    v.maxLength(GROUPS_MAX, `at most ${GROUPS_MAX} groups of clients`),
    v.check(
      (groups) => groups.reduce((sum, { count }) => sum + count, 0) <= CLIENTS_MAX,
      `at most ${CLIENTS_MAX} clients`,
    ),
  ),
  events: v.optional(
    v.pipe(
      v.array(
        object({
          at_minute: Minute,
          for_minutes: v.optional(Minute),
          capacity_rpm: v.optional(Capacity),
          kv: v.optional(v.literal("down", '"down"')),
          publish: v.optional(JsonObject),
        }),
        "a list of events",
      ),
      v.maxLength(GROUPS_MAX, `at most ${GROUPS_MAX} events`),
    ),
    [],
  ),
  expect: v.optional(
    object({
      ...stretch,
      during: v.optional(
        v.array(object({ from_minute: WholeMinute, to_minute: WholeMinute, ...stretch }), "a list of stretches"),
      ),
    }),
    {},
  ),
});

/** A load shape, and what is expected of it. */
export type Scenario = v.InferOutput<typeof ScenarioDocument>;
/** A number of clients that behave alike. */
export type ClientGroup = Scenario["clients"][number];
/** Something that happens besides requests. */
export type ScenarioEvent = Scenario["events"][number];
/** Bands for one stretch of the run. */
export type Expectations = Omit<Scenario["expect"], "during">;
/** Bands for one part of the traffic. */
export type TrafficExpectations = v.InferOutput<typeof TrafficBands>;
export type Band = v.InferOutput<typeof Band>;

/**
 * Reads a scenario.
 *
 * @param named what to call it in a complaint.
 * @throws Faulty on anything that cannot be played.
 */
export function readScenario(text: string, named: string): Scenario {
  const checked = v.safeParse(ScenarioDocument, parse(text, named), { abortPipeEarly: true });
  if (!checked.success) throw faultOf(checked.issues[0], named);
  const scenario = checked.output;
  for (const [index, { from_minute = 0, to_minute = scenario.minutes }] of scenario.clients.entries())
    if (from_minute >= to_minute)
      throw new Faulty(
        `${named}: clients.${index}: expected from_minute below to_minute, got ${from_minute}, ${to_minute}`,
      );
  for (const [index, { from_minute, to_minute }] of (scenario.expect.during ?? []).entries())
    if (from_minute >= to_minute || to_minute > scenario.minutes)
      throw new Faulty(
        `${named}: expect.during.${index}: expected a stretch within ${scenario.minutes} minutes, got ${from_minute}..${to_minute}`,
      );
  return scenario;
}

function parse(text: string, named: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Faulty(`${named}: expected JSON, got ${error instanceof Error ? error.message : String(error)}`);
  }
}

function faultOf(issue: v.InferIssue<typeof ScenarioDocument>, named: string): Faulty {
  const path = v.getDotPath(issue);
  const where = path === null ? named : `${named}: ${path}`;
  if (issue.type === "strict_object" && issue.expected === "never")
    return new Faulty(`${where}: expected no such member`);
  const expected = issue.input === undefined ? "a value" : issue.message;
  return new Faulty(`${where}: expected ${expected}, got ${JSON.stringify(issue.input)?.slice(0, 80) ?? "nothing"}`);
}
