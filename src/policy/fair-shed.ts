/**
 * Whom to shed: an isolate's own choice, without asking anyone.
 *
 * The meter names a share of a profile's requests. Dealt out blindly it would hit a client that asks once a minute as
 * hard as one that asks a hundred times a second. So each isolate keeps, in a count-min sketch, how often it has seen
 * each client in the last seconds, and passes each request with the chance `fair / seen`: clients under the fair count
 * are not shed, those above are brought down to it. The fair count is the one at which the share comes out right, found
 * from a histogram of what was seen (max-min fairness, water filled up to the share).
 *
 * What was seen fades with time: a request counts `2 ** (age / HALF_LIFE_MS)` times less. Instead of making all counts
 * smaller each moment, each new one is made larger, and all are cut once in ten half-lives.
 *
 * Bounds: one sketch for all profiles, 2 rows of 8,192 counts (64 KB), never more, whoever calls; one histogram of 32
 * bins for each profile that is shed. Hashed with a salt of the isolate, so that nobody can aim at another's count.
 * Price: clients that share both their counts are taken for one; a client that comes through many isolates is judged by
 * what each has seen of it.
 *
 * No clock: times are Unix ms. Functions change the state: this is the path of a flood.
 */

/** What an isolate has seen of clients while it sheds. */
export interface FairShed {
  readonly salt: number;
  /** `ROWS` rows of `WIDTH` counts, in weights of `weightedMs`. */
  readonly counts: Float32Array;
  readonly profiles: Map<string, Seen>;
  /** Unix ms of a request that counts 1; later ones count more. */
  weightedMs: number;
}

/** Requests of one profile by how often their client was seen. */
interface Seen {
  /** Requests in each bin: half-octaves of the count. */
  readonly requests: Float64Array;
  /** Sum of 1 / count over them. */
  readonly inverse: Float64Array;
  /** Requests that should have passed of late, and those that the fair count alone would have passed. */
  due: number;
  passing: number;
  share: number;
  fair: number;
  /** Requests until the fair count is reckoned again. */
  untilReckoned: number;
}

const ROWS = 2;
const WIDTH = 8_192;
const BINS = 32;
/** What was seen counts half after so long: long enough to tell clients apart, short enough to forgive one. */
const HALF_LIFE_MS = 10_000;
/** Histograms, and whether the share comes out right, forget so many times faster than counts. */
const RECENT_FADES = 4;
/** More than a histogram can be wrong by. */
const CORRECTION_MAX = 2;
/** Weights stay below 2^10, so that a count of thousands is still exact to a thousandth. */
const HALF_LIVES_MAX = 10;
const RECKON_EVERY = 32;
/** More than tables may have; beyond, histograms start anew. */
const PROFILES_MAX = 128;

/** An isolate that has seen nobody. @param salt a whole number, different in each isolate. */
export function newFairShed(salt: number): FairShed {
  const counts = new Float32Array(ROWS * WIDTH);
  return { salt, counts, profiles: new Map(), weightedMs: Number.NEGATIVE_INFINITY };
}

/**
 * Whether to shed this request.
 *
 * @param client partition key.
 * @param share of the profile's requests to shed, 0..1; 0 sheds nothing and remembers nothing.
 * @param random 0..1, drawn for this request.
 */
export function sheds(
  state: FairShed,
  profile: string,
  client: string,
  share: number,
  random: number,
  nowMs: number,
): boolean {
  if (share <= 0) return false;
  if (share >= 1) return true;
  const weight = weightAt(state, nowMs);
  const seen = seenOf(state, profile);
  const count = bump(state, profile, client, weight);
  const bin = Math.min(BINS - 1, Math.floor(2 * Math.log2(count)));
  const recent = weight ** RECENT_FADES;
  seen.requests[bin] = (seen.requests[bin] ?? 0) + recent;
  seen.inverse[bin] = (seen.inverse[bin] ?? 0) + recent / count;
  if (--seen.untilReckoned <= 0 || seen.share !== share) {
    seen.fair = fairCount(seen, 1 - share);
    seen.share = share;
    seen.untilReckoned = RECKON_EVERY;
  }
  seen.due += recent * (1 - share);
  seen.passing += recent * Math.min(1, seen.fair / count);
  return random >= (seen.fair * correctionOf(seen)) / count;
}

/**
 * While a flood is young all counts grow, and a histogram of what they were a moment ago puts the fair count too low for
 * those of now: by how much, the last seconds tell.
 */
function correctionOf({ due, passing }: Seen): number {
  return Math.min(CORRECTION_MAX, Math.max(1 / CORRECTION_MAX, due / Math.max(passing, Number.MIN_VALUE)));
}

/** What a request counts now; cuts all counts where that has grown too large, and drops them after a long pause. */
function weightAt(state: FairShed, nowMs: number): number {
  const halfLives = (nowMs - state.weightedMs) / HALF_LIFE_MS;
  if (halfLives >= 0 && halfLives < HALF_LIVES_MAX) return 2 ** halfLives;
  state.weightedMs = nowMs;
  const kept = halfLives < 0 ? 1 : 2 ** -halfLives;
  for (let i = 0; i < state.counts.length; i++) state.counts[i] = (state.counts[i] ?? 0) * kept;
  const recentKept = kept ** RECENT_FADES;
  for (const seen of state.profiles.values()) {
    seen.due *= recentKept;
    seen.passing *= recentKept;
    const { requests, inverse } = seen;
    for (let bin = 0; bin < BINS; bin++) {
      requests[bin] = (requests[bin] ?? 0) * recentKept;
      inverse[bin] = (inverse[bin] ?? 0) * recentKept;
    }
  }
  return 1;
}

function seenOf({ profiles }: FairShed, profile: string): Seen {
  let seen = profiles.get(profile);
  if (seen === undefined) {
    if (profiles.size >= PROFILES_MAX) profiles.clear();
    const requests = new Float64Array(BINS);
    seen = { requests, inverse: new Float64Array(BINS), due: 0, passing: 0, share: -1, fair: 1, untilReckoned: 0 };
    profiles.set(profile, seen);
  }
  return seen;
}

/**
 * The count down to which clients are brought so that `pass` of the requests go through: the mean of min(1, fair/count)
 * over the requests seen is `pass`.
 */
function fairCount({ requests, inverse }: Seen, pass: number): number {
  let total = 0;
  let inverseAbove = 0;
  for (let bin = 0; bin < BINS; bin++) {
    total += requests[bin] ?? 0;
    inverseAbove += inverse[bin] ?? 0;
  }
  const budget = pass * total;
  let whole = 0;
  for (let bin = 0; bin < BINS; bin++) {
    const fair = (budget - whole) / inverseAbove;
    const binCount = (requests[bin] ?? 0) / (inverse[bin] ?? 0);
    if ((requests[bin] ?? 0) > 0 && fair < binCount) return Math.max(0, fair);
    whole += requests[bin] ?? 0;
    inverseAbove -= inverse[bin] ?? 0;
  }
  return Number.POSITIVE_INFINITY;
}

/** How often a client was seen, this time included, >= 1. Conservative: a count grows no further than it has to. */
function bump({ counts, salt }: FairShed, profile: string, client: string, weight: number): number {
  let hash = 0x811c9dc5 ^ salt;
  for (let i = 0; i < profile.length; i++) hash = Math.imul(hash ^ profile.charCodeAt(i), 0x01000193);
  for (let i = 0; i < client.length; i++) hash = Math.imul(hash ^ client.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  hash ^= hash >>> 16;
  const a = hash & (WIDTH - 1);
  const b = WIDTH + ((hash >>> 16) & (WIDTH - 1));
  const inA = counts[a] ?? 0;
  const inB = counts[b] ?? 0;
  const weighted = Math.min(inA, inB) + weight;
  if (inA < weighted) counts[a] = weighted;
  if (inB < weighted) counts[b] = weighted;
  return weighted / weight;
}
