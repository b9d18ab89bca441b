/**
 * Whether a run fell into the bands that its scenario expects.
 *
 * Rates and load are means over the stretch, shares are of what was offered in it, and tiers are those in force at each
 * moment of it. Every bound is included.
 *
 * Pure.
 */
import { TIERS, type Tier } from "../../src/policy/tier.ts";
import { type Books, sumTraffic, type TierChange, type Traffic } from "./books.ts";
import type { Band, Expectations, Scenario, TrafficExpectations } from "./scenario.ts";

/** Minutes of a run, the second not included. */
interface Stretch {
  readonly from: number;
  readonly to: number;
}

const MINUTE = 60;
const FIVE_MINUTES = 300;

/** What was missed, one line each; none: the verdict is ok. */
export function missedIn(scenario: Scenario, books: Books): string[] {
  const { during = [], ...whole } = scenario.expect;
  return [
    ...missed(whole, { from: 0, to: scenario.minutes }, scenario, books, ""),
    ...during.flatMap(({ from_minute: from, to_minute: to, ...expected }) =>
      missed(expected, { from, to }, scenario, books, `minute ${from} to ${to}: `),
    ),
  ];
}

function missed(
  expected: Expectations,
  { from, to }: Stretch,
  scenario: Scenario,
  books: Books,
  where: string,
): string[] {
  const minutes = books.minutes.slice(from, to);
  const changes = books.changes.filter(({ second }) => second >= from * MINUTE && second < to * MINUTE);
  const start = tierAt(books, from * MINUTE);
  const tiers = [start, ...changes.map((change) => change.to)];
  const final = tiers[tiers.length - 1] ?? start;
  const since = (change: TierChange | undefined) =>
    change === undefined ? Number.POSITIVE_INFINITY : change.second - from * MINUTE;
  const tightened = changes.find((change) => TIERS.indexOf(change.to) > TIERS.indexOf(change.from));
  const critical = changes.find((change) => change.to === "critical");
  const isOf = (name: string) => (_: unknown, group: number) => scenario.clients[group]?.profile === name;
  const traffic = (isCounted: (part: Traffic, group: number) => boolean) =>
    sumTraffic(minutes.flatMap(({ groups }) => groups.filter(isCounted)));
  return [
    ...missedTraffic(
      expected,
      traffic(() => true),
      minutes.length,
      where,
    ),
    ...Object.entries(expected.profiles ?? {}).flatMap(([name, bands]) =>
      missedTraffic(bands, traffic(isOf(name)), minutes.length, `${where}profile ${name}: `),
    ),
    ...Object.entries(expected.groups ?? {}).flatMap(([place, bands]) =>
      missedTraffic(
        bands,
        traffic((_, group) => group === Number(place)),
        minutes.length,
        `${where}clients.${place}: `,
      ),
    ),
    ...within(`${where}load`, mean(minutes.map(({ load }) => load)), expected.load),
    ...within(`${where}tier_changes`, changes.length, expected.tier_changes),
    ...within(`${where}changes_in_5_minutes`, mostIn(changes, FIVE_MINUTES), expected.changes_in_5_minutes),
    ...within(`${where}seconds_to_tighten`, since(tightened), expected.seconds_to_tighten),
    ...within(`${where}seconds_to_critical`, start === "critical" ? 0 : since(critical), expected.seconds_to_critical),
    ...within(
      `${where}fallback_seconds`,
      minutes.reduce((sum, { fallbackSeconds }) => sum + fallbackSeconds, 0),
      expected.fallback_seconds,
    ),
    ...tiers.flatMap((tier) => withinTiers(`${where}tier`, tier, expected.tier)).slice(0, 1),
    ...withinTiers(`${where}final_tier`, final, expected.final_tier),
  ];
}

function missedTraffic(expected: TrafficExpectations, traffic: Traffic, minutes: number, where: string): string[] {
  const { offered, admitted, refused, shed } = traffic;
  const share = (count: number) => (offered === 0 ? 0 : count / offered);
  return [
    ...within(`${where}offered_rpm`, offered / minutes, expected.offered_rpm),
    ...within(`${where}admitted_rpm`, admitted / minutes, expected.admitted_rpm),
    ...within(`${where}refused_rpm`, refused / minutes, expected.refused_rpm),
    ...within(`${where}shed_rpm`, shed / minutes, expected.shed_rpm),
    ...within(`${where}refused`, share(refused), expected.refused),
    ...within(`${where}shed`, share(shed), expected.shed),
  ];
}

function within(what: string, got: number, band: Band | undefined): string[] {
  if (band === undefined || (got >= band[0] && got <= band[1])) return [];
  return [`${what}: expected ${band[0]}..${band[1]}, got ${Number.isFinite(got) ? Number(got.toFixed(3)) : "never"}`];
}

function withinTiers(what: string, got: Tier, band: readonly [Tier, Tier] | undefined): string[] {
  if (band === undefined) return [];
  const place = TIERS.indexOf(got);
  if (place >= TIERS.indexOf(band[0]) && place <= TIERS.indexOf(band[1])) return [];
  return [`${what}: expected ${band[0] === band[1] ? band[0] : `${band[0]}..${band[1]}`}, got ${got}`];
}

/** The tier in force at a second; a change counts from its second on. */
function tierAt({ changes, startTier }: Books, second: number): Tier {
  return changes.findLast((change) => change.second < second)?.to ?? startTier;
}

/** The most changes in any stretch of so many seconds. */
function mostIn(changes: readonly TierChange[], seconds: number): number {
  const from = changes.map(({ second: start }) =>
    changes.filter(({ second }) => second >= start && second < start + seconds),
  );
  return Math.max(0, ...from.map((some) => some.length));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}
