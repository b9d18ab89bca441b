/**
 * What happens when, in true time: a heap of events. Two events of one moment happen in the order they were planned.
 */

/** The one true time of a simulation, and what is planned in it. */
export interface Agenda {
  /** True ms since the simulation began; no part of the protocol may see it but through a clock. */
  readonly nowMs: () => number;
  readonly at: (atMs: number, happen: () => void) => void;
  readonly runUntil: (endMs: number) => void;
  /** Events so far. */
  readonly steps: () => number;
}

interface Planned {
  readonly atMs: number;
  readonly order: number;
  readonly happen: () => void;
}

/** An empty agenda at time 0. */
export function createAgenda(): Agenda {
  const heap: Planned[] = [];
  let nowMs = 0;
  let order = 0;
  let steps = 0;

  function at(atMs: number, happen: () => void): void {
    const planned: Planned = { atMs, order: order++, happen };
    let i = heap.length;
    for (let up = (i - 1) >> 1; i > 0; up = (i - 1) >> 1) {
      const parent = heap[up];
      if (parent === undefined || isBefore(parent, planned)) break;
      heap[i] = parent;
      i = up;
    }
    heap[i] = planned;
  }

  function takeFirst(): void {
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let i = 0;
    for (;;) {
      let down = 2 * i + 1;
      let child = heap[down];
      if (child === undefined) break;
      const right = heap[down + 1];
      if (right !== undefined && isBefore(right, child)) {
        child = right;
        down++;
      }
      if (isBefore(last, child)) break;
      heap[i] = child;
      i = down;
    }
    heap[i] = last;
  }

  function runUntil(endMs: number): void {
    for (let first = heap[0]; first !== undefined && first.atMs <= endMs; first = heap[0]) {
      takeFirst();
      nowMs = Math.max(nowMs, first.atMs);
      steps++;
      first.happen();
    }
    nowMs = endMs;
  }

  return { nowMs: () => nowMs, at, runUntil, steps: () => steps };
}

function isBefore(a: Planned, b: Planned): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
