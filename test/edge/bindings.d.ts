/** The bindings of `wrangler.toml`, as the tests in the runtime see them. */
declare namespace Cloudflare {
  interface Env {
    readonly EDGE_KV: KVNamespace;
    readonly COUNTERS: DurableObjectNamespace<import("../../src/objects/counter.ts").CounterShard>;
    METER: DurableObjectNamespace<import("../../src/objects/meter.ts").LoadMeter>;
  }
}
