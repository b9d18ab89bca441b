/**
 * One counter, its isolates, and the wires between them: messages are delayed, lost, sent twice and overtaken.
 */
import type { Agenda } from "./agenda.ts";
import type { Chance } from "./chance.ts";
import type { Clock } from "./clock.ts";
import { createIsolate, type Isolate, type Post } from "./isolate.ts";
import { createShard, type Shard, type Version } from "./shard.ts";
import type { Truth } from "./truth.ts";

/** How messages fare. */
export interface Wires {
  readonly oneWayMs: () => number;
  /** Chance that a message, or its answer, is lost. */
  readonly lost: number;
  /** Chance that the sender learns of a loss before its deadline. */
  readonly noticed: number;
  /** Chance that a message comes a second time. */
  readonly repeated: number;
  /** How much later it then comes. */
  readonly repeatedAfterMs: () => number;
}

export interface NetworkSettings {
  readonly agenda: Agenda;
  readonly chance: Chance;
  readonly wires: Wires;
  readonly shardClock: Clock;
  readonly writeMs: (() => number) | null;
  readonly deadlineMs: number;
  readonly truthOf: (client: string) => Truth | null;
}

export interface Network {
  readonly shard: Shard;
  readonly join: (name: string, clock: Clock, version: Version) => Isolate;
}

export function createNetwork(settings: NetworkSettings): Network {
  const { agenda, chance, wires, shardClock, writeMs, deadlineMs, truthOf } = settings;
  const shard = createShard({ agenda, clock: shardClock, writeMs, truthOf });

  function travel(arrive: () => void): void {
    agenda.at(agenda.nowMs() + wires.oneWayMs(), arrive);
  }

  const post: Post = (message, answered, failed) => {
    const isLost = () => wires.lost > 0 && chance.is(wires.lost);
    const fail = () => {
      if (chance.is(wires.noticed)) travel(failed);
    };
    const deliver = () =>
      shard.receive(message, (answer) => {
        if (isLost()) fail();
        else travel(() => answered(answer));
      });
    if (isLost()) fail();
    else travel(deliver);
    if (wires.repeated > 0 && chance.is(wires.repeated))
      agenda.at(agenda.nowMs() + wires.repeatedAfterMs() + wires.oneWayMs(), deliver);
  };

  return {
    shard,
    join: (name, clock, version) => createIsolate({ name, agenda, clock, post, deadlineMs, version, truthOf }),
  };
}
