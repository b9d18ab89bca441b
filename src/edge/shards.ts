/**
 * Which counter object keeps a client, and the call to it.
 *
 * A fixed pool of objects, not one for each client: the first call to a new object can cost hundreds of milliseconds, an
 * account may only look up so many new ones, and calls for one shard can travel together. A shard belongs to a region,
 * the continent of the client's address, so that one address always lands on the same shard and that shard stands near
 * it. A key that is not one address lives in one fixed region.
 */
import type { CounterShard } from "../objects/counter.ts";
import type { Client } from "../policy/client.ts";
import type { Counters } from "../ports.ts";

/** Where an object of each region is created; it never moves afterwards. */
const LOCATION_HINTS: Readonly<Record<string, DurableObjectLocationHint>> = {
  AF: "afr",
  AN: "oc",
  AS: "apac",
  EU: "weur",
  NA: "enam",
  OC: "oc",
  SA: "sam",
};

/** The region of keys that are used from everywhere, and of addresses whose continent is not known. */
const HOME_REGION = "EU";

/** Counters in the namespace of `CounterShard`. */
export function createCounters(namespace: DurableObjectNamespace<CounterShard>, shards: number): Counters {
  return {
    placeOf: (client, continent) => `v1:${regionOf(client, continent)}:${shardOf(client.key)}`,

    // A stub belongs to the request that made it, and one that has failed stays broken: a new one each time.
    async call(place, batch) {
      const locationHint = LOCATION_HINTS[place.slice(3, 5)] ?? "weur";
      return await namespace.getByName(place, { locationHint }).takeMany(batch);
    },
  };

  /**
   * Object ids are made with a key that only this namespace has, at once and without a call: a keyed hash that nobody
   * outside can aim with.
   */
  function shardOf(clientKey: string): number {
    return Number.parseInt(namespace.idFromName(clientKey).toString().slice(0, 8), 16) % shards;
  }
}

function regionOf(client: Client, continent: string | null): string {
  return client.isOneAddress && continent !== null && Object.hasOwn(LOCATION_HINTS, continent)
    ? continent
    : HOME_REGION;
}
