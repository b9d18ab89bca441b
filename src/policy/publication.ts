/**
 * Publication: what the meter tells everybody, and when it writes that to KV.
 *
 * While there is traffic, one document every `publishMs` at most. When traffic ends, one more: zero, without a time, so
 * that a quiet night is load 0 and no stale signal. A write that KV refuses is tried again with the newest figures after
 * two seconds, then four, doubling up to `publishMs`: KV takes one write per second and key. A write under way is not
 * overtaken, but given up for lost after ten seconds.
 *
 * Pure: whoever writes asks `nextPublication`, tells `began`, and afterwards `ended`. Price: by KV alone others learn
 * `publishMs` and KV's own delay late.
 */
import { CLOCK_AHEAD_MAX_MS, type Pin } from "./load.ts";
import type { Tier } from "./tier.ts";

/** What the meter knows, as it travels with its replies and those of counters. */
export interface EdgeSignal {
  /** Admitted to the origin. */
  readonly requestsPerMinute: number;
  readonly offeredPerMinute: number;
  /** Requests per minute the origin carries. */
  readonly capacity: number;
  /** What the sources say; a pin is told beside it, and must not outlive itself here. */
  readonly tier: Tier;
  /** The pin in force as the meter knows it. */
  readonly pin: Pin | null;
  /** Unix ms of the read of the documents that the pin was in; 0: nothing is known of them. */
  readonly documentsAsOfMs: number;
  /** 0..1. */
  readonly errorRate: number;
  readonly avgResponseMs: number;
  /** Unix ms as of which this is so, by the meter's clock; null in the closing document. */
  readonly publishedAtMs: number | null;
  /** Share of each profile's requests to shed, 0..1; a profile that is not named sheds none. */
  readonly shed: Readonly<Record<string, number>>;
}

/** The document under `request-rate:edge`. */
export interface EdgeDocument {
  readonly requests_per_minute: number;
  readonly capacity: number;
  /** RFC 3339; absent in the closing document. */
  readonly published_at?: string;
  readonly tier: Tier;
  readonly offered_per_minute: number;
  readonly error_rate: number;
  readonly avg_response_ms: number;
}

/** What was published, and how that went. */
export interface Publication {
  /** Unix ms of the last attempt; null before the first. */
  readonly triedMs: number | null;
  readonly isUnderWay: boolean;
  /** Refusals in a row. */
  readonly failures: number;
  /** Whether the last document that KV may have taken says that there is traffic. */
  readonly isOpen: boolean;
  /** Unix ms at which the last document that KV took was made; null before the first. */
  readonly takenMs: number | null;
}

/** What to do now; `waitMs` until it is worth asking again, null: when the next flush comes. */
export type PublicationStep =
  | { readonly kind: "publish" }
  | { readonly kind: "close" }
  | { readonly kind: "wait"; readonly waitMs: number | null };

const RETRY_FIRST_MS = 2_000;
/** A longer pause than the longest publication, whatever the failures. */
const DOUBLINGS_MAX = 12;
const UNDER_WAY_MAX_MS = 10_000;

/** Nothing published yet. */
export const UNPUBLISHED: Publication = { triedMs: null, isUnderWay: false, failures: 0, isOpen: false, takenMs: null };

/**
 * Whether to write, and what.
 *
 * @param isBusy whether anything was offered in the last minute.
 * @param publishMs between two documents, at least; >= 1,000.
 */
export function nextPublication(
  { triedMs, isUnderWay, failures, isOpen }: Publication,
  isBusy: boolean,
  publishMs: number,
  nowMs: number,
): PublicationStep {
  if (!isBusy && !isOpen) return { kind: "wait", waitMs: null };
  if (triedMs !== null && triedMs <= nowMs) {
    const pauseMs = isUnderWay ? UNDER_WAY_MAX_MS : pauseAfter(failures, publishMs);
    const waitMs = triedMs + pauseMs - nowMs;
    if (waitMs > 0) return { kind: "wait", waitMs };
  }
  return { kind: isBusy ? "publish" : "close" };
}

/** A write of that kind has begun. One that seems to fail may have been taken: it has to be closed all the same. */
export function began(publication: Publication, kind: "publish" | "close", nowMs: number): Publication {
  return { ...publication, triedMs: nowMs, isUnderWay: true, isOpen: publication.isOpen || kind === "publish" };
}

/** A write of that kind has ended: KV took it, or not. */
export function ended(publication: Publication, kind: "publish" | "close", isTaken: boolean): Publication {
  if (!isTaken) return { ...publication, isUnderWay: false, failures: publication.failures + 1 };
  const isOpen = publication.isOpen && kind === "publish";
  return { isUnderWay: false, failures: 0, isOpen, triedMs: publication.triedMs, takenMs: publication.triedMs };
}

/** What is written for a signal. */
export function documentOf(signal: EdgeSignal): EdgeDocument {
  const { requestsPerMinute, offeredPerMinute, capacity, tier, errorRate, avgResponseMs, publishedAtMs } = signal;
  return {
    requests_per_minute: Math.round(requestsPerMinute),
    capacity,
    ...(publishedAtMs === null ? {} : { published_at: new Date(publishedAtMs).toISOString() }),
    tier,
    offered_per_minute: Math.round(offeredPerMinute),
    error_rate: Math.round(errorRate * 10_000) / 10_000,
    avg_response_ms: Math.round(avgResponseMs),
  };
}

/** The signal that ends the day: no traffic, and true until there is some. */
export function closingSignal(capacity: number): EdgeSignal {
  return {
    requestsPerMinute: 0,
    offeredPerMinute: 0,
    capacity,
    tier: "low",
    pin: null,
    documentsAsOfMs: 0,
    errorRate: 0,
    avgResponseMs: 0,
    publishedAtMs: null,
    shed: {},
  };
}

function pauseAfter(failures: number, publishMs: number): number {
  if (failures === 0) return publishMs;
  return Math.min(publishMs, RETRY_FIRST_MS * 2 ** Math.min(DOUBLINGS_MAX, failures - 1));
}

/** How long after a signal a closing document, which has no time, can be no later than it: a minute without a request. */
const CLOSES_AFTER_MS = 60_000;

/**
 * The later of two signals; of the meter's own word and a document that KV shows late, for instance. A closing document
 * ends what is older than a minute, and nothing younger.
 */
export function laterOf(a: EdgeSignal | null, b: EdgeSignal | null, nowMs: number): EdgeSignal | null {
  if (a === null || b === null) return a ?? b;
  if (isAhead(a, nowMs) !== isAhead(b, nowMs)) return isAhead(a, nowMs) ? b : a;
  if (a.publishedAtMs === null && b.publishedAtMs === null) return a;
  if (a.publishedAtMs === null) return nowMs - (b.publishedAtMs ?? 0) > CLOSES_AFTER_MS ? a : b;
  if (b.publishedAtMs === null) return nowMs - a.publishedAtMs > CLOSES_AFTER_MS ? b : a;
  return b.publishedAtMs > a.publishedAtMs ? b : a;
}

/** From a clock that was wrong: nobody would use it, and it would pass for the latest until its moment comes. */
function isAhead({ publishedAtMs }: EdgeSignal, nowMs: number): boolean {
  return (publishedAtMs ?? 0) > nowMs + CLOCK_AHEAD_MAX_MS;
}
