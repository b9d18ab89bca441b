/**
 * I1, read off a log: in any stretch of a window's length, the units used are at most the limit of the latest grant
 * that has a unit in the stretch. A grant that follows a change of the window knows the shorter history.
 */
import type { Loan } from "./loan.ts";

/** How far back a counter knows: to here, not including it. */
export interface History {
  fromMs: number;
}

/** One decision of the counter that let units out. */
export interface Grant {
  /** Rising. */
  readonly number: number;
  readonly limit: number;
  readonly windowMs: number;
  readonly history: History;
}

/** Units used at a moment of the counter's clock. */
export interface Use {
  atMs: number;
  readonly units: number;
  readonly grant: Grant;
  /** null: a request that called. */
  readonly loan: Loan | null;
}

/** The worst stretch of a log. */
export interface Excess {
  readonly units: number;
  readonly what: string;
}

/** The most units over any limit; 0 where none is ever passed. `uses` are in order of their moments. */
export function excessOf(uses: readonly Use[]): Excess {
  let worst: Excess = { units: 0, what: "" };
  for (const windowMs of new Set(uses.map(({ grant }) => grant.windowMs))) {
    for (let i = 0; i < uses.length; i++) {
      // Every set of uses that a stretch can hold is the largest one that ends, or that begins, with some use.
      for (const atMs of [uses[i]?.atMs ?? 0, (uses[i]?.atMs ?? 0) + windowMs - 1]) {
        const found = excessIn(uses, i, atMs, windowMs);
        if (found.units > worst.units) worst = found;
      }
    }
  }
  return worst;
}

/** Of the stretch (atMs - windowMs, atMs], which holds the use at `index`. */
function excessIn(uses: readonly Use[], index: number, atMs: number, windowMs: number): Excess {
  let first = index;
  while (first > 0 && (uses[first - 1]?.atMs ?? 0) > atMs - windowMs) first--;
  let latest: Grant | null = null;
  let end = first;
  for (let use = uses[end]; use !== undefined && use.atMs <= atMs; use = uses[++end])
    if (latest === null || use.grant.number > latest.number) latest = use.grant;
  if (latest === null || latest.windowMs !== windowMs) return { units: 0, what: "" };
  let used = 0;
  for (const use of uses.slice(first, end)) if (use.atMs > latest.history.fromMs) used += use.units;
  const what = `${used} of ${latest.limit} used in the ${windowMs} ms up to ${atMs}`;
  return { units: Math.max(0, used - latest.limit), what };
}
