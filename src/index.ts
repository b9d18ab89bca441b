/**
 * The Worker's entry: plugs Cloudflare into the ports, once per isolate.
 */
import type { Hono } from "hono";
import { createApp, internalError } from "./app.ts";
import { readVars } from "./config/vars.ts";
import { createMetering } from "./edge/metering.ts";
import { createCounters } from "./edge/shards.ts";
import { log } from "./log.ts";
import type { CounterShard } from "./objects/counter.ts";
import type { LoadMeter } from "./objects/meter.ts";
import type { Documents, EdgeCache, Origin } from "./ports.ts";

export { CounterShard } from "./objects/counter.ts";
export { LoadMeter } from "./objects/meter.ts";

/** Bindings of `wrangler.toml`; vars and secrets beside them are read by `readVars`. */
interface Env {
  readonly EDGE_KV: KVNamespace;
  readonly COUNTERS: DurableObjectNamespace<CounterShard>;
  readonly METER: DurableObjectNamespace<LoadMeter>;
  readonly ORIGIN?: Fetcher;
}

/** KV's own shortest cache time, seconds. */
const KV_CACHE_SECONDS = 30;

let app: Hono | null = null;

export default {
  fetch(request, env, ctx) {
    try {
      app ??= start(env);
    } catch (error) {
      return internalError(error, request, runtime);
    }
    return app.fetch(request, env, ctx);
  },
} satisfies ExportedHandler<Env>;

const runtime = { nowMs: () => Date.now(), newId: () => crypto.randomUUID(), log };

const cache: EdgeCache = {
  match: (key, range) => caches.default.match(range === undefined ? key : new Request(key, { headers: { range } })),
  put: (key, response) => caches.default.put(key, response),
  delete: (key) => caches.default.delete(key),
};

function start(env: Env): Hono {
  const config = readVars(env as unknown as Record<string, unknown>);
  return createApp(env.ORIGIN === undefined ? config : { ...config, originUrl: null }, {
    ...runtime,
    documents: documentsIn(env.EDGE_KV),
    counters: createCounters(env.COUNTERS, config.counterShards),
    meter: createMetering(env.METER),
    origin: originOf(env),
    cache,
  });
}

function documentsIn(kv: KVNamespace): Documents {
  return {
    read: (keys) => kv.get([...keys], { type: "text", cacheTtl: KV_CACHE_SECONDS }),
    write: (key, text) => kv.put(key, text),
  };
}

function originOf({ ORIGIN }: Env): Origin {
  return { fetch: ORIGIN === undefined ? (url, init) => fetch(url, init) : (url, init) => ORIGIN.fetch(url, init) };
}
