/**
 * What a run is about, drawn from its seed: limits, windows, isolates, wires, clocks and traffic.
 */
import type { Chance } from "./chance.ts";
import type { Wires } from "./network.ts";

/** What kind of mishap a run is about: any but the exceptions, or one of those. */
export type Mood = "any" | "crash" | "jump";

/** Whose clock is wrong while leases are out, by as much as the margin allows. */
export type Wrong = "nobody's" | "slow isolates" | "isolates that step" | "the counter's";

export interface Scene {
  /** The first is the first in force; later versions pick from all. */
  readonly windows: readonly [number, ...number[]];
  readonly limitMax: number;
  readonly costMax: number;
  readonly isolates: number;
  readonly endMs: number;
  readonly takes: number;
  /** Takes that come close together. */
  readonly burst: number;
  /** Chance that the client stays with its isolate. */
  readonly stay: number;
  readonly deadlineMs: number;
  readonly wires: Wires;
  readonly wrong: Wrong;
  /** Neither window nor the counter's clock changes. */
  readonly isSteady: boolean;
}

const WINDOWS = [1_000, 5_000, 10_000, 60_000, 60_000, 60_000, 3_600_000] as const;
const WRONG = ["nobody's", "slow isolates", "isolates that step", "the counter's"] as const;
const TAKES_MAX = 220;

export function drawScene(chance: Chance, mood: Mood): Scene {
  if (mood === "crash") return crashScene(chance);
  const windowMs = chance.pick(WINDOWS);
  const lifeMs = lifeMsOf(windowMs);
  const isSteady = mood === "any" && chance.is(0.4);
  const limitMax = chance.is(0.3) ? chance.whole(1, 8) : chance.whole(5, 60);
  const costMax = chance.is(0.6) ? 1 : chance.whole(2, 5);
  const usualMs = chance.pick([lifeMs / 300, lifeMs / 50, lifeMs / 10, lifeMs / 3]);
  // Where it is quiet, isolates keep leases they have not settled for longer than a window.
  const isQuiet = chance.is(0.3);
  const perWindow = isQuiet ? chance.between(0.5, 6) : Math.max(4, (limitMax / costMax) * 2) * chance.between(0.4, 3);
  const takes = isQuiet ? 60 : Math.min(TAKES_MAX, Math.ceil(perWindow * chance.between(1.5, 5)));
  const other = isQuiet ? windowMs * 60 : chance.pick([windowMs / 6, windowMs * 6, 10_000, 60_000]);
  return {
    windows: isSteady || chance.is(0.3) ? [windowMs] : [windowMs, Math.ceil(other)],
    limitMax,
    costMax,
    isolates: chance.is(0.1) ? chance.whole(7, 20) : chance.whole(1, 6),
    endMs: (takes / perWindow) * windowMs,
    takes,
    burst: chance.pick([1, 1, 4, 12]),
    stay: chance.pick([0, 0, 0.9]),
    deadlineMs: Math.ceil(chance.pick([usualMs * 3, lifeMs / 2, lifeMs, lifeMs * 1.5]) + 2),
    wires: {
      oneWayMs: () => chance.between(0.2, 1) * usualMs + (chance.is(0.05) ? chance.gapMs(lifeMs / 2) : 0),
      lost: chance.pick([0, 0.02, 0.1]),
      noticed: chance.next(),
      repeated: chance.pick([0, 0.05, 0.2]),
      repeatedAfterMs: () => chance.gapMs(chance.is(0.7) ? lifeMs / 2 : windowMs / 2),
    },
    wrong: chance.pick(WRONG),
    isSteady,
  };
}

/** By the protocol: limit 100, 20 requests a second, writes of up to 50 ms. */
function crashScene(chance: Chance): Scene {
  return {
    windows: [60_000],
    limitMax: 100,
    costMax: 1,
    isolates: chance.whole(1, 6),
    endMs: 15_000,
    takes: 300,
    burst: 1,
    stay: 0,
    deadlineMs: 500,
    wires: { oneWayMs: () => chance.between(3, 17), lost: 0, noticed: 0, repeated: 0, repeatedAfterMs: () => 0 },
    wrong: "nobody's",
    isSteady: false,
  };
}

/** How long a lease may be used: by the protocol, not by the code under test. */
export function lifeMsOf(windowMs: number): number {
  return Math.floor(Math.min(5_000, windowMs / 12));
}

/** What a clock may be wrong by in one life of a lease. */
export function marginMsOf(windowMs: number): number {
  return Math.ceil(Math.ceil(windowMs / 60) / 4);
}

/** Share of a life by which a clock may be slow, rounding to whole ms left out. */
export function slownessOf(windowMs: number): number {
  return Math.max(0, marginMsOf(windowMs) - 2) / (lifeMsOf(windowMs) + marginMsOf(windowMs));
}
