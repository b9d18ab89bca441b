/**
 * True time for crowds, in whole ms: a list for each ms that anything happens in. A heap costs three times as much at
 * millions of events; the price here is a slot for every ms.
 */
export interface Timeline {
  readonly nowMs: () => number;
  /** Happens in the order it was planned, after what is planned for that ms already. What would be too late never does. */
  readonly after: (ms: number, happen: () => void) => void;
  /** Runs to the end. `tick` happens first in every ms. */
  readonly run: (tick: (nowMs: number) => void) => void;
}

/** From 0 to `endMs`. */
export function createTimeline(endMs: number): Timeline {
  const planned: ((() => void)[] | undefined)[] = new Array(endMs);
  let nowMs = 0;

  return {
    nowMs: () => nowMs,
    after(ms, happen) {
      const atMs = nowMs + Math.max(0, Math.ceil(ms));
      if (atMs >= endMs) return;
      const others = planned[atMs];
      if (others === undefined) planned[atMs] = [happen];
      else others.push(happen);
    },
    run(tick) {
      for (; nowMs < endMs; nowMs++) {
        tick(nowMs);
        // What happens may plan more for the same ms.
        for (let i = 0; i < (planned[nowMs]?.length ?? 0); i++) planned[nowMs]?.[i]?.();
        planned[nowMs] = undefined;
      }
    },
  };
}
