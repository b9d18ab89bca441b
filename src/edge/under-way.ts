/**
 * Requests that this isolate has at the origin.
 *
 * The platform ends a request that holds nothing when its client leaves, and nothing of ours runs after that. Such a
 * request has taken its unit and is at the origin all the same: whatever is here longer than the origin is waited for was
 * ended so, and is counted then. Holding every request instead would cost each of them several percent.
 *
 * Bound: `REQUESTS_MAX`; further ones are not seen here, and not counted should their client leave.
 */

/** One request. */
export interface Departed {
  readonly sentMs: number;
  /** Counts it, where nobody else will. */
  readonly count: () => void;
}

/** The requests of one isolate. */
export interface UnderWay {
  readonly begin: (departed: Departed) => void;
  readonly end: (departed: Departed) => void;
  /** How many there are, after those that were ended without a word have been counted. */
  readonly present: (nowMs: number) => number;
}

/** An isolate may have some thousands; a hundred bytes each. */
const REQUESTS_MAX = 10_000;
/** What a request may take beyond the origin's own deadline. */
const SLACK_MS = 2_000;

/** Nothing under way. */
export function createUnderWay(originTimeoutMs: number): UnderWay {
  const requests = new Set<Departed>();
  return {
    begin(departed) {
      if (requests.size < REQUESTS_MAX) requests.add(departed);
    },
    end: (departed) => void requests.delete(departed),
    present(nowMs) {
      // In order of sending: the first that is not over ends the search.
      for (const departed of requests) {
        if (nowMs - departed.sentMs < originTimeoutMs + SLACK_MS) break;
        requests.delete(departed);
        departed.count();
      }
      return requests.size;
    },
  };
}
