/**
 * Steering: the tier as it follows load, and the load that the tier itself would make.
 *
 * Up at once to what load or a steep rise names. Down one tier at a time, when load has been below the tier's threshold
 * minus the margin for a whole hold, and the looser tier could carry what it would let in: the prediction too must be
 * below, by the margin or by four standard deviations of a minute's count, whichever is more. Without the latter a
 * steady load just under a threshold keeps being relaxed by one lucky minute and tightened by the next. At most half of
 * the band below may be kept clear so: a tier can always be left.
 *
 * A relapse, up again within three minutes of relaxing, doubles the hold, to ten minutes at most; where nobody knows
 * what is offered this is all that calms the loop. A step down that lasts sets the hold back.
 *
 * Price: after a spike, clients keep tight limits up to three holds longer; a load in the last tenth below a threshold,
 * where one minute in a thousand would cross it, stays one tier tight.
 *
 * Pure: no clock. The caller passes `nowMs` and keeps the state.
 */
import { SETTLED_MS } from "./prediction.ts";
import { getLoadTier, type Hysteresis, type Thresholds, TIERS, type Tier } from "./tier.ts";

/** Where the tier stands and how it came there. */
export interface Course {
  readonly tier: Tier;
  /** Unix ms since when it could be relaxed; null while it could not. */
  readonly relaxingSinceMs: number | null;
  /** Unix ms of the last step down; null where the last was up, or there was none. */
  readonly relaxedMs: number | null;
  /** How many times the configured hold must pass, 1 or more; doubled by a relapse. */
  readonly holds: number;
}

/** What is seen of load. */
export interface Sight {
  /** 0..1. */
  readonly load: number;
  /** The tier that a steep rise names; low where there is none. */
  readonly steep: Tier;
  /** Load under the limits of each tier, >= 0; null where nobody knows. */
  readonly predicted: Readonly<Record<Tier, number>> | null;
  /** Requests per minute at load 1, to tell the noise of a count; null where the load is no count of ours. */
  readonly capacityRpm: number | null;
}

/** A step up so soon after a step down means that the step down was wrong. */
const RELAPSE_WITHIN_MS = 180_000;
const HOLD_MAX_MS = 600_000;
const DEVIATIONS = 4;

/**
 * The course after what is seen at `nowMs`.
 *
 * @param course null at the start: then the tier is what load names.
 * @param nowMs Unix ms. A clock that steps back restarts the hold.
 */
export function steer(
  course: Course | null,
  sight: Sight,
  thresholds: Thresholds,
  hysteresis: Hysteresis,
  nowMs: number,
): Course {
  const byLoad = getLoadTier(sight.load, thresholds);
  const named = isSteepTrusted(course, nowMs) ? stricterOf(byLoad, sight.steep) : byLoad;
  if (course === null) return { tier: named, relaxingSinceMs: null, relaxedMs: null, holds: 1 };
  if (isStricter(named, course.tier)) return tighten(course, named, hysteresis, nowMs);
  if (named === course.tier) return { ...course, relaxingSinceMs: null };
  return relax(course, sight, thresholds, hysteresis, nowMs);
}

/** The stricter of two tiers. */
export function stricterOf(a: Tier, b: Tier): Tier {
  return isStricter(a, b) ? a : b;
}

function isStricter(a: Tier, b: Tier): boolean {
  return TIERS.indexOf(a) > TIERS.indexOf(b);
}

/** What relaxed limits let in at once is no rise; it is over when a window has passed. */
function isSteepTrusted(course: Course | null, nowMs: number): boolean {
  const relaxedMs = course?.relaxedMs ?? null;
  return relaxedMs === null || Math.abs(nowMs - relaxedMs) >= SETTLED_MS;
}

function tighten({ relaxedMs, holds }: Course, tier: Tier, { holdMs }: Hysteresis, nowMs: number): Course {
  const isRelapse = relaxedMs !== null && Math.abs(nowMs - relaxedMs) < RELAPSE_WITHIN_MS;
  const holdsMax = Math.max(1, HOLD_MAX_MS / Math.max(1, holdMs));
  return { tier, relaxingSinceMs: null, relaxedMs: null, holds: isRelapse ? Math.min(holdsMax, 2 * holds) : 1 };
}

/** Steps down as often as a whole hold has passed; each step pays a hold of its own. */
function relax(course: Course, sight: Sight, thresholds: Thresholds, hysteresis: Hysteresis, nowMs: number): Course {
  let { tier, relaxedMs } = course;
  const since = course.relaxingSinceMs;
  let sinceMs = since !== null && since <= nowMs ? since : nowMs;
  const hasLasted = relaxedMs !== null && Math.abs(nowMs - relaxedMs) >= RELAPSE_WITHIN_MS;
  const holds = hasLasted ? 1 : course.holds;
  const holdMs = holds * hysteresis.holdMs;
  while (canLeave(tier, sight, thresholds, hysteresis)) {
    if (nowMs - sinceMs < holdMs) return { tier, relaxingSinceMs: sinceMs, relaxedMs, holds };
    tier = looserThan(tier);
    sinceMs += holdMs;
    relaxedMs = nowMs;
  }
  return { tier, relaxingSinceMs: null, relaxedMs, holds };
}

/**
 * Whether load is low enough for `tier` to be left, and would stay so. Low cannot be left downwards. No load at all is
 * below every edge, so that a margin as wide as the threshold does not hold a tier for ever.
 */
function canLeave(
  tier: Tier,
  { load, predicted, capacityRpm }: Sight,
  thresholds: Thresholds,
  { margin }: Hysteresis,
): boolean {
  if (tier === "low" || (load > 0 && load >= thresholds[tier] - margin)) return false;
  if (predicted === null || predicted[looserThan(tier)] <= 0) return true;
  const clear = Math.max(margin, noiseBelow(tier, thresholds, capacityRpm));
  return predicted[looserThan(tier)] < thresholds[tier] - clear;
}

/** How far one must stay below a tier's threshold for a minute's count not to cross it by chance. */
function noiseBelow(tier: Exclude<Tier, "low">, thresholds: Thresholds, capacityRpm: number | null): number {
  if (capacityRpm === null) return 0;
  const looser = looserThan(tier);
  const band = thresholds[tier] - (looser === "low" ? 0 : thresholds[looser]);
  return Math.min(band / 2, DEVIATIONS * Math.sqrt(thresholds[tier] / capacityRpm));
}

/** The next looser tier; low stays low. */
function looserThan(tier: Tier): Tier {
  return TIERS[Math.max(0, TIERS.indexOf(tier) - 1)] ?? "low";
}
