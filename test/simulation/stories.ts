/**
 * What one or two isolates are promised, each as a small story with chance in its details: one alone gets exactly its
 * limit; one that falls silent gives back what it did not use; of one that died nothing is kept for ever.
 */
import { at } from "../../src/policy/account.ts";
import { usedOf } from "../../src/policy/window.ts";
import { type Agenda, createAgenda } from "./agenda.ts";
import { type Chance, createChance } from "./chance.ts";
import { type Clock, createClock } from "./clock.ts";
import { createNetwork, type Network } from "./network.ts";
import { lifeMsOf, marginMsOf } from "./scene.ts";
import type { Version } from "./shard.ts";
import { createTruth, type Truth } from "./truth.ts";

const T = 1_764_000_000_000;
const CLIENT = "client";

interface World {
  readonly chance: Chance;
  readonly agenda: Agenda;
  readonly shardClock: Clock;
  readonly network: Network;
  readonly truth: Truth;
}

function worldOf(seed: number, windowMs: number, slowestMs: number): World {
  const chance = createChance(seed);
  const agenda = createAgenda();
  const shardClock = createClock(T + chance.between(0, windowMs), 1);
  const truth = createTruth({ shardClock, isSteady: true });
  const network = createNetwork({
    agenda,
    chance,
    wires: {
      oneWayMs: () => chance.between(slowestMs / 4, slowestMs),
      lost: 0,
      noticed: 0,
      repeated: 0,
      repeatedAfterMs: () => 0,
    },
    shardClock,
    writeMs: null,
    deadlineMs: 1_000_000,
    truthOf: () => truth,
  });
  return { chance, agenda, shardClock, network, truth };
}

/**
 * One isolate, costs 1 to 5, arrivals of any shape within a window. Refused is only what does not fit into what is left
 * at that moment, and takes of one unit get the limit used up.
 *
 * @returns what was needlessly refused, or that not the limit was admitted; null if all is well.
 */
export function tellOfOneAlone(seed: number): string | null {
  const windowMs = createChance(-seed).pick([5_000, 10_000, 60_000]);
  const { chance, agenda, network, truth } = worldOf(seed, windowMs, lifeMsOf(windowMs) / chanceOfSlowness(seed));
  const limit = chance.whole(1, 60);
  const version: Version = { number: 1, tier: "low", limit, windowMs };
  const isolate = network.join("alone", createClock(T, 1), version);
  let admitted = 0;
  let refused: string | null = null;
  const take = (cost: number) =>
    isolate.take(CLIENT, cost, (granted) => {
      if (granted === true) admitted += cost;
      else if (admitted + cost <= limit) refused ??= `refused ${cost} with ${admitted} of ${limit} used (${seed})`;
    });
  const spreadMs = windowMs * chance.pick([0.05, 0.3, 0.8]);
  for (let i = chance.whole(1, limit); i > 0; i--) {
    const atMs = chance.between(0, spreadMs);
    const together = chance.is(0.3) ? chance.whole(2, 6) : 1;
    for (let j = 0; j < together; j++) agenda.at(atMs, () => take(chance.whole(1, 5)));
  }
  for (let i = 0; i < limit; i++) agenda.at(chance.between(spreadMs, windowMs * 0.9), () => take(1));
  agenda.runUntil(windowMs * 0.99);
  if (refused !== null) return refused;
  if (admitted !== limit) return `admitted ${admitted} of ${limit} (${seed})`;
  return truth.violation();
}

function chanceOfSlowness(seed: number): number {
  return createChance(seed + 7_000_000).pick([4, 30, 300]);
}

/** I3 (a): an isolate falls silent, or (b) dies; the first gives back within a life, a slice and the way there. */
export function tellOfOneThatLeaves(seed: number, isDead: boolean): string | null {
  const windowMs = createChance(-seed).pick([5_000, 60_000]);
  const lifeMs = lifeMsOf(windowMs);
  const slowestMs = lifeMs / 100;
  const { chance, agenda, shardClock, network, truth } = worldOf(seed, windowMs, slowestMs);
  const limit = chance.whole(4, 200);
  const isolate = network.join("leaving", createClock(T, 1), { number: 1, tier: "low", limit, windowMs });
  let sentMs = 0;
  let admitted = 0;
  const takes = chance.whole(2, 12);
  for (let i = 0; i < takes; i++)
    agenda.at((i * lifeMs) / 5 + chance.between(0, lifeMs / 10), () => {
      sentMs = agenda.nowMs();
      isolate.take(CLIENT, 1, (granted) => {
        if (granted === true) admitted++;
      });
    });
  agenda.runUntil((takes * lifeMs) / 5 + 2 * slowestMs);
  if (isDead) isolate.die();
  const sliceMs = Math.ceil(windowMs / 60);
  const backMs = sentMs + lifeMs + sliceMs + 4 * slowestMs;
  agenda.runUntil(isDead ? backMs + windowMs + marginMsOf(windowMs) : backMs);
  const account = network.shard.accountOf(CLIENT);
  if (account === undefined) return "keeps no account";
  const charged = usedOf(at(account, windowMs, shardClock.read(agenda.nowMs())).window);
  if (isDead) return charged === 0 ? truth.violation() : `keeps ${charged} of one that died (${seed})`;
  // Units that were less than a tenth of what was free anyway come back with the window.
  const kept = charged - admitted;
  const worth = 0.1 * (limit - charged);
  return kept <= Math.max(0, worth) ? truth.violation() : `keeps ${kept} beyond ${admitted} used of ${limit} (${seed})`;
}
