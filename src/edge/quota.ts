/**
 * What this isolate may grant or refuse by itself, and the calls to counters when it may not.
 *
 * Each client and profile has a record: a lease, a remembered refusal, the last answer. The records are bounded; one
 * that is dropped is, to the counter, an isolate that died, which is safe.
 *
 * Takes that need a counter travel together (`lane.ts`): one call at a time to each counter carries all that wait.
 */
import type { Config } from "../config/vars.ts";
import type { Client } from "../policy/client.ts";
import { type Belief, type Decision, decide, type Holding, newHolding } from "../policy/holding.ts";
import type { Limits } from "../policy/limits.ts";
import { takeLocally } from "../policy/local.ts";
import { noRefusals, nthRefusal, type Refusals } from "../policy/prediction.ts";
import type { Tier } from "../policy/tier.ts";
import type { Window } from "../policy/window.ts";
import type { Ports, Stamps, WaitUntil } from "../ports.ts";
import { createBoundedMap } from "./bounded-map.ts";
import { createLane, type Identity, type Lane, type Wire } from "./lane.ts";

/** A request for units on behalf of a client. */
export interface Take {
  readonly client: Client;
  readonly profile: string;
  readonly limits: Limits;
  readonly windowMs: number;
  readonly cost: number;
  readonly stamps: Stamps;
  /** Of the client's address; asked for only when a counter is. */
  readonly continent: () => string | null;
}

/** What came of a take. */
export interface Verdict {
  readonly granted: boolean;
  readonly tier: Tier;
  readonly limit: number;
  readonly windowMs: number;
  /** Units left, >= 0. */
  readonly remaining: number;
  /** Unix ms at which more units come; null where nothing is used. */
  readonly growsAtMs: number | null;
  /** ms until a take of this cost fits; 0 when granted. */
  readonly retryAfterMs: number;
  /** Refused by a limit that load has lowered; what the client used is within the limit of low load. */
  readonly reduced: boolean;
  /** How many refusals of this client this is within the window, from 1; 0 when granted. */
  readonly nth: number;
}

/** A client's record. */
export interface Entry {
  readonly key: string;
  readonly holding: Holding;
  /** Where its counter is. */
  readonly place: string;
  /** The tier its last answer came under; null before the first. */
  tier: Tier | null;
  /** What was given out without a counter. */
  local: Window | null;
  readonly refusals: Refusals;
}

/** The quota of one isolate. */
export interface Quotas {
  /** A verdict at once where the isolate knows; else a promise of one, of null where no counter gives any. Never rejects. */
  readonly take: (take: Take, nowMs: number, waitUntil: WaitUntil) => Verdict | Promise<Verdict | null>;
  /** A verdict without the counter, from the isolate's own share. */
  readonly takeLocally: (take: Take, nowMs: number) => Verdict;
}

/** Records kept at least; about 500 bytes each. */
const ENTRIES = 10_000;
/** Calls to at most so many counters are kept track of: all regions of the largest pool. */
const LANES = 8_192;

/** Quotas that know nothing yet. */
export function createQuotas(config: Config, ports: Ports, wire: Wire): Quotas {
  const entries = createBoundedMap<Entry>(ENTRIES);
  const lanes = createBoundedMap<Lane>(LANES);
  let identity: Identity | null = null;

  function entryOf(take: Take): Entry {
    const key = `${take.profile} ${take.client.key}`;
    let entry = entries.get(key);
    if (entry === undefined) {
      const place = ports.counters.placeOf(take.client, take.continent());
      entry = { key, holding: newHolding(), place, tier: null, local: null, refusals: noRefusals() };
      entries.set(key, entry);
    }
    return entry;
  }

  function laneTo(place: string): Lane {
    let lane = lanes.get(place);
    if (lane === undefined) {
      identity ??= newIdentity(ports);
      lane = createLane(place, identity, wire, config, ports);
      lanes.set(place, lane);
    }
    return lane;
  }

  return {
    take(take, nowMs, waitUntil) {
      const entry = entryOf(take);
      const decision = decide(entry.holding, take.cost, beliefOf(take), nowMs);
      if (decision.kind === "refused") wire.count("deniedLocally", 1);
      if (decision.kind !== "unknown") return verdictOf(entry, take, decision, nowMs);
      return laneTo(entry.place).ask({ entry, take, waitUntil });
    },

    takeLocally(take, nowMs) {
      const entry = entryOf(take);
      const { limit, windowMs, tier } = beliefOf(take);
      const lastRemaining = entry.holding.answer?.remaining ?? null;
      const taken = takeLocally(entry.local, lastRemaining, limit, windowMs, take.cost, nowMs);
      entry.local = taken.window;
      const { granted, remaining, retryAfterMs } = taken;
      const growsAtMs = granted ? null : nowMs + retryAfterMs;
      const nth = granted ? 0 : nthRefusal(entry.refusals, windowMs, nowMs);
      return { granted, tier, limit, windowMs, remaining, growsAtMs, retryAfterMs, reduced: false, nth };
    },
  };
}

/** Made with the first call: random values are not to be had before a request. */
function newIdentity(ports: Ports): Identity {
  let calls = 0;
  return { name: ports.newId(), nextCall: () => ++calls };
}

/** What an isolate that makes this take holds for the limit in force. */
export function beliefOf({ limits, windowMs, stamps }: Take): Belief {
  return { tier: stamps.tier, limit: limits[stamps.tier], windowMs };
}

/** What a decision from the record means to the one who asked. */
export function verdictOf(
  { holding, tier, refusals }: Entry,
  take: Take,
  decision: Exclude<Decision, { kind: "unknown" }>,
  nowMs: number,
): Verdict {
  const { answer, answeredMs } = holding;
  const { limit, windowMs } = answer ?? beliefOf(take);
  const grows = answer?.growsAfterMs ?? null;
  const isGranted = decision.kind === "granted";
  return {
    granted: isGranted,
    tier: tier ?? take.stamps.tier,
    limit,
    windowMs,
    remaining: isGranted ? decision.remaining : 0,
    // The moment may have passed since the answer: then more has come, and how much only the counter knows.
    growsAtMs: grows === null ? null : Math.max(answeredMs + grows, nowMs + 1),
    retryAfterMs: isGranted ? 0 : decision.retryAfterMs,
    reduced: !isGranted && limit < take.limits.low && (answer?.used ?? 0) <= take.limits.low,
    nth: isGranted ? 0 : nthRefusal(refusals, windowMs, nowMs),
  };
}
