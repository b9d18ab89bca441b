/**
 * One isolate of the gateway, as far as load goes: its copy of KV, the freshest word of the meter it has heard, the tier
 * that follows, what it has to tell the meter, and whom it sheds.
 */
import { readEdge, readRate } from "../../src/config/signals.ts";
import { type FairShed, newFairShed } from "../../src/policy/fair-shed.ts";
import { newReporter, type Reporter } from "../../src/policy/flush.ts";
import type { TierTables } from "../../src/policy/limits.ts";
import type { Published, Signal, UnusableSignal } from "../../src/policy/load.ts";
import { type Outlook, outlook } from "../../src/policy/outlook.ts";
import { type EdgeSignal, laterOf } from "../../src/policy/publication.ts";
import type { Tier } from "../../src/policy/tier.ts";
import { read, type Store } from "./store.ts";

/** An isolate on a moved clock. */
export interface Isolate {
  readonly reporter: Reporter;
  readonly fair: FairShed;
  external: Signal | UnusableSignal | null;
  /** The meter's newest word, from KV or by the way. */
  edge: EdgeSignal | UnusableSignal | null;
  readMs: number;
  reviewedMs: number;
  outlook: Outlook | null;
}

export const EXTERNAL_KEY = "request-rate";
export const EDGE_KEY = "request-rate:edge";
const REFRESH_MS = 30_000;
const REVIEW_MS = 1_000;

/** @param readMs when it last read KV; different in each, so that they do not refresh together. */
export function newIsolate(name: string, salt: number, readMs: number): Isolate {
  return {
    reporter: newReporter(name),
    fair: newFairShed(salt),
    external: null,
    edge: null,
    readMs,
    reviewedMs: Number.NEGATIVE_INFINITY,
    outlook: null,
  };
}

/** What a request that comes now is judged by. */
export function outlookAt(isolate: Isolate, store: Store, tables: TierTables, nowMs: number): Outlook {
  if (nowMs - isolate.readMs >= REFRESH_MS) refresh(isolate, store, nowMs);
  if (isolate.outlook !== null && nowMs - isolate.reviewedMs < REVIEW_MS) return isolate.outlook;
  isolate.outlook = outlook(isolate.outlook, publishedOf(isolate), edgeTierOf(isolate.edge), tables, nowMs);
  isolate.reviewedMs = nowMs;
  return isolate.outlook;
}

/** A word of the meter that came with an answer. */
export function hear(isolate: Isolate, signal: EdgeSignal, nowMs: number): void {
  const known = edgeSignalOf(isolate.edge);
  const later = laterOf(known, signal, nowMs);
  if (later === known) return;
  isolate.edge = later;
  isolate.reviewedMs = Number.NEGATIVE_INFINITY;
}

/** The meter's word, where there is one that can be used. */
export function edgeSignalOf(edge: Isolate["edge"]): EdgeSignal | null {
  return edge === null || "unusable" in edge ? null : edge;
}

function refresh(isolate: Isolate, store: Store, nowMs: number): void {
  const external = read(store, EXTERNAL_KEY, nowMs);
  const edge = read(store, EDGE_KEY, nowMs);
  if (external === undefined || edge === undefined) return;
  isolate.readMs = nowMs;
  isolate.reviewedMs = Number.NEGATIVE_INFINITY;
  isolate.external = external === null ? null : readRate("external", external);
  if (edge !== null) isolate.edge = laterOf(edgeSignalOf(isolate.edge), readEdge(edge).word, nowMs);
}

function publishedOf({ external, edge }: Isolate): Published {
  const signals = external === null ? [] : [external];
  if (edge === null) return { signals, pin: null };
  if ("unusable" in edge) return { signals: [...signals, edge], pin: null };
  const { requestsPerMinute, capacity, publishedAtMs } = edge;
  return { signals: [...signals, { source: "edge", requestsPerMinute, capacity, publishedAtMs }], pin: null };
}

function edgeTierOf(edge: Isolate["edge"]): Tier | null {
  return edgeSignalOf(edge)?.tier ?? null;
}
