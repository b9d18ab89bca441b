/**
 * What the gateway needs from outside. `index.ts` plugs Cloudflare in; tests plug in what fails, lies or hangs.
 */
import type { Client } from "./policy/client.ts";
import type { Limits } from "./policy/limits.ts";
import type { Tier } from "./policy/tier.ts";

/** Everything outside the gateway. */
export interface Ports {
  /** Unix ms. */
  readonly nowMs: () => number;
  /** A fresh identifier for a request. */
  readonly newId: () => string;
  readonly documents: Documents;
  readonly counters: Counters;
  readonly origin: Origin;
  readonly log: Log;
}

/** The documents an operator or a publisher put into KV. */
export interface Documents {
  /** The text under each key, null where there is none. Rejects when the store fails. */
  readonly read: (keys: readonly string[]) => Promise<ReadonlyMap<string, string | null>>;
  readonly write: (key: string, text: string) => Promise<void>;
}

/** Asks for one unit on behalf of a client, with everything the counter needs to decide. */
export interface Take {
  readonly client: Client;
  readonly profile: string;
  /** The limits of all tiers: the counter may know of a newer tier than the one who asks. */
  readonly limits: Limits;
  readonly windowMs: number;
  readonly cost: number;
  readonly rules: Stamps;
}

/** Which tables and which tier a take believes in, and since when that is known. */
export interface Stamps {
  /** Unix ms as of which the tables are known to be current. */
  readonly tablesAsOfMs: number;
  readonly tier: Tier;
  /** Unix ms as of which the tier is known to be current. */
  readonly tierAsOfMs: number;
}

/** What a counter answers: by the newest tables and tier that it has seen, which may not be the asker's. */
export interface Verdict {
  readonly granted: boolean;
  readonly tier: Tier;
  readonly limit: number;
  readonly windowMs: number;
  /** Units left, >= 0. */
  readonly remaining: number;
  /** ms until more units come; null where nothing is used. */
  readonly growsAfterMs: number | null;
  /** ms until a take of this cost fits; 0 when granted. */
  readonly retryAfterMs: number;
  /** Refused by a limit that load has lowered; what the client used is within the limit of low load. */
  readonly reduced: boolean;
}

/** The counters of all clients. */
export interface Counters {
  /**
   * Rejects when the counter does not answer in a way that can be used; never waits longer than it must.
   *
   * @param continent of the client's address as the runtime names it; null if it is not known.
   */
  readonly take: (take: Take, continent: string | null) => Promise<Verdict>;
}

/** The backend. Resolves at its response headers; rejects when there are none to be had. */
export interface Origin {
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
}

/** One structured line. */
export type Log = (level: "info" | "warn" | "error", event: string, members: Readonly<Record<string, unknown>>) => void;

/** Keeps work alive that outlasts its request. */
export type WaitUntil = (work: Promise<unknown>) => void;
