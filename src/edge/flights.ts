/**
 * Requests for one thing that are under way in this isolate, so that others can wait for the first instead of asking too.
 *
 * Between requests only plain data may pass on Workers, and a promise may never settle when the request that owns it is
 * ended: so a flight carries how it ended and nothing of the answer, and whoever waits does so with a bound. One who
 * waited in vain takes the flight off the board, and the first to do so takes its place.
 */

import { within } from "../deadline.ts";
import type { Denial } from "../policy/denial.ts";

/**
 * How a flight ended: the answer can be read from the store; it is nobody else's; the origin answered that it fails; who
 * led it is gone; or there was no answer.
 */
export type Landing = "stored" | "unshared" | "failing" | "lost" | { readonly denial: Denial };

/** One flight as others see it. */
export interface Flight {
  /** How it ended, or null after `ms`. */
  readonly landing: (ms: number) => Promise<Landing | null>;
}

/** The flights of an isolate. */
export interface Flights {
  readonly get: (key: string) => Flight | undefined;
  /** Starts one; the caller lands it whatever happens, and holds `landed` with `waitUntil`. */
  readonly start: (key: string) => { readonly land: (landing: Landing) => void; readonly landed: Promise<Landing> };
}

/** An empty board. It is bounded by the requests that an isolate has under way at once. */
export function createFlights(): Flights {
  const flights = new Map<string, Flight>();
  return {
    get: (key) => flights.get(key),
    start(key) {
      const { promise, resolve } = Promise.withResolvers<Landing>();
      const leave = () => {
        if (flights.get(key) === flight) flights.delete(key);
      };
      const flight: Flight = {
        async landing(ms) {
          let landed: Landing | null = null;
          await within(
            promise.then((landing) => {
              landed = landing;
            }),
            ms,
          );
          if (landed === null) leave();
          return landed;
        },
      };
      flights.set(key, flight);
      const land = (landing: Landing) => {
        leave();
        resolve(landing);
      };
      return { land, landed: promise };
    },
  };
}
