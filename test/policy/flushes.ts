/** Flushes for tests: what an isolate would send after it has counted so much. */
import type { Flush, Present } from "../../src/policy/flush.ts";
import { countAnswer, countOutcome, newTally, type Outcome } from "../../src/policy/tally.ts";
import type { Tier } from "../../src/policy/tier.ts";

/** Nothing under way. */
export const AT_REST: Present = { inFlight: 0, isCircuitOpen: false };

/** Requests by outcome. */
export type Counts = Partial<Record<Outcome, number>>;

/** A flush of one profile; every admitted request is answered 200 after 100 ms. */
export function flushOf(counts: Counts, more: Partial<Flush> & { profile?: string; tier?: Tier } = {}): Flush {
  const { profile = "default", tier = "low", ...members } = more;
  const tally = newTally();
  for (const [outcome, count] of Object.entries(counts))
    for (let i = 0; i < count; i++) {
      countOutcome(tally, profile, tier, outcome as Outcome, 0);
      if (outcome === "admitted") countAnswer(tally, profile, 200, 100, 0);
    }
  const { rows, events } = tally;
  return { isolate: "a", number: 1, spanMs: 0, ageMs: 0, ...AT_REST, events, rows: [...rows], ...members };
}
