/**
 * What is measured against what, and how long.
 *
 * Data: the measuring itself is in `pair.ts`, `alone.ts`, `counting.ts` and `paced.ts`; what the figures may be at most
 * is in `budgets.ts`.
 */
import type { Load } from "./requests.ts";
import type { Subject } from "./subjects.ts";

/** The four ways in which clients come. */
export type PathName = "busy" | "new" | "zipf" | "flood";

/** Two subjects under the same load at the same time; what counts is the CPU of the first over that of the second. */
export interface PairPlan {
  /** Names the figure; budgets refer to it. */
  readonly id: string;
  readonly path: PathName;
  readonly subject: Subject;
  readonly baseline: Subject;
  readonly load: Load;
  /** As many clients as keep each of them at this many requests a second, whatever the machine can do. */
  readonly perClientRps?: number;
  /** Also in the quick run. */
  readonly quick?: true;
}

/** Subjects under the same load, each alone on the machine. */
export interface AlonePlan {
  readonly path: PathName;
  readonly load: Load;
  /** The first is what the others are compared with. */
  readonly subjects: readonly Subject[];
}

/** How long. */
export interface Effort {
  /** Times that both workerds of a pair are started anew, in turns in the other order. */
  readonly lives: number;
  /** Rounds in each life. */
  readonly rounds: number;
  /** Rounds of each subject alone. */
  readonly aloneRounds: number;
  readonly roundMs: number;
  readonly warmUpMs: number;
  /** Windows of the paced runs that are counted. */
  readonly pacedWindows: number;
}

export const FULL: Effort = { lives: 2, rounds: 4, aloneRounds: 5, roundMs: 800, warmUpMs: 1_000, pacedWindows: 10 };
export const QUICK: Effort = { lives: 1, rounds: 3, aloneRounds: 1, roundMs: 300, warmUpMs: 500, pacedWindows: 2 };

/** What one busy client is granted: everything. */
export const BUSY: Load = { path: "/million", crowd: { kind: "one" }, headers: 2, connections: 32 };
/** The same, never the same URL twice. */
const URLS: Load = { ...BUSY, crowd: { kind: "urls" } };
/** One client that is told no. */
export const FLOOD: Load = { path: "/fifty", crowd: { kind: "one" }, headers: 2, connections: 32 };
export const NEW: Load = { path: "/fifty", crowd: { kind: "new" }, headers: 2, connections: 64 };
export const ZIPF: Load = { path: "/million", crowd: { kind: "zipf", clients: 1_000 }, headers: 2, connections: 32 };
/** Many clients, each well under a limit of 50 a second: what 0.5 a second is under a limit of 50 a minute. */
const LOW_LIMIT: Load = { path: "/fifty-a-second", crowd: { kind: "even", clients: 200 }, headers: 2, connections: 32 };
const LOW_LIMIT_RPS = 30;

export const PAIRS: readonly PairPlan[] = [
  { id: "null", path: "busy", subject: "bare", baseline: "bare", load: BUSY, quick: true },
  { id: "null-refused", path: "flood", subject: "constant", baseline: "constant", load: FLOOD },
  { id: "busy", path: "busy", subject: "gateway", baseline: "bare", load: BUSY, quick: true },
  { id: "busy-15", path: "busy", subject: "gateway", baseline: "bare", load: { ...BUSY, headers: 15 } },
  { id: "busy-fields", path: "busy", subject: "gateway", baseline: "fields", load: BUSY, quick: true },
  { id: "busy-fields-15", path: "busy", subject: "gateway", baseline: "fields", load: { ...BUSY, headers: 15 } },
  { id: "low", path: "busy", subject: "gateway", baseline: "bare", load: LOW_LIMIT, perClientRps: LOW_LIMIT_RPS },
  {
    id: "low-fields",
    path: "busy",
    subject: "gateway",
    baseline: "fields",
    load: LOW_LIMIT,
    perClientRps: LOW_LIMIT_RPS,
  },
  { id: "flood", path: "flood", subject: "gateway", baseline: "constant", load: FLOOD, quick: true },
  { id: "flood-15", path: "flood", subject: "gateway", baseline: "constant", load: { ...FLOOD, headers: 15 } },
  { id: "new", path: "new", subject: "gateway", baseline: "naive", load: NEW, quick: true },
  { id: "new-15", path: "new", subject: "gateway", baseline: "naive", load: { ...NEW, headers: 15 } },
  { id: "new-16", path: "new", subject: "gateway", baseline: "naive", load: { ...NEW, connections: 16 } },
  { id: "new-in-memory", path: "new", subject: "gateway", baseline: "naive-in-memory", load: NEW },
  { id: "cache", path: "busy", subject: "gateway", baseline: "without-cache", load: BUSY },
  { id: "cache-urls", path: "busy", subject: "gateway", baseline: "without-cache", load: URLS },
  { id: "observation", path: "busy", subject: "gateway", baseline: "without-observation", load: BUSY },
  { id: "observation-refused", path: "flood", subject: "gateway", baseline: "without-observation", load: FLOOD },
  { id: "zipf", path: "zipf", subject: "gateway", baseline: "bare", load: ZIPF },
];

export const ALONE: readonly AlonePlan[] = [
  { path: "busy", load: BUSY, subjects: ["bare", "gateway", "fields", "naive", "hono-rate-limiter"] },
  { path: "new", load: NEW, subjects: ["naive", "gateway", "bare", "hono-rate-limiter"] },
  { path: "zipf", load: ZIPF, subjects: ["bare", "gateway", "naive", "hono-rate-limiter"] },
  { path: "flood", load: FLOOD, subjects: ["constant", "gateway", "naive", "hono-rate-limiter"] },
];
