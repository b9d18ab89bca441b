/**
 * The way to one counter: one call at a time, which carries every take that waits.
 *
 * While a call is under way, further takes queue; when it lands, each looks again at what the isolate now holds, and
 * those still waiting leave as one call, the takes of one client merged. The call is sent by a request that is itself
 * waiting, held with `waitUntil` in case its client goes away, and every request has a deadline of its own in case the
 * one that sent the call is gone all the same. A take that has no verdict by its deadline is without a counter, and the
 * profile's failure policy decides.
 *
 * A counter that failed three times in a row is left alone for two seconds; then one call probes it. An overloaded one
 * is never asked twice; one call is sent again, with the same number, where the platform says that is safe.
 */
import type { Config } from "../config/vars.ts";
import { sleep, within } from "../deadline.ts";
import { compose, decide, leftOverDueMs, receive } from "../policy/holding.ts";
import type { Answer } from "../policy/lease.ts";
import type { EdgeSignal } from "../policy/publication.ts";
import type { MeterEvent } from "../policy/tally.ts";
import type { Batch, BatchAnswer, ClientAsk, Ports, WaitUntil } from "../ports.ts";
import { beliefOf, type Entry, type Take, type Verdict, verdictOf } from "./quota.ts";

/** A take that needs a counter, and the request it belongs to. */
export interface Waiting {
  readonly entry: Entry;
  readonly take: Take;
  readonly waitUntil: WaitUntil;
}

/** The way to one counter. */
export interface Lane {
  /** The verdict; null where the counter gives none in time. Never rejects. */
  readonly ask: (waiting: Waiting) => Promise<Verdict | null>;
}

interface Passenger extends Waiting {
  readonly arrivedMs: number;
  /** undefined: still waiting. */
  verdict: Verdict | null | undefined;
}

/** One client's takes in a call. */
interface Group {
  readonly entry: Entry;
  /** The first of them; they differ in nothing but their cost. */
  readonly take: Take;
  readonly passengers: readonly Passenger[];
  readonly ask: ClientAsk;
}

/** A lease that has run out with units left. */
interface LeftOver {
  readonly entry: Entry;
  readonly take: Take;
  /** The call that brought it. */
  readonly call: number;
}

/** A call under way. */
interface Flight {
  readonly sentMs: number;
  readonly groups: readonly Group[];
  readonly landed: Promise<void>;
}

/** Takes that may wait for one counter in one isolate; a further one is without a counter at once. */
const QUEUE_MAX = 2_000;
/** Takes that leave in one call; the rest leaves in the next. */
const PASSENGERS_MAX = 500;
const FAILURES_MAX = 3;
const REST_MS = 2_000;
/** Longest that a request stays alive to settle what it borrowed. */
const SETTLE_WAIT_MAX_MS = 6_000;

const LATE = "no answer in time";

/** How counters tell isolates and their calls apart. */
export interface Identity {
  /** Random: no two isolates share one. */
  readonly name: string;
  /** A number higher than any before. */
  readonly nextCall: () => number;
}

/** What a lane passes on besides takes and answers. */
export interface Wire {
  /** The newest word of the meter that this isolate has heard. */
  readonly word: () => EdgeSignal | null;
  readonly hear: (word: EdgeSignal) => void;
  readonly count: (event: MeterEvent, units: number) => void;
}

/** A lane on which nothing has moved yet. */
export function createLane(place: string, identity: Identity, wire: Wire, config: Config, ports: Ports): Lane {
  let queue: Passenger[] = [];
  const leftOvers: LeftOver[] = [];
  let flight: Flight | null = null;
  let failures = 0;
  let restUntilMs = 0;
  /** Unix ms of the newest word that this counter is known to have. */
  let toldMs = 0;

  async function ask(waiting: Waiting): Promise<Verdict | null> {
    const arrivedMs = ports.nowMs();
    if (queue.length >= QUEUE_MAX || isResting(arrivedMs)) return null;
    const passenger: Passenger = { ...waiting, arrivedMs, verdict: undefined };
    queue.push(passenger);
    let leftMs = config.counterTimeoutMs;
    for (let nowMs = arrivedMs; passenger.verdict === undefined; ) {
      expire(nowMs);
      if (isResting(nowMs)) return leave(passenger);
      if (flight === null) depart(passenger, nowMs);
      if (flight === null) continue;
      // Timers, not the clock, say when to give up: a clock that steps back must not make anyone wait.
      const awaited = flight;
      const hasLanded = await within(awaited.landed, leftMs);
      const hadItsTime = !hasLanded && leftMs === config.counterTimeoutMs;
      leftMs -= Math.max(0, ports.nowMs() - nowMs);
      nowMs = ports.nowMs();
      if (passenger.verdict !== undefined) break;
      if (hadItsTime && flight === awaited) strand(awaited.groups, nowMs, LATE);
      if (!hasLanded || leftMs <= 0) return leave(passenger);
    }
    return passenger.verdict;
  }

  /** Gives up a call that has taken too long: its answer, should it still come, is dropped. */
  function expire(nowMs: number): void {
    if (flight === null) return;
    if (Math.abs(nowMs - flight.sentMs) >= config.counterTimeoutMs) strand(flight.groups, nowMs, LATE);
  }

  function isResting(nowMs: number): boolean {
    return nowMs < restUntilMs && nowMs >= restUntilMs - REST_MS;
  }

  function leave(passenger: Passenger): null {
    passenger.verdict = null;
    queue = queue.filter((other) => other !== passenger);
    return null;
  }

  /** Sends all that wait, but for those whom what the isolate holds by now answers. */
  function depart(leader: Waiting, nowMs: number): void {
    const boarding = queue.splice(0, PASSENGERS_MAX).filter((passenger) => !decideAtHand(passenger, nowMs));
    const groups = groupsOf(boarding, nowMs);
    for (const { entry, take, call } of leftOvers.splice(0))
      if (entry.holding.call === call) groups.push(groupOf(entry, take, [], nowMs));
    if (groups.length > 0) send(groups, leader, nowMs);
  }

  function decideAtHand(passenger: Passenger, nowMs: number): boolean {
    const { entry, take } = passenger;
    const decision = decide(entry.holding, take.cost, beliefOf(take), nowMs);
    if (decision.kind === "unknown") return false;
    passenger.verdict = verdictOf(entry, take, decision, nowMs);
    return true;
  }

  function send(groups: readonly Group[], leader: Waiting, nowMs: number): void {
    const { tablesAsOfMs, sources, sourcesAsOfMs, pinned, pinAsOfMs } = leader.take.stamps;
    const beliefs = { tablesAsOfMs, sources, sourcesAsOfMs, pinned, pinAsOfMs };
    const asks = groups.map((group) => group.ask);
    const word = wire.word();
    const wordAtMs = word?.publishedAtMs ?? 0;
    const news = wordAtMs > toldMs ? word : null;
    const batch: Batch = { isolate: identity.name, ...beliefs, asks, word: news, wordAtMs };
    wire.count("counterCalls", 1);
    const answered = callWithRetry(batch, nowMs).then(
      (answer) => {
        wire.count("counterRowsWritten", answer.rowsWritten);
        toldMs = Math.max(toldMs, wordAtMs);
        if (answer.word !== null) wire.hear(answer.word);
        if (flight === sent) land(groups, answer, leader.waitUntil);
      },
      (error: unknown) => {
        if (flight === sent) strand(groups, ports.nowMs(), String(error));
      },
    );
    const sent: Flight = { sentMs: nowMs, groups, landed: answered };
    flight = sent;
    leader.waitUntil(answered);
  }

  async function callWithRetry(batch: Batch, sentMs: number): Promise<BatchAnswer> {
    try {
      return await ports.counters.call(place, batch);
    } catch (error) {
      const isLate = ports.nowMs() >= sentMs + config.counterTimeoutMs;
      if (isLate || !isSet(error, "retryable") || isSet(error, "overloaded")) throw error;
      return await ports.counters.call(place, batch);
    }
  }

  function land(groups: readonly Group[], { answers, tier }: BatchAnswer, waitUntil: WaitUntil): void {
    const nowMs = ports.nowMs();
    flight = null;
    failures = 0;
    for (const [index, group] of groups.entries()) hand(group, answers[index] ?? null, tier, nowMs);
    settleLater(groups, waitUntil, nowMs);
  }

  function hand(
    { entry, passengers, ask: { ask } }: Group,
    answer: Answer | null,
    tier: Verdict["tier"],
    nowMs: number,
  ): void {
    if (answer === null || !receive(entry.holding, answer, ask.costs, nowMs)) {
      for (const passenger of passengers) passenger.verdict = null;
      return;
    }
    entry.tier = tier;
    // Each of the merged takes is told what was left after it, as if they had come one by one.
    let behind = answer.lent;
    for (let i = passengers.length - 1; i >= 0; i--) {
      const passenger = passengers[i];
      if (passenger === undefined) continue;
      const isGranted = answer.granted[i] === true;
      passenger.verdict = verdictOf(
        entry,
        passenger.take,
        isGranted
          ? { kind: "granted", remaining: answer.remaining + behind }
          : { kind: "refused", retryAfterMs: answer.retryAfterMs },
        nowMs,
      );
      if (isGranted) behind += passenger.take.cost;
    }
  }

  /** The call brought nothing: all that left with it are without a counter. */
  function strand(groups: readonly Group[], nowMs: number, error: string): void {
    flight = null;
    failures++;
    wire.count("counterFailures", 1);
    if (failures >= FAILURES_MAX) restUntilMs = nowMs + REST_MS;
    ports.log("warn", "counter-failed", { place, failures, error });
    for (const { passengers } of groups) for (const passenger of passengers) passenger.verdict ??= null;
  }

  /** One timer for all leases of a call: what nobody spends goes back once they have run out. */
  function settleLater(groups: readonly Group[], waitUntil: WaitUntil, nowMs: number): void {
    const dues = groups.flatMap(({ entry }) => leftOverDueMs(entry.holding) ?? []);
    if (dues.length === 0) return;
    const waitMs = Math.min(Math.max(...dues) - nowMs, SETTLE_WAIT_MAX_MS);
    waitUntil(sleep(waitMs).then(() => settle(groups, waitUntil)));
  }

  async function settle(groups: readonly Group[], waitUntil: WaitUntil): Promise<void> {
    const nowMs = ports.nowMs();
    for (const { entry, take, ask } of groups) {
      const isDue = (leftOverDueMs(entry.holding) ?? Number.POSITIVE_INFINITY) <= nowMs;
      if (isDue && entry.holding.call === ask.ask.call) leftOvers.push({ entry, take, call: ask.ask.call });
    }
    if (flight !== null) await within(flight.landed, config.counterTimeoutMs);
    const [first] = leftOvers;
    if (first !== undefined && flight === null && !isResting(ports.nowMs()))
      depart({ ...first, waitUntil }, ports.nowMs());
  }

  /** The takes of one client merged, in order of arrival. */
  function groupsOf(passengers: readonly Passenger[], nowMs: number): Group[] {
    const byEntry = new Map<Entry, [Passenger, ...Passenger[]]>();
    for (const passenger of passengers) {
      const group = byEntry.get(passenger.entry);
      if (group === undefined) byEntry.set(passenger.entry, [passenger]);
      else group.push(passenger);
    }
    return [...byEntry].map(([entry, group]) => groupOf(entry, group[0].take, group, nowMs));
  }

  function groupOf(entry: Entry, take: Take, passengers: readonly Passenger[], nowMs: number): Group {
    const costs = passengers.map((passenger) => passenger.take.cost);
    const ask = compose(entry.holding, identity.nextCall(), costs, beliefOf(take), nowMs);
    const { client, profile, limits, windowMs } = take;
    return { entry, take, passengers, ask: { client: client.key, profile, limits, windowMs, ask } };
  }

  return { ask };
}

function isSet(error: unknown, flag: "retryable" | "overloaded"): boolean {
  return typeof error === "object" && error !== null && (error as Record<string, unknown>)[flag] === true;
}
