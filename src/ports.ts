/**
 * What the gateway needs from outside. `index.ts` plugs Cloudflare in; tests plug in what fails, lies or hangs.
 */
import type { Fault } from "./config/rules.ts";
import type { Client } from "./policy/client.ts";
import type { FleetView } from "./policy/fleet-view.ts";
import type { Flush } from "./policy/flush.ts";
import type { Answer, Ask } from "./policy/lease.ts";
import type { Limits, TierTables } from "./policy/limits.ts";
import type { OriginHealth } from "./policy/origin-health.ts";
import type { EdgeSignal } from "./policy/publication.ts";
import type { TriggerReport } from "./policy/scaling.ts";
import type { Tier } from "./policy/tier.ts";

/** Everything outside the gateway. */
export interface Ports {
  /** Unix ms. */
  readonly nowMs: () => number;
  /** A fresh identifier for a request. */
  readonly newId: () => string;
  readonly documents: Documents;
  readonly counters: Counters;
  readonly meter: Metering;
  readonly origin: Origin;
  readonly cache: EdgeCache;
  readonly log: Log;
}

/** The documents an operator or a publisher put into KV. */
export interface Documents {
  /** The text under each key, null where there is none. Rejects when the store fails. */
  readonly read: (keys: readonly string[]) => Promise<ReadonlyMap<string, string | null>>;
  readonly write: (key: string, text: string) => Promise<void>;
}

/** What an isolate believes of tables, sources and pin, each with the moment as of which that is known. */
export interface Beliefs {
  /** Unix ms, as all of these. */
  readonly tablesAsOfMs: number;
  /** The tier that the sources of load name. */
  readonly sources: Tier;
  readonly sourcesAsOfMs: number;
  /** The tier of the pin in force; null where there is none. It counts before what the sources name. */
  readonly pinned: Tier | null;
  readonly pinAsOfMs: number;
}

/** The same, with the tier that follows. */
export interface Stamps extends Beliefs {
  readonly tier: Tier;
}

/** What a counter is asked about one client under one profile. */
export interface ClientAsk {
  readonly client: string;
  readonly profile: string;
  /** The limits of all tiers: the counter may know of a newer tier than the one who asks. */
  readonly limits: Limits;
  readonly windowMs: number;
  readonly ask: Ask;
}

/** Everything one isolate has to say to one counter at a time. */
export interface Batch extends Beliefs {
  readonly isolate: string;
  /** The meter's newest word, where the counter may not have it yet. */
  readonly word: EdgeSignal | null;
  /** Unix ms of the newest word that the asker has; 0 for none. */
  readonly wordAtMs: number;
  readonly asks: readonly ClientAsk[];
}

/** What a counter answers: by the newest tables and tier that it has seen, which may not be the asker's. */
export interface BatchAnswer {
  /** One for each ask; null where the call was overtaken, or where the counter has no room for another client. */
  readonly answers: readonly (Answer | null)[];
  readonly tier: Tier;
  /** The meter's word, where the counter has a newer one than the asker. */
  readonly word: EdgeSignal | null;
  /** Rows that this call wrote. */
  readonly rowsWritten: number;
}

/** The counters of all clients. */
export interface Counters {
  /** The counter that keeps a client. `continent` of its address as the runtime names it; null if it is not known. */
  readonly placeOf: (client: Client, continent: string | null) => string;
  /** Asks the counter at a place. Rejects when there is no answer; `retryable` and `overloaded` as the platform sets them. */
  readonly call: (place: string, batch: Batch) => Promise<BatchAnswer>;
}

/** What an isolate tells the meter. */
export interface Report {
  readonly flush: Flush;
  /** Unix ms at which the isolate saw a document change; 0 for never. */
  readonly documentsChangedMs: number;
}

/** The one meter of the fleet. */
export interface Metering {
  /** Counts a report once, however often it comes; answers with its word. Rejects when there is no answer. */
  readonly report: (report: Report) => Promise<EdgeSignal>;
  /** Everything it knows. Rejects when there is no answer. `asks`: the caller will ask the origin how it is, if it may. */
  readonly view: (asks: boolean) => Promise<MeterView>;
  /** Hears how the origin is. */
  readonly hearOrigin: (health: OriginHealth) => Promise<void>;
}

/** What the meter knows of the fleet, and of the documents. */
export interface MeterView extends FleetView {
  /** In force. */
  readonly tables: TierTables;
  /** Why the tables under their key are not in force; null where they are. */
  readonly faults: readonly Fault[] | null;
  /** Whether counters have failed in the last minute. */
  readonly areCountersFailing: boolean;
  /** What the origin last said of itself. */
  readonly origin: OriginHealth;
  /** Whether the caller is the one to ask it now. */
  readonly mayAsk: boolean;
  readonly triggers: readonly TriggerReport[];
}

/** The backend. Resolves at its response headers; rejects when there are none to be had. */
export interface Origin {
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
}

/** The platform's cache of this data center. Keys are URLs of ours; each call may reject, or never answer. */
export interface EdgeCache {
  /** @param range the `Range` field, for a part of what is kept: 206, or 200 with all of it. */
  readonly match: (key: string, range?: string) => Promise<Response | undefined>;
  /** Resolves when the whole body is kept. */
  readonly put: (key: string, response: Response) => Promise<void>;
  readonly delete: (key: string) => Promise<boolean>;
}

/** One structured line. */
export type Log = (level: "info" | "warn" | "error", event: string, members: Readonly<Record<string, unknown>>) => void;

/** Keeps work alive that outlasts its request. */
export type WaitUntil = (work: Promise<unknown>) => void;
