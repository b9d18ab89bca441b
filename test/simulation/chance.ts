/**
 * Chance from a seed: the same seed tells the same story on every machine. Mulberry32: 32 bits of state are plenty for
 * runs of some thousand draws.
 */

/** A source of draws. */
export interface Chance {
  /** 0 <= x < 1. */
  readonly next: () => number;
  /** A real number, `from` <= x < `to`. */
  readonly between: (from: number, to: number) => number;
  /** A whole number, `from` <= x <= `to`. */
  readonly whole: (from: number, to: number) => number;
  readonly is: (probability: number) => boolean;
  readonly pick: <T>(items: readonly [T, ...T[]]) => T;
  /** Time between two events of a Poisson stream. */
  readonly gapMs: (meanMs: number) => number;
}

/** The draws of `seed`. */
export function createChance(seed: number): Chance {
  let state = Math.imul(seed, 0x9e3779b1) >>> 0;
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  }
  return {
    next,
    between: (from, to) => from + (to - from) * next(),
    whole: (from, to) => from + Math.floor((to - from + 1) * next()),
    is: (probability) => next() < probability,
    pick: (items) => items[Math.floor(items.length * next())] ?? items[0],
    gapMs: (meanMs) => -Math.log(1 - next()) * meanMs,
  };
}
