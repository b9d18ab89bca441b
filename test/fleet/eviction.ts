/**
 * A counter that is idle for so long that the runtime drops it from memory: ten seconds, and no way to hurry it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Arrival, Stream } from "./arrivals.ts";
import { accountKey, balance } from "./books.ts";
import { profileOf, startFleet } from "./fleet.ts";
import { type Worst, worstStretch } from "./judge.ts";
import { offer } from "./offer.ts";

/** Two bursts and a silence. */
export interface EvictionOptions {
  readonly limit: number;
  readonly windowMs: number;
  /** Requests of the first burst; the second is of as many as the limit. */
  readonly first: number;
  readonly idleMs: number;
}

/** What was admitted of each burst. */
export interface EvictionResult {
  readonly first: number;
  readonly second: number;
  readonly worst: Worst;
  /** Times a counter was made or loaded. */
  readonly loads: number;
}

const ISOLATES = 8;
const BURST_MS = 1_000;
const PROFILE = "evicted";
const STREAM: Stream = { path: "/evicted", client: "10.3.0.1", perSecond: 0 };

/** Sends both bursts within one window. */
export async function runEvicted({ limit, windowMs, first, idleMs }: EvictionOptions): Promise<EvictionResult> {
  const documents = { profiles: { [PROFILE]: profileOf(STREAM.path, limit, windowMs) } };
  const fleet = await startFleet({ isolates: ISOLATES, documents });
  try {
    const admitted = async (count: number): Promise<number> => {
      const sent = await offer(burst(count), [STREAM], fleet.ports).done;
      return sent.filter(({ status }) => status === 200).length;
    };
    const before = await admitted(first);
    await sleep(idleMs);
    const after = await admitted(limit);
    const { isolates, counters } = await fleet.truth();
    const { accounts, loads } = balance(isolates, counters);
    const units = accounts.get(accountKey(PROFILE, STREAM.client))?.units ?? [];
    return { first: before, second: after, worst: worstStretch(units, windowMs), loads };
  } finally {
    await fleet.stop();
  }
}

/** Evenly over a second and in turn over all isolates. */
function burst(count: number): Arrival[] {
  return Array.from({ length: count }, (_, i) => ({ atMs: (i * BURST_MS) / count, stream: 0, isolate: i % ISOLATES }));
}
