/**
 * Who asks what when: Poisson streams from a seed, each request at an isolate drawn at random.
 */
import { createChance } from "../simulation/chance.ts";

/** A stream of requests of one client to one path. */
export interface Stream {
  readonly path: string;
  readonly client: string;
  readonly perSecond: number;
}

/** One request to be sent. */
export interface Arrival {
  /** ms since the start. */
  readonly atMs: number;
  /** Which of the streams it belongs to. */
  readonly stream: number;
  readonly isolate: number;
}

/** All requests of `streams` until `untilMs`, in order of time. The same seed makes the same ones. */
export function arrivalsOf(streams: readonly Stream[], isolates: number, untilMs: number, seed: number): Arrival[] {
  const chance = createChance(seed);
  const arrivals = streams.flatMap(({ perSecond }, stream) => {
    const own: Arrival[] = [];
    const meanMs = 1000 / perSecond;
    for (let atMs = chance.gapMs(meanMs); atMs < untilMs; atMs += chance.gapMs(meanMs))
      own.push({ atMs, stream, isolate: chance.whole(0, isolates - 1) });
    return own;
  });
  return arrivals.sort((a, b) => a.atMs - b.atMs);
}
