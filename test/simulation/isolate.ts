/**
 * An isolate around `holding.ts`, as `edge/quota.ts` and `edge/lane.ts` are: one call under way for each client, further
 * takes wait and leave together with the next, a deadline, one retry with the same message, and a call that only settles
 * where a lease ran out with much left.
 */
import { compose, decide, type Holding, leftOverDueMs, newHolding, receive } from "../../src/policy/holding.ts";
import type { Answer, Ask } from "../../src/policy/lease.ts";
import type { Agenda } from "./agenda.ts";
import type { Clock } from "./clock.ts";
import type { Loan } from "./loan.ts";
import { marginMsOf } from "./scene.ts";
import type { Message, Version } from "./shard.ts";
import type { Truth } from "./truth.ts";

/** What comes of a take; null: no counter answered, the failure policy decides. */
export type Told = (granted: boolean | null) => void;

/** Carries a message there and its answer back. Either may never come, come late, or come twice. */
export type Post = (message: Message, answered: (answer: Answer | null) => void, failed: () => void) => void;

export interface Isolate {
  readonly name: string;
  readonly clock: Clock;
  readonly take: (client: string, cost: number, told: Told) => void;
  readonly learn: (version: Version) => void;
  readonly version: () => Version;
  readonly die: () => void;
  /** The bounded map pushes a record out. */
  readonly pushOut: (client: string) => void;
  /** What its clock may be wrong by: anything while it has no lease, nothing while a call is under way. */
  readonly marginMs: () => number;
  /** Calls sent so far. */
  readonly calls: () => number;
}

export interface IsolateSettings {
  readonly name: string;
  readonly agenda: Agenda;
  readonly clock: Clock;
  readonly post: Post;
  readonly deadlineMs: number;
  readonly version: Version;
  readonly truthOf: (client: string) => Truth | null;
}

interface Waiting {
  readonly cost: number;
  readonly told: Told;
  /** True time. */
  readonly untilMs: number;
}

interface Flight {
  readonly ask: Ask;
  readonly boarded: readonly Waiting[];
  readonly untilMs: number;
  isRetried: boolean;
}

interface Entry {
  readonly client: string;
  readonly holding: Holding;
  flight: Flight | null;
  waiting: Waiting[];
  loan: Loan | null;
}

/** Longest that a request stays alive to settle what it borrowed. */
const SETTLE_WAIT_MAX_MS = 6_000;

export function createIsolate(settings: IsolateSettings): Isolate {
  const { name, agenda, clock, post, deadlineMs, truthOf } = settings;
  const entries = new Map<string, Entry>();
  /** Records that were pushed out, with a lease in hand or a call under way. */
  const orphans: Entry[] = [];
  let { version } = settings;
  let calls = 0;
  let isAlive = true;

  function nowMs(): number {
    return clock.read(agenda.nowMs());
  }

  /** A timer runs as its isolate's clock does. */
  function after(ms: number, happen: () => void): void {
    agenda.at(agenda.nowMs() + (ms + 0.01) / clock.rate, () => isAlive && happen());
  }

  function entryOf(client: string): Entry {
    let entry = entries.get(client);
    if (entry === undefined) {
      entry = { client, holding: newHolding(), flight: null, waiting: [], loan: null };
      entries.set(client, entry);
    }
    return entry;
  }

  function take(client: string, cost: number, told: Told): void {
    const entry = entryOf(client);
    if (!isAlive) told(null);
    if (!isAlive || isAnsweredAtHand(entry, cost, told)) return;
    entry.waiting.push({ cost, told, untilMs: agenda.nowMs() + deadlineMs });
    if (entry.flight === null) depart(entry);
  }

  function isAnsweredAtHand(entry: Entry, cost: number, told: Told): boolean {
    const decision = decide(entry.holding, cost, version, nowMs());
    if (decision.kind === "unknown") return false;
    if (decision.kind === "granted") truthOf(entry.client)?.used(entry.loan, cost, agenda.nowMs());
    told(decision.kind === "granted");
    return true;
  }

  function depart(entry: Entry): void {
    const boarding: Waiting[] = [];
    for (const waiting of entry.waiting.splice(0)) {
      if (agenda.nowMs() >= waiting.untilMs) waiting.told(null);
      else if (!isAnsweredAtHand(entry, waiting.cost, waiting.told)) boarding.push(waiting);
    }
    if (boarding.length > 0) send(entry, boarding);
  }

  function send(entry: Entry, boarded: readonly Waiting[]): void {
    const costs = boarded.map(({ cost }) => cost);
    const ask = compose(entry.holding, ++calls, costs, version, nowMs());
    entry.loan = truthOf(entry.client)?.composed(name, ask, agenda.nowMs(), entry.loan) ?? null;
    const flight: Flight = { ask, boarded, untilMs: agenda.nowMs() + deadlineMs, isRetried: false };
    entry.flight = flight;
    const message: Message = { isolate: name, client: entry.client, version, ask };
    const answered = (answer: Answer | null) => land(entry, flight, answer);
    post(message, answered, () => retry(entry, flight, message, answered));
    after(deadlineMs, () => giveUp(entry, flight));
  }

  function retry(entry: Entry, flight: Flight, message: Message, answered: (answer: Answer | null) => void): void {
    if (entry.flight !== flight || flight.isRetried || agenda.nowMs() >= flight.untilMs) giveUp(entry, flight);
    else {
      flight.isRetried = true;
      post(message, answered, () => giveUp(entry, flight));
    }
  }

  function giveUp(entry: Entry, flight: Flight): void {
    if (!isAlive || entry.flight !== flight) return;
    entry.flight = null;
    truthOf(entry.client)?.closed(entry.loan);
    for (const { told } of flight.boarded) told(null);
    depart(entry);
  }

  function land(entry: Entry, flight: Flight, answer: Answer | null): void {
    if (!isAlive || entry.flight !== flight) return;
    entry.flight = null;
    const isTaken = answer !== null && receive(entry.holding, answer, flight.ask.costs, nowMs());
    for (const [index, { told }] of flight.boarded.entries()) told(isTaken ? answer.granted[index] === true : null);
    settleLater(entry);
    depart(entry);
  }

  function settleLater(entry: Entry): void {
    const { call } = entry.holding;
    const dueMs = leftOverDueMs(entry.holding);
    if (dueMs === null) return;
    after(Math.min(dueMs - nowMs(), SETTLE_WAIT_MAX_MS), () => {
      const isDue = (leftOverDueMs(entry.holding) ?? Number.POSITIVE_INFINITY) <= nowMs();
      if (isDue && entry.holding.call === call && entry.flight === null) send(entry, []);
    });
  }

  return {
    name,
    clock,
    take,
    learn(newer) {
      if (newer.number > version.number) version = newer;
    },
    version: () => version,
    die() {
      isAlive = false;
      for (const { client, loan } of [...entries.values(), ...orphans]) truthOf(client)?.closed(loan);
    },
    pushOut(client) {
      const entry = entries.get(client);
      if (entry !== undefined) orphans.push(entry);
      entries.delete(client);
    },
    calls: () => calls,
    marginMs() {
      const margins = [...entries.values(), ...orphans].map(({ flight, holding: { lease } }) => {
        if (flight !== null) return 0;
        return lease === null ? Number.POSITIVE_INFINITY : marginMsOf(lease.windowMs);
      });
      return Math.min(...margins);
    },
  };
}
