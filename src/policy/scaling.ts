/**
 * Advice for whoever scales the origin: how many instances the demand needs, and what the origin's own signs say.
 *
 * The count follows what was **offered**, refused requests and all. What was admitted is what the limits left over, and
 * a scaler that is told only that never learns of the demand. The price: a flood that is refused raises the count too,
 * up to `maxInstances`, and one busy minute is planned for until it leaves the hour.
 *
 * A trigger has two thresholds, each with a time. It says "up" or "down" when its average over five minutes has stayed
 * beyond the threshold for that time and the latest reading is beyond it as well. So a spike shorter than five minutes
 * never scales, whatever its height: by the time the average has held, the spike is past. And a single dip does not
 * undo what has held. The price: a step takes five to ten minutes to be believed.
 *
 * Pure: no clock. The caller passes `nowMs` and keeps the state, which is plain data of at most eleven slots a trigger.
 */

/** Between which sizes the origin may be scaled, and what one instance is planned to carry. */
export interface ScalingRules {
  /** >= 1: never to zero. */
  readonly minInstances: number;
  readonly maxInstances: number;
  /** Requests per second, > 0. */
  readonly rpsPerInstance: number;
}

/** The rules while the tables say nothing else. */
export const SCALING: ScalingRules = Object.freeze({ minInstances: 2, maxInstances: 10, rpsPerInstance: 75 });

/** What is watched besides the count; each in the unit its name ends with. */
export const TRIGGER_NAMES = ["response_time_p95_ms", "queue_pending", "cpu_percent", "memory_percent"] as const;

/** One of them. */
export type TriggerName = (typeof TRIGGER_NAMES)[number];

/** A threshold, and for how long the average must stay beyond it. */
export interface Edge {
  readonly threshold: number;
  readonly forMs: number;
}

const MINUTE_MS = 60_000;

/** When each trigger asks for more instances (above) and for fewer (below). */
export const TRIGGERS: Readonly<Record<TriggerName, { readonly up: Edge; readonly down: Edge }>> = {
  response_time_p95_ms: { up: edge(500, 5), down: edge(100, 5) },
  queue_pending: { up: edge(100, 5), down: edge(10, 5) },
  cpu_percent: { up: edge(70, 5), down: edge(30, 10) },
  memory_percent: { up: edge(80, 5), down: edge(40, 5) },
};

/** The latest of each; finite, >= 0; null: nobody knows. */
export type Readings = Readonly<Record<TriggerName, number | null>>;

/** Readings of half a minute, added up: a stretch counts the same however often it was read. */
interface Slot {
  readonly number: number;
  readonly sum: number;
  readonly count: number;
}

/** What is remembered of one trigger. */
export interface TriggerState {
  /** Oldest first, those of the last five minutes. */
  readonly slots: readonly Slot[];
  /** Unix ms of the newest reading; null before the first. */
  readonly newestMs: number | null;
  /** Unix ms since when the average has been above the upper threshold; null: it is not. */
  readonly aboveSinceMs: number | null;
  /** The same for below the lower one. */
  readonly belowSinceMs: number | null;
}

/** What is remembered of all of them. */
export type TriggerStates = Readonly<Record<TriggerName, TriggerState>>;

/** What one trigger says. */
export interface TriggerReport {
  readonly name: TriggerName;
  /** Average over five minutes; null: unknown. */
  readonly value: number | null;
  /** The reading of this moment; null: unknown. */
  readonly latest: number | null;
  /** The threshold that `value` is beyond; the upper one while it is between both. */
  readonly threshold: number;
  /** For how long it has been beyond it; 0 between both. */
  readonly heldMs: number;
  /** For how long it must be. */
  readonly forMs: number;
  readonly verdict: "up" | "hold" | "down" | "unknown";
}

const SLOT_MS = 30_000;
const AVERAGE_MS = 5 * MINUTE_MS;
/** Besides the slot that has only begun, so that an average is never over less than its five minutes. */
const SLOTS = AVERAGE_MS / SLOT_MS;

/** A longer silence breaks what has held: two readings a minute apart may be late, but half a window unseen is not held. */
const SILENCE_MAX_MS = AVERAGE_MS / 2;

const NOTHING_SEEN: TriggerState = Object.freeze({
  slots: [],
  newestMs: null,
  aboveSinceMs: null,
  belowSinceMs: null,
});

/** The state before the first reading. */
export const UNWATCHED: TriggerStates = Object.freeze({
  response_time_p95_ms: NOTHING_SEEN,
  queue_pending: NOTHING_SEEN,
  cpu_percent: NOTHING_SEEN,
  memory_percent: NOTHING_SEEN,
});

/**
 * Instances for a peak: as many as carry it and one to spare, within the rules. 500 a second are 8.
 *
 * @param peakRps offered requests per second, finite, >= 0.
 * @throws RangeError on a peak outside its range: a demand nobody knows must not pass for none.
 */
export function recommendInstances(peakRps: number, rules: ScalingRules = SCALING): number {
  return Math.min(rules.maxInstances, Math.max(rules.minInstances, neededInstances(peakRps, rules.rpsPerInstance)));
}

/** The same without bounds. */
export function neededInstances(peakRps: number, rpsPerInstance: number): number {
  requireAmount("peakRps", peakRps);
  return Math.ceil(peakRps / rpsPerInstance + 1);
}

/** The peak in requests per second out of one-minute sums of what was offered; 0 where there are none. */
export function peakRpsOf(offeredPerMinute: readonly number[]): number {
  return Math.max(0, ...offeredPerMinute) / 60;
}

/**
 * Every trigger after one more reading of each.
 *
 * A reading that is null makes its trigger unknown and forgets what had held.
 *
 * @param nowMs Unix ms. A clock that steps back restarts what has held.
 * @throws RangeError on a reading outside its range.
 */
export function watchTriggers(
  states: TriggerStates,
  readings: Readings,
  nowMs: number,
): { readonly states: TriggerStates; readonly reports: readonly TriggerReport[] } {
  const next: Record<TriggerName, TriggerState> = { ...states };
  const reports = TRIGGER_NAMES.map((name) => {
    const reading = readings[name];
    next[name] = reading === null ? NOTHING_SEEN : follow(name, states[name], reading, nowMs);
    return report(name, next[name], reading, nowMs);
  });
  return { states: next, reports };
}

function follow(name: TriggerName, state: TriggerState, reading: number, nowMs: number): TriggerState {
  requireAmount(name, reading);
  const slots = addTo(state.slots, reading, nowMs);
  const average = averageOf(slots);
  const isUnbroken = state.newestMs !== null && nowMs >= state.newestMs && nowMs - state.newestMs <= SILENCE_MAX_MS;
  const since = (isBeyond: boolean, sinceMs: number | null) =>
    isBeyond ? ((isUnbroken ? sinceMs : null) ?? nowMs) : null;
  return {
    slots,
    newestMs: nowMs,
    aboveSinceMs: since(average > TRIGGERS[name].up.threshold, state.aboveSinceMs),
    belowSinceMs: since(average < TRIGGERS[name].down.threshold, state.belowSinceMs),
  };
}

function report(name: TriggerName, state: TriggerState, latest: number | null, nowMs: number): TriggerReport {
  const { up, down } = TRIGGERS[name];
  const isBelow = state.belowSinceMs !== null;
  const { threshold, forMs } = isBelow ? down : up;
  const sinceMs = state.belowSinceMs ?? state.aboveSinceMs;
  const heldMs = sinceMs === null ? 0 : nowMs - sinceMs;
  const facts = { name, latest, threshold, heldMs, forMs };
  if (latest === null) return { ...facts, value: null, verdict: "unknown" };
  const value = averageOf(state.slots);
  if (sinceMs === null || heldMs < forMs) return { ...facts, value, verdict: "hold" };
  if (isBelow) return { ...facts, value, verdict: latest < threshold ? "down" : "hold" };
  return { ...facts, value, verdict: latest > threshold ? "up" : "hold" };
}

/** The slots of the window that ends now, a whole one and what has begun; a clock that steps back drops the future. */
function addTo(slots: readonly Slot[], reading: number, nowMs: number): readonly Slot[] {
  const number = Math.floor(nowMs / SLOT_MS);
  const past = slots.filter((slot) => slot.number >= number - SLOTS && slot.number < number);
  const { sum, count } = slots.find((slot) => slot.number === number) ?? { sum: 0, count: 0 };
  return [...past, { number, sum: sum + reading, count: count + 1 }];
}

function averageOf(slots: readonly Slot[]): number {
  return slots.reduce((sum, slot) => sum + slot.sum / slot.count, 0) / slots.length;
}

function edge(threshold: number, minutes: number): Edge {
  return { threshold, forMs: minutes * MINUTE_MS };
}

function requireAmount(name: string, value: number): void {
  if (!(Number.isFinite(value) && value >= 0))
    throw new RangeError(`${name}: expected a finite number >= 0, got ${value}`);
}
