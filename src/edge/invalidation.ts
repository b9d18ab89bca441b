/**
 * Drops what an unsafe request made invalid (RFC 9111 section 4.4): its URL, and what `Location` and `Content-Location` of
 * its answer name on the same origin.
 *
 * Another isolate may have kept what this one never saw, so a URL that is not known here is dropped too; but not before
 * this isolate ever kept anything, and at most every 10 s for a URL that nobody here asks for: a path that is only ever
 * posted to pays for nothing. The price: what another isolate keeps of it in these 10 s lives on until it is stale. Other
 * data centers have caches of their own.
 *
 * An answer that was under way when its URL became invalid is not kept.
 */
import { invalidates } from "../policy/freshness.ts";
import type { Ports } from "../ports.ts";
import { createBoundedMap } from "./bounded-map.ts";
import type { Store } from "./store.ts";

/** What became invalid, of one isolate. */
export interface Invalidation {
  /** Whether an answer to a request that is neither GET nor HEAD can make anything invalid that was kept. */
  readonly concerns: (request: Request, response: Response, isKnown: (url: string) => unknown) => boolean;
  /** Hears of one that does; resolves when what it made invalid is gone. */
  readonly after: (request: Request, response: Response, isKnown: (url: string) => unknown) => Promise<void>;
  /** Whether a URL became invalid at or after a moment, Unix ms. */
  readonly happenedSince: (url: string, sinceMs: number) => boolean;
  /** Something was kept. */
  readonly noteStored: () => void;
}

interface Event {
  readonly atMs: number;
  readonly droppedMs: number;
}

/** URLs remembered at least. */
const URLS = 2_048;
const REPEAT_MS = 10_000;

/** An isolate that knows of nothing invalid. */
export function createInvalidation(store: Store, { nowMs }: Pick<Ports, "nowMs">): Invalidation {
  const events = createBoundedMap<Event>(URLS);
  let hasStored = false;

  async function invalidate(url: string, isKnown: boolean): Promise<void> {
    const atMs = nowMs();
    const droppedMs = events.get(url)?.droppedMs ?? Number.NEGATIVE_INFINITY;
    const isDue = isKnown || Math.abs(atMs - droppedMs) >= REPEAT_MS;
    events.set(url, { atMs, droppedMs: isDue ? atMs : droppedMs });
    if (isDue) await store.drop(url);
  }

  return {
    concerns: ({ url, method }, { status }, isKnown) =>
      (hasStored || isKnown(url) !== undefined) && invalidates(method, status),

    async after({ url }, { headers }, isKnown) {
      const named = [headers.get("location"), headers.get("content-location")].map((field) => sameOrigin(field, url));
      const urls = new Set([url, ...named.filter((target) => target !== null)]);
      await Promise.all([...urls].map((target) => invalidate(target, isKnown(target) !== undefined)));
    },
    happenedSince: (url, sinceMs) => (events.get(url)?.atMs ?? Number.NEGATIVE_INFINITY) >= sinceMs,
    noteStored: () => {
      hasStored = true;
    },
  };
}

/** A target as a URL of the same origin; null where it is of another. */
function sameOrigin(target: string | null, base: string): string | null {
  if (target === null) return null;
  const url = URL.parse(target, base);
  return url !== null && url.origin === new URL(base).origin ? url.href : null;
}
