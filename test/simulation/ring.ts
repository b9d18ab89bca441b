/**
 * I1 to I3, held against a ring at any moment: it charges all that was used and may be, not later than it was used, so
 * that nothing leaves the window before its time; and nothing for longer than the protocol says it must.
 */

import type { Loan } from "./loan.ts";
import { lifeMsOf, marginMsOf } from "./scene.ts";
import type { Use } from "./stretches.ts";

/** What a counter must know. */
export interface Log {
  /** In order of their moments. */
  readonly uses: readonly Use[];
  /** Whose units may still be used. */
  readonly open: ReadonlySet<Loan>;
  /** All that ever lent. */
  readonly lent: readonly Loan[];
  readonly newestMs: number;
  readonly windowMs: number;
  /** What was used until then may be forgotten. */
  readonly fromMs: number;
  /** Units that may be missing. */
  readonly forgiven: number;
}

interface Owed {
  readonly atMs: number;
  readonly units: number;
}

/** What is wrong with `slices`; null: nothing. In a steady run clock and window stay as they are. */
export function brokenRing(slices: readonly number[], log: Log, isSteady: boolean, trueMs: number): string | null {
  let charged = 0;
  for (let i = 0; i < slices.length; i += 2) {
    const units = slices[i + 1] ?? 0;
    charged += units;
    const isSound = Number.isSafeInteger(units) && units > 0 && (i === 0 || (slices[i - 2] ?? 0) < (slices[i] ?? 0));
    if (!isSound) return `I2 no slice is negative, and slices rise: ${slices.join(" ")}`;
  }
  const missing = missingIn(slices, log, trueMs);
  if (missing !== null) return `I1 charges all that is used or may be: ${missing}`;
  const most = isSteady ? mostCharged(log) : charged;
  return charged <= most ? null : `I3 charges nothing longer than it must: ${charged}, not ${most}`;
}

/** Now and later: until the last of them has left, the ring holds at least what was used. */
function missingIn(slices: readonly number[], log: Log, trueMs: number): string | null {
  const sliceMs = Math.ceil(log.windowMs / 60);
  let least = -log.forgiven;
  let charged = 0;
  let i = slices.length - 2;
  for (const { atMs, units } of owed(log, trueMs)) {
    for (; i >= 0 && ((slices[i] ?? 0) + 1) * sliceMs >= atMs; i -= 2) charged += slices[i + 1] ?? 0;
    least += units;
    if (charged < least) return `${charged} of ${least} at ${atMs}`;
  }
  return null;
}

/** Each unit used, and each that may be at its latest, latest first. */
function owed({ uses, open, newestMs, windowMs, fromMs }: Log, trueMs: number): readonly Owed[] {
  const units: Owed[] = [];
  for (let i = uses.length - 1; i >= 0; i--) {
    const use = uses[i];
    if (use === undefined || use.atMs <= Math.max(newestMs - windowMs, fromMs)) break;
    units.push(use);
  }
  const count = units.length;
  for (const { grant, lent, used, sentMs, endMs } of open) {
    if (grant === null || lent === used || trueMs >= sentMs + lifeMsOf(grant.windowMs)) continue;
    units.push({ atMs: endMs - marginMsOf(grant.windowMs), units: lent - used });
  }
  return count === units.length ? units : units.sort((a, b) => b.atMs - a.atMs);
}

/** A unit may be charged a slice longer than it must, one of a lease also a bucket, the margin and the way there. */
function mostCharged({ uses, lent, newestMs, windowMs }: Log): number {
  const fromMs = newestMs - windowMs - Math.ceil(windowMs / 60);
  let units = 0;
  for (const loan of lent) if (!loan.isReturned && loan.endMs > fromMs) units += loan.lent;
  for (let i = uses.length - 1; i >= 0; i--) {
    const use = uses[i];
    if (use === undefined || use.atMs <= fromMs - windowMs) break;
    if (use.loan === null ? use.atMs > fromMs : use.loan.isReturned && use.atMs > fromMs - use.loan.lateMs)
      units += use.units;
  }
  return units;
}
