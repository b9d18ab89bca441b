/**
 * The log of refusals: one line for each class of them in a minute, however many there were, and nothing about who was
 * refused. Read off the flushes, so that a refusal itself writes nothing.
 *
 * The first line of a class comes with the first flush, so that an operator sees it begin; the rest of the minute is one
 * line. The price: what an isolate refused in its last minute may go unsaid; the meter has it.
 */
import type { Flush } from "../policy/flush.ts";
import { type Outcome, outcomeAt } from "../policy/tally.ts";
import { TIERS } from "../policy/tier.ts";
import type { Log } from "../ports.ts";

/** Says what a flush tells of refusals. */
export type RefusalLog = (flush: Flush, nowMs: number) => void;

interface Class {
  count: number;
  /** Unix ms of the last line. */
  saidMs: number;
}

const EVERY_MS = 60_000;
const REFUSING = ["refused", "shed"] as const satisfies readonly Outcome[];
/** Profiles, tiers and outcomes together; more than tables may have, and then all begins anew. */
const CLASSES_MAX = 1_024;

/** A log that has said nothing. */
export function createRefusalLog(log: Log): RefusalLog {
  const classes = new Map<string, Class>();
  /** A flush is sent again until it is answered. */
  let lastNumber = 0;

  function classOf(name: string): Class {
    const known = classes.get(name);
    if (known !== undefined) return known;
    if (classes.size >= CLASSES_MAX) classes.clear();
    const fresh = { count: 0, saidMs: Number.NEGATIVE_INFINITY };
    classes.set(name, fresh);
    return fresh;
  }

  return ({ number, rows, isCircuitOpen }, nowMs) => {
    if (number <= lastNumber) return;
    lastNumber = number;
    for (const [profile, row] of rows)
      for (const tier of TIERS)
        for (const outcome of REFUSING) {
          const count = row[outcomeAt(tier, outcome)] ?? 0;
          if (count > 0) classOf(`${outcome} ${tier} ${profile}`).count += count;
        }
    for (const [name, refusals] of classes) {
      if (refusals.count === 0 || Math.abs(nowMs - refusals.saidMs) < EVERY_MS) continue;
      const [outcome = "", tier, profile] = name.split(" ");
      log("info", outcome, { profile, tier, count: refusals.count, circuit_open: isCircuitOpen });
      refusals.count = 0;
      refusals.saidMs = nowMs;
    }
  };
}
