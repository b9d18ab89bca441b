/**
 * Plays a scenario on a moved clock: clients, isolates, counters, the meter and KV, with the policy code that runs in
 * the gateway. The same seed plays the same.
 *
 * Time goes in steps of a quarter of a second, finer than anything that decides here. What it leaves out: leases (units
 * are counted one by one, exactly), the origin (it answers after 100 ms, whatever comes), and every delay shorter than
 * a step.
 */

import { readRate } from "../../src/config/signals.ts";
import { sheds } from "../../src/policy/fair-shed.ts";
import { acknowledge, flushWaitMs, nextFlush } from "../../src/policy/flush.ts";
import type { TierTables } from "../../src/policy/limits.ts";
import { deriveLoad } from "../../src/policy/load.ts";
import {
  dueAt,
  type LoadLoop,
  type LoopRules,
  openLoop,
  published,
  publishing,
  receive,
} from "../../src/policy/load-loop.ts";
import { countAnswer, countOutcome, countRefusal } from "../../src/policy/tally.ts";
import type { Tier } from "../../src/policy/tier.ts";
import { type Arrivals, arrivalsOf } from "./arrivals.ts";
import { type Books, type MinuteBook, noTraffic, type TierChange, type Traffic } from "./books.ts";
import { seeded } from "./chance.ts";
import { type Counted, count, type InForce, learn, newCounted } from "./counters.ts";
import { Faulty } from "./faulty.ts";
import { EDGE_KEY, EXTERNAL_KEY, edgeSignalOf, hear, type Isolate, newIsolate, outlookAt } from "./isolate.ts";
import { type Scenario, type ScenarioEvent, STARTS_AT } from "./scenario.ts";
import { newStore, read, type Store, write } from "./store.ts";

/** How to play, beside the scenario. */
export interface Play {
  /** false: isolates learn from KV alone; no reply of meter or counter carries anything. */
  readonly isTelling?: boolean;
  readonly isolates?: number;
  readonly publishMs?: number;
}

const STEP_MS = 250;
const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const ISOLATES = 6;
const PUBLISH_MS = 10_000;
/** How often the meter reads the documents of others again. */
const METER_REFRESH_MS = 30_000;
/** A publisher that goes on speaks once a minute, as a cron job does. */
const PUBLISHER_EVERY_MS = 60_000;
/** A share to shed is not acted by when it is older: it would outlive the flood it was for. */
const SHED_MAX_AGE_MS = 30_000;
const RESPONSE_MS = 100;
/** The origin answers within a step, and nobody's circuit is open. */
const AT_REST = { inFlight: 0, isCircuitOpen: false };

interface Group {
  readonly profile: string;
  readonly clients: readonly Counted[];
  readonly arrivals: Arrivals;
}

/** The whole machine. */
interface World {
  readonly startMs: number;
  readonly store: Store;
  readonly loop: LoadLoop;
  readonly isolates: readonly Isolate[];
  readonly groups: readonly Group[];
  readonly inForce: InForce;
  readonly isTelling: boolean;
  readonly random: () => number;
  rules: LoopRules;
  externalReadMs: number;
  nowMs: number;
  /** Of the last request. */
  askedMs: number;
}

/**
 * Plays `scenario` under `tables`.
 *
 * @throws Faulty where a group names a profile that the tables lack.
 */
export function run(scenario: Scenario, tables: TierTables, play: Play = {}): Books {
  const world = build(scenario, tables, play);
  const minutes: MinuteBook[] = [];
  const changes: TierChange[] = [];
  const steepSeconds: number[] = [];
  const writes = { taken: 0, refused: 0 };
  const startTier = world.inForce.tier;
  let flushes = 0;
  let tier = startTier;
  for (let atMs = 0; atMs < scenario.minutes * MINUTE_MS; atMs += STEP_MS) {
    world.nowMs = world.startMs + atMs;
    const minute = openMinute(minutes, Math.floor(atMs / MINUTE_MS), world.groups.length, tier);
    happen(scenario.events, world, tables.capacityRpm, atMs);
    for (const [index, group] of world.groups.entries())
      group.arrivals(atMs, atMs + STEP_MS, (place) => meet(world, group, place, minute.groups[index] ?? noTraffic()));
    flushes += flushAll(world);
    if (atMs % SECOND_MS === 0) keepTime(world, minute, writes);
    if (world.loop.fleet.steepChanges > steepSeconds.length) steepSeconds.push(atMs / SECOND_MS);
    if (world.inForce.tier !== tier) {
      changes.push({ second: atMs / SECOND_MS, from: tier, to: world.inForce.tier });
      tier = world.inForce.tier;
    }
    minute.tier = tier;
  }
  return { minutes, changes, startTier, steepSeconds, writes, flushes };
}

function build(scenario: Scenario, tables: TierTables, play: Play): World {
  const random = seeded(scenario.seed);
  const startMs = Date.parse(STARTS_AT);
  const isolates = Array.from({ length: play.isolates ?? ISOLATES }, (_, i) =>
    newIsolate(`isolate-${i}`, Math.floor(random() * 2 ** 31), startMs - Math.floor(random() * 30) * SECOND_MS),
  );
  const groups = scenario.clients.map((group, index) => {
    if (!Object.hasOwn(tables.profiles, group.profile))
      throw new Faulty(
        `${scenario.name}: clients.${index}.profile: expected a profile of the tables, got "${group.profile}"`,
      );
    const clients = Array.from({ length: group.count }, (_, i) => newCounted(`${index}-${i}`));
    return { profile: group.profile, clients, arrivals: arrivalsOf(group, scenario.minutes, random) };
  });
  return {
    startMs,
    store: newStore(scenario.kv_delay_seconds * SECOND_MS),
    loop: openLoop(null, startMs),
    isolates,
    groups,
    inForce: { tier: "low", asOfMs: Number.NEGATIVE_INFINITY, word: null },
    isTelling: play.isTelling ?? true,
    random,
    rules: { tables, publishMs: play.publishMs ?? PUBLISH_MS, external: null, pin: null, documentsAsOfMs: 0 },
    externalReadMs: Number.NEGATIVE_INFINITY,
    nowMs: startMs,
    askedMs: startMs,
  };
}

function openMinute(minutes: MinuteBook[], minute: number, groups: number, tier: Tier): MinuteBook {
  const known = minutes[minute];
  if (known !== undefined) return known;
  const opened = { groups: Array.from({ length: groups }, noTraffic), load: 0, tier, fallbackSeconds: 0 };
  minutes.push(opened);
  return opened;
}

/** One request, from the isolate it comes through to its outcome. */
function meet(world: World, { profile, clients }: Group, place: number, book: Traffic): void {
  const { nowMs, inForce, isolates } = world;
  const client = clients[place];
  const isolate = isolates[place % isolates.length];
  const rules = world.rules.tables.profiles[profile];
  if (client === undefined || isolate === undefined || rules === undefined) return;
  book.offered++;
  world.askedMs = nowMs;
  const outlook = outlookAt(isolate, world.store, world.rules.tables, nowMs);
  const edge = edgeSignalOf(isolate.edge);
  const ageMs = nowMs - (edge?.publishedAtMs ?? Number.NEGATIVE_INFINITY);
  const share = ageMs <= SHED_MAX_AGE_MS ? (edge?.shed[profile] ?? 0) : 0;
  if (share > 0 && sheds(isolate.fair, profile, client.key, share, world.random(), nowMs)) {
    book.shed++;
    countOutcome(isolate.reporter.tally, profile, inForce.tier, "shed", nowMs);
    return;
  }
  if (edge?.publishedAtMs !== inForce.asOfMs) exchange(world, isolate, outlook.tier);
  const tier = inForce.tier;
  const { tally } = isolate.reporter;
  const nth = count(client, rules, tier, nowMs);
  const isShadow = rules.shadow || !world.rules.tables.enforce;
  if (nth > 0 && !isShadow) {
    book.refused++;
    countRefusal(tally, profile, tier, nth, rules.limits, nowMs);
    return;
  }
  book.admitted++;
  countOutcome(tally, profile, tier, nth > 0 ? "shadow_refused" : "admitted", nowMs);
  countAnswer(tally, profile, 200, RESPONSE_MS, nowMs);
}

/** Counter and isolate tell each other what they have heard; without a word, the isolate's copy is its word. */
function exchange({ inForce, nowMs, isTelling }: World, isolate: Isolate, tier: Tier): void {
  const edge = edgeSignalOf(isolate.edge);
  learn(inForce, tier, Math.max(edge?.publishedAtMs ?? isolate.readMs, 0));
  if (!isTelling) return;
  if (inForce.word !== null) hear(isolate, inForce.word, nowMs);
  const after = edgeSignalOf(isolate.edge);
  if (after !== null && after.publishedAtMs !== null) inForce.word = after;
}

function flushAll({ isolates, loop, rules, isTelling, nowMs }: World): number {
  let flushes = 0;
  for (const isolate of isolates) {
    if (flushWaitMs(isolate.reporter, nowMs) !== 0) continue;
    const flush = nextFlush(isolate.reporter, AT_REST, nowMs);
    if (flush === null) continue;
    const { signal } = receive(loop, flush, rules, nowMs);
    acknowledge(isolate.reporter, flush.number);
    if (isTelling) hear(isolate, signal, nowMs);
    flushes++;
  }
  return flushes;
}

/** Once a second: the meter's own doings, and what is written down. */
function keepTime(world: World, minute: MinuteBook, writes: { taken: number; refused: number }): void {
  const { loop, store, nowMs } = world;
  if (nowMs - world.externalReadMs >= METER_REFRESH_MS) readExternal(world);
  const due = dueAt(loop, world.rules, nowMs);
  if (due.kind !== "wait") {
    publishing(loop, due.kind, nowMs);
    const isTaken = write(store, EDGE_KEY, JSON.stringify(due.document), nowMs);
    published(loop, due.kind, isTaken);
    if (isTaken) writes.taken++;
    else writes.refused++;
  }
  const measured = (loop.signal?.requestsPerMinute ?? 0) / world.rules.tables.capacityRpm;
  minute.load = Math.min(1, Math.max(measured, world.rules.external?.load ?? 0));
  if (nowMs - world.askedMs >= MINUTE_MS) visit(world);
  if (world.isolates.some(({ outlook }) => outlook?.basis === "fallback")) minute.fallbackSeconds++;
}

/** While nobody asks, the tier is what a request that came now would find. */
function visit({ store, rules, inForce, nowMs }: World): void {
  const isolate = newIsolate("visitor", 0, Number.NEGATIVE_INFINITY);
  learn(inForce, outlookAt(isolate, store, rules.tables, nowMs).tier, nowMs);
}

function readExternal(world: World): void {
  const text = read(world.store, EXTERNAL_KEY, world.nowMs);
  if (text === undefined) return;
  world.externalReadMs = world.nowMs;
  const { tables } = world.rules;
  const signal = text === null ? null : readRate("external", text);
  const signals = signal === null ? [] : [signal];
  const rules = { capacityRpm: tables.capacityRpm, maxAgeMs: tables.signal.maxAgeMs };
  const load = deriveLoad({ signals, pin: null }, rules, world.nowMs);
  const isFresh = load.kind === "measured" && signal !== null && !("unusable" in signal);
  const external = isFresh ? { load: load.load, capacityRpm: signal.capacity ?? tables.capacityRpm } : null;
  world.rules = { ...world.rules, external };
}

/** Starts and ends what the scenario says besides requests. */
function happen(events: readonly ScenarioEvent[], world: World, capacityRpm: number, atMs: number): void {
  for (const event of events) {
    const sinceMs = atMs - event.at_minute * MINUTE_MS;
    const endsMs = event.for_minutes === undefined ? Number.POSITIVE_INFINITY : event.for_minutes * MINUTE_MS;
    const starts = sinceMs >= 0 && sinceMs < STEP_MS;
    const ends = sinceMs >= endsMs && sinceMs < endsMs + STEP_MS;
    if (event.capacity_rpm !== undefined && (starts || ends)) {
      const tables = { ...world.rules.tables, capacityRpm: ends ? capacityRpm : event.capacity_rpm };
      world.rules = { ...world.rules, tables };
    }
    if (event.kv === "down" && (starts || ends)) world.store.isDown = starts;
    if (event.publish !== undefined) speak(event.publish, event.for_minutes !== undefined, world, sinceMs, endsMs);
  }
}

/**
 * A publisher that speaks for some minutes says the same each minute, by a clock that goes on; what it leaves undated is
 * gone with it.
 */
function speak(
  document: Readonly<Record<string, unknown>>,
  isGoingOn: boolean,
  { store, nowMs }: World,
  sinceMs: number,
  endsMs: number,
): void {
  const speaks = sinceMs >= 0 && sinceMs < endsMs && sinceMs % PUBLISHER_EVERY_MS < STEP_MS;
  if (speaks && (isGoingOn || sinceMs < STEP_MS))
    write(store, EXTERNAL_KEY, JSON.stringify(dated(document, sinceMs)), nowMs);
  const isUndated = document["published_at"] === undefined;
  if (isUndated && sinceMs >= endsMs && sinceMs < endsMs + STEP_MS) write(store, EXTERNAL_KEY, null, nowMs);
}

function dated(document: Readonly<Record<string, unknown>>, sinceMs: number): Readonly<Record<string, unknown>> {
  const { published_at: at } = document;
  if (typeof at === "number") return { ...document, published_at: at + sinceMs };
  if (typeof at !== "string" || Number.isNaN(Date.parse(at))) return document;
  return { ...document, published_at: new Date(Date.parse(at) + sinceMs).toISOString() };
}
