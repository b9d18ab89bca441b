/**
 * A fleet that is killed with SIGKILL and started again on the same storage, while a client goes on sending.
 *
 * The logs of the fleet die with it, so what is known of a unit is an interval: given out between the sending of its
 * request and its coming to an origin outside. A stretch in which more than the limit lie whole is proof that the limit
 * was passed; fewer is no proof that it was not, by as many as were under way at its ends.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { arrivalsOf, type Stream } from "./arrivals.ts";
import { type Fleet, profileOf, startFleet } from "./fleet.ts";
import { offer, type Sent, unixMs } from "./offer.ts";
import { startOrigin } from "./origin.ts";

/** When what is killed. */
export interface CrashOptions {
  readonly limit: number;
  readonly windowMs: number;
  readonly perSecond: number;
  readonly seconds: number;
  /** ms after the start at which the fleet is killed. */
  readonly killsMs: readonly number[];
  readonly seed: number;
}

/** A unit that was given out at some moment between these, Unix ms. */
export interface Interval {
  readonly fromMs: number;
  readonly toMs: number;
}

/** What was seen. */
export interface CrashResult {
  readonly sent: readonly Sent[];
  readonly admitted: readonly Interval[];
  /** Unix ms of each kill, and of the first moment at which the fleet served again. */
  readonly kills: readonly Interval[];
}

const ISOLATES = 8;
const STREAM = { path: "/crashing", client: "10.2.0.1" };

/** Runs a fleet through its crashes. */
export async function runCrashing(options: CrashOptions): Promise<CrashResult> {
  const { limit, windowMs, perSecond, seconds, killsMs, seed } = options;
  const storageDir = mkdtempSync("/dev/shm/levqor-edge-crash-");
  const origin = await startOrigin();
  const documents = { profiles: { crashing: profileOf(STREAM.path, limit, windowMs) } };
  const start = (): Promise<Fleet> => startFleet({ isolates: ISOLATES, documents, storageDir, originUrl: origin.url });
  let fleet = await start();
  const kills: Interval[] = [];
  try {
    const streams: Stream[] = [{ ...STREAM, perSecond }];
    const startMs = unixMs();
    const running = offer(arrivalsOf(streams, ISOLATES, seconds * 1000, seed), streams, fleet.ports);
    for (const killMs of killsMs) {
      await sleep(startMs + killMs - unixMs());
      const fromMs = unixMs();
      await fleet.stop("SIGKILL");
      fleet = await start();
      for (const [isolate, port] of fleet.ports.entries()) running.redirect(isolate, port);
      kills.push({ fromMs, toMs: unixMs() });
    }
    const sent = await running.done;
    const admitted = sent.flatMap(({ number, sentMs }) => {
      const toMs = origin.cameMs.get(number);
      return toMs === undefined ? [] : [{ fromMs: sentMs, toMs }];
    });
    return { sent, admitted, kills };
  } finally {
    await fleet.stop();
    await origin.stop();
    rmSync(storageDir, { recursive: true, force: true });
  }
}
