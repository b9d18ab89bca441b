/**
 * Who has reported: the last flush of each isolate, so that a repeat counts nothing.
 *
 * Kept in two generations: when the young one is full or old, it becomes the old one, and what the old one held is
 * forgotten. An isolate sends its flushes in order, so the last number is all there is to remember of it.
 *
 * Bound: `ISOLATES` to twice as many, about 150 bytes each. Price: an isolate that is silent for more than a generation
 * and then repeats an old flush counts it twice.
 *
 * No clock. The memory is changed in place: this is every flush's path.
 */

/** What is known of an isolate. */
export interface Reported {
  /** Of its last flush. */
  readonly number: number;
  readonly atMs: number;
  /** Requests it had at the origin. */
  readonly inFlight: number;
  readonly isCircuitOpen: boolean;
}

/** Isolates by name. */
export interface Isolates {
  young: Map<string, Reported>;
  old: Map<string, Reported>;
  turnedMs: number;
}

/** 2,000 flushes a second are 10,000 isolates; half as many again, so that a turn of generations forgets nobody busy. */
export const ISOLATES = 16_384;
/** Isolates live for minutes to hours; one silent for so long is gone. */
const GENERATION_MS = 600_000;
/** An isolate that has not reported for three flushes has nothing under way that it could still tell of. */
const PRESENT_MAX_AGE_MS = 15_000;

/** Nobody has reported. */
export function newIsolates(nowMs: number): Isolates {
  return { young: new Map(), old: new Map(), turnedMs: nowMs };
}

/** Remembers a report. @returns false, and remembers nothing, where that number or a later one has been seen. */
export function isNews(isolates: Isolates, isolate: string, reported: Reported): boolean {
  const known = isolates.young.get(isolate) ?? isolates.old.get(isolate);
  if (known !== undefined && reported.number <= known.number) return false;
  remember(isolates, isolate, reported);
  return true;
}

/** Remembers the last report of an isolate. */
export function remember(isolates: Isolates, isolate: string, reported: Reported): void {
  const isFull = isolates.young.size >= ISOLATES && !isolates.young.has(isolate);
  const isOld = Math.abs(reported.atMs - isolates.turnedMs) >= GENERATION_MS;
  if (isFull || isOld) {
    isolates.old = isolates.young;
    isolates.young = new Map();
    isolates.turnedMs = reported.atMs;
  }
  isolates.young.set(isolate, reported);
}

/** Every isolate remembered, the newest report of each. */
export function lastReports({ young, old }: Isolates): ReadonlyMap<string, Reported> {
  return old.size === 0 ? young : new Map([...old, ...young]);
}

/** Requests at the origin, and isolates that leave it alone, as far as isolates have told of late. */
export function presentOf(isolates: Isolates, nowMs: number): { inFlight: number; openCircuits: number } {
  const present = { inFlight: 0, openCircuits: 0 };
  for (const { atMs, inFlight, isCircuitOpen } of lastReports(isolates).values()) {
    if (Math.abs(nowMs - atMs) > PRESENT_MAX_AGE_MS) continue;
    present.inFlight += inFlight;
    if (isCircuitOpen) present.openCircuits++;
  }
  return present;
}
