/**
 * One run against everything at once: a seed draws a scene, traffic and mishaps, and the truth log says what was broken.
 * Runs are short, so that there can be many.
 *
 * What a run may not do, the protocol names as exceptions: a crash, and a counter's clock that jumps forward while a
 * lease is open. Those have moods of their own, with the bounds they are promised. Clocks are wrong by at most the margin
 * within one life of a lease; else an isolate's may be hours off and step anywhere while nothing is lent to it.
 */
import { closesAtMs } from "../../src/policy/account.ts";
import type { Tier } from "../../src/policy/tier.ts";
import { type Agenda, createAgenda } from "./agenda.ts";
import { type Chance, createChance } from "./chance.ts";
import { type Clock, createClock } from "./clock.ts";
import type { Isolate } from "./isolate.ts";
import { createNetwork, type Network } from "./network.ts";
import { drawScene, lifeMsOf, type Mood, marginMsOf, type Scene, slownessOf } from "./scene.ts";
import type { Version } from "./shard.ts";
import { createTruth, type Truth } from "./truth.ts";

/** What a run came to. */
export interface Outcome {
  /** The first broken promise; null: all kept. */
  readonly violation: string | null;
  /** Units over, which the exceptions allow for. */
  readonly over: number;
  readonly steps: number;
  readonly admitted: number;
  readonly calls: number;
}

interface Stage {
  readonly mood: Mood;
  readonly chance: Chance;
  readonly scene: Scene;
  readonly agenda: Agenda;
  readonly shardClock: Clock;
  readonly truth: Truth;
  readonly network: Network;
  readonly versions: Version[];
  readonly isolates: Isolate[];
}

const HOUR = 3_600_000;
const T = 1_764_000_000_000;
const CLIENT = "client";
const TIERS = ["low", "medium", "high", "critical"] as const satisfies readonly Tier[];

/** The run of `seed`. */
export function runAdversary(seed: number, mood: Mood): Outcome {
  const chance = createChance(seed);
  const scene = drawScene(chance, mood);
  const agenda = createAgenda();
  const shardClock = createClock(T + chance.between(-HOUR, HOUR), 1);
  const truth = createTruth({ shardClock, isSteady: scene.isSteady });
  const network = createNetwork({
    agenda,
    chance,
    wires: scene.wires,
    shardClock,
    writeMs: mood === "crash" ? () => chance.between(0, 50) : null,
    deadlineMs: scene.deadlineMs,
    truthOf: () => truth,
  });
  const stage: Stage = { mood, chance, scene, agenda, shardClock, truth, network, versions: [], isolates: [] };
  publish(stage);
  for (let i = 0; i < scene.isolates; i++) stage.isolates.push(born(stage));
  sendTraffic(stage);
  planMishaps(stage);
  agenda.runUntil(scene.endMs);
  const over = truth.finish();
  const { calls } = network.shard.tally();
  const violation = truth.violation() ?? leftBehind(stage);
  return { violation, over, steps: agenda.steps(), admitted: truth.admitted(), calls };
}

/** The next version, which isolates learn of one by one. */
function publish({ chance, scene, versions, isolates, agenda }: Stage): void {
  const number = versions.length + 1;
  const limit = number === 1 ? scene.limitMax : chance.whole(chance.is(0.1) ? 0 : 1, scene.limitMax);
  const windowMs = number === 1 ? scene.windows[0] : chance.pick(scene.windows);
  const version: Version = { number, limit, windowMs, tier: TIERS[number % TIERS.length] ?? "low" };
  versions.push(version);
  for (const isolate of isolates)
    if (chance.is(0.9)) agenda.at(agenda.nowMs() + chance.gapMs(windowMs / 8), () => isolate.learn(version));
}

function born(stage: Stage): Isolate {
  const { chance, scene, network, versions, agenda } = stage;
  const known = versions[chance.whole(0, versions.length - 1)];
  if (known === undefined) throw new RangeError("versions: expected at least one, got none");
  const slowness = 0.95 * Math.min(...scene.windows.map(slownessOf));
  const rate = scene.wrong === "slow isolates" ? 1 - slowness * chance.pick([1, 1, -1, chance.next()]) : 1;
  const clock = createClock(T + chance.between(-5 * HOUR, 5 * HOUR), rate);
  const isolate = network.join(`${agenda.steps()}-${chance.next()}`, clock, known);
  if (scene.wrong === "isolates that step") stepBack(stage, isolate);
  return isolate;
}

/** By what the margin allows, once for each call: a lease that has run out would else come back to life. */
function stepBack(stage: Stage, { clock, marginMs, calls }: Isolate): void {
  let callsThen = -1;
  stepAtTimes(stage, () => {
    if (calls() === callsThen) return;
    callsThen = calls();
    clock.step(-0.95 * Math.max(0, Math.min(marginMs(), marginMsOf(stage.scene.windows[0])) - 2));
  });
}

/** A step at most once in the life of a lease, lengthened by that step. */
function stepAtTimes({ chance, scene, agenda }: Stage, step: () => void): void {
  const leastMs = 1.2 * Math.max(...scene.windows.map((ms) => lifeMsOf(ms) + marginMsOf(ms)));
  const next = () => {
    step();
    agenda.at(agenda.nowMs() + leastMs * chance.between(1, 1.5), next);
  };
  agenda.at(leastMs * chance.between(1, 1.5), next);
}

function isolateOf({ isolates, chance }: Stage): Isolate {
  const isolate = isolates[chance.whole(0, isolates.length - 1)];
  if (isolate === undefined) throw new RangeError("isolates: expected at least one, got none");
  return isolate;
}

const UNHEARD = () => {};

/** Even, in bursts, or moving from isolate to isolate. */
function sendTraffic(stage: Stage): void {
  const { chance, scene, agenda } = stage;
  const { burst, stay } = scene;
  const gapMs = scene.endMs / scene.takes;
  let isolate = isolateOf(stage);
  let atMs = 0;
  let inBurst = 0;
  const next = () => {
    if (!chance.is(stay) || !stage.isolates.includes(isolate)) isolate = isolateOf(stage);
    isolate.take(CLIENT, chance.whole(1, scene.costMax), UNHEARD);
    atMs += inBurst-- > 0 ? chance.gapMs(gapMs / 20) : chance.gapMs(gapMs * burst);
    if (inBurst < 0) inBurst = chance.whole(0, 2 * (burst - 1));
    if (atMs < scene.endMs) agenda.at(atMs, next);
  };
  agenda.at(0, next);
}

function planMishaps(stage: Stage): void {
  const { chance, scene, agenda, mood, network, shardClock, truth } = stage;
  const plan = (least: number, most: number, happen: () => void) => {
    for (let i = chance.whole(least, most); i > 0; i--) agenda.at(chance.between(0, scene.endMs), happen);
  };
  if (mood === "crash") {
    agenda.at(chance.between(scene.endMs / 20, scene.endMs / 2), network.shard.crash);
    return;
  }
  plan(0, 4, network.shard.evict);
  plan(0, 2, network.shard.sweep);
  plan(0, 3, () => replaceOne(stage));
  plan(0, 2, () => isolateOf(stage).pushOut(CLIENT));
  plan(0, 4, () => setIsolatesClock(stage));
  if (scene.isSteady) return;
  plan(0, chance.pick([3, 12, 24]), () => publish(stage));
  if (mood === "jump")
    plan(3, 3, () => {
      truth.forgive(truth.openUnits(agenda.nowMs()));
      shardClock.step(chance.between(0, 2) * scene.windows[0]);
    });
  else {
    plan(0, 2, () => setShardsClock(stage));
    if (scene.wrong === "the counter's")
      stepAtTimes(stage, () => shardClock.step(0.95 * (Math.min(...scene.windows.map(marginMsOf)) - 2)));
  }
}

/** One isolate dies, another is born. */
function replaceOne(stage: Stage): void {
  const dying = isolateOf(stage);
  dying.die();
  stage.isolates.splice(stage.isolates.indexOf(dying), 1, born(stage));
}

/** Anywhere while it holds nothing; forward at any time: that only ends a lease early. */
function setIsolatesClock(stage: Stage): void {
  const { chance, scene } = stage;
  const { clock, marginMs } = isolateOf(stage);
  const byMs = chance.between(0, chance.pick([1_000, scene.windows[0], 2 * HOUR]));
  if (marginMs() === Number.POSITIVE_INFINITY) clock.step(chance.pick([1, -1]) * byMs);
  else if (!scene.isSteady) clock.step(byMs);
}

/** Back at any time; forward only while no lease is out. */
function setShardsClock({ chance, scene, agenda, shardClock, truth }: Stage): void {
  const [windowMs] = scene.windows;
  const byMs = chance.pick([100, windowMs / 60, windowMs, 1.5 * windowMs, 2 * HOUR]) * chance.next();
  if (chance.is(0.6)) shardClock.step(-byMs);
  else if (!truth.hasOpen(agenda.nowMs())) shardClock.step(byMs);
}

/** I3: a full window after the last call, plus life and two slices, the state is empty. */
function leftBehind({ network, scene }: Stage): string | null {
  const account = network.shard.accountOf(CLIENT);
  if (account === undefined) return null;
  const { windowMs, newestMs } = account.window;
  const slices = scene.windows.length === 1 ? 2 : 3;
  const mostMs = windowMs + Math.max(...scene.windows.map((ms) => lifeMsOf(ms) + slices * Math.ceil(ms / 60)));
  const leftMs = closesAtMs(account) - newestMs;
  return leftMs <= mostMs ? null : `I3 is empty in the end: closes ${leftMs} ms after the last call, not ${mostMs}`;
}
