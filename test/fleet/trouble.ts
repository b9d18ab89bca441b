/**
 * A fleet that is hurt while it runs: isolates die with what they have borrowed, counters are reset, the tier changes and
 * isolates learn of it one by one. One client offers more than its limit all the while.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { arrivalsOf, type Stream } from "./arrivals.ts";
import { accountKey, type Books, balance } from "./books.ts";
import { type Documents, type Fleet, type ProfileDocument, profileOf, startFleet } from "./fleet.ts";
import type { Unit } from "./judge.ts";
import { type Offer, offer, type Sent } from "./offer.ts";

/** What happens to a fleet, and when. */
export interface TroubleOptions {
  readonly windowMs: number;
  /** In each tier. */
  readonly limits: ProfileDocument["limits"];
  /** Requests per second of the client. */
  readonly perSecond: number;
  readonly seconds: number;
  /** Between two deaths of isolates, ms; 0: none dies. */
  readonly dieEveryMs: number;
  /** Between two resets of all counters, ms; 0: never. */
  readonly abortEveryMs: number;
  /** Loads that are pinned one after the other, and how long each stands, ms. */
  readonly pins: readonly number[];
  readonly pinEveryMs: number;
  readonly seed: number;
}

/** What was seen. */
export interface TroubleResult {
  readonly sent: readonly Sent[];
  readonly units: readonly Unit[];
  readonly books: Books;
  readonly deaths: number;
  /** Unix ms at which counters were about to be reset. */
  readonly abortsMs: readonly number[];
  /** Each pinned load, and the Unix ms at which it was put. */
  readonly pinned: readonly (readonly [atMs: number, load: number])[];
}

/** Isolates that serve at a time. */
const ISOLATES = 8;
const PROFILE = "troubled";
const STREAM = { path: "/troubled", client: "10.1.0.1" };

/** Runs a fleet through its troubles. */
export async function runTroubled(options: TroubleOptions): Promise<TroubleResult> {
  const { windowMs, limits, perSecond, seconds, dieEveryMs, abortEveryMs, pins, pinEveryMs, seed } = options;
  const spares = dieEveryMs === 0 ? 0 : Math.ceil((seconds * 1000) / dieEveryMs);
  const profiles = { [PROFILE]: { ...profileOf(STREAM.path, 0, windowMs), limits } };
  const documents: Documents = { profiles, ...(pins[0] === undefined ? {} : { pin: pins[0] }) };
  const fleet = await startFleet({ isolates: ISOLATES + spares, documents });
  try {
    const streams: Stream[] = [{ ...STREAM, perSecond }];
    const running = offer(arrivalsOf(streams, ISOLATES, seconds * 1000, seed), streams, fleet.ports.slice(0, ISOLATES));
    const over = new AbortController();
    const abortsMs: number[] = [];
    const pinned: [number, number][] = [[Date.now(), pins[0] ?? 0]];
    const deaths = repeat(dieEveryMs, over.signal, (count) => dieInTurn(fleet, running, count));
    const aborts = repeat(abortEveryMs, over.signal, async () => {
      abortsMs.push(Date.now());
      await fleet.abortCounters();
    });
    const turns = repeat(pins.length > 1 ? pinEveryMs : 0, over.signal, async (count) => {
      const pin = pins[(count + 1) % pins.length] ?? 0;
      pinned.push([Date.now(), pin]);
      await fleet.put({ profiles, pin });
    });
    const sent = await running.done;
    over.abort();
    const died = await deaths;
    await Promise.all([aborts, turns]);
    const { isolates, counters } = await fleet.truth();
    const books = balance(isolates, counters);
    const units = books.accounts.get(accountKey(PROFILE, STREAM.client))?.units ?? [];
    return { sent, units, books, deaths: died, abortsMs, pinned };
  } finally {
    await fleet.stop();
  }
}

/** Ends the isolate at one place after the other; a new one takes its place. */
async function dieInTurn(fleet: Fleet, running: Offer, count: number): Promise<void> {
  const place = count % ISOLATES;
  const oldest = count < ISOLATES ? place : count;
  const fresh = ISOLATES + count;
  const port = fleet.ports[fresh];
  if (port === undefined) return;
  running.redirect(place, port);
  await fleet.die(oldest);
}

/** Does something again and again until `over`. @returns how often. */
async function repeat(everyMs: number, over: AbortSignal, act: (count: number) => Promise<void>): Promise<number> {
  let count = 0;
  if (everyMs === 0) return count;
  while (!over.aborted) {
    await sleep(everyMs, undefined, { signal: over }).catch(() => {});
    if (!over.aborted) await act(count++);
  }
  return count;
}
