/**
 * A gateway with real counters in the real runtime, between documents and an origin that the test makes up.
 *
 * Each gateway has counters of its own unless it is given those of another: then the two are isolates of one fleet.
 */
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { createApp } from "../../src/app.ts";
import { readVars } from "../../src/config/vars.ts";
import { createCounters } from "../../src/edge/shards.ts";
import type { Ports } from "../../src/ports.ts";

/** A line of the log. */
export interface Logged {
  readonly level: string;
  readonly event: string;
  readonly members: Readonly<Record<string, unknown>>;
}

/** What went to the origin. */
export interface Forwarded {
  readonly url: string;
  readonly init: RequestInit;
  readonly headers: Headers;
}

/** What a test makes up; the rest is in order. */
export interface Options {
  /** Documents by key, or a store that does as it likes. */
  readonly documents?: Readonly<Record<string, string>> | Ports["documents"]["read"];
  readonly origin?: (forwarded: Forwarded) => Promise<Response> | Response;
  readonly vars?: Readonly<Record<string, unknown>>;
  readonly ports?: Partial<Ports>;
  /** The fleet whose counters it uses. */
  readonly fleet?: string;
}

/** One isolate of the gateway. */
export interface Isolate {
  send(path: string, init?: RequestInit & { readonly client?: string | null }): Promise<Response>;
  readonly forwarded: readonly Forwarded[];
  readonly logged: readonly Logged[];
  /** Times that documents were read, and what was written among them. */
  readonly reads: number;
  readonly written: ReadonlyMap<string, string>;
  /** What stands under a key from now on. */
  put(key: string, text: string): void;
}

let fleets = 0;
let clients = 0;

/** A name that no other test uses. */
export function freshFleet(): string {
  fleets += 1;
  return `fleet-${fleets}-${Date.now()}`;
}

/** An address that no other test has. */
export function freshClient(): string {
  clients += 1;
  return `10.${(clients >> 16) & 255}.${(clients >> 8) & 255}.${clients & 255}`;
}

/** Keeps nothing. */
const never = () => new Promise<never>(() => {});
const FAR_METER: Ports["meter"] = { report: never, view: never, hearOrigin: never };
const NO_CACHE: Ports["cache"] = {
  match: async () => undefined,
  async put(_key, response) {
    await response.body?.cancel();
  },
  delete: async () => false,
};

/** Starts an isolate. */
export function startIsolate(options: Options = {}): Isolate {
  const { documents = {}, origin = () => new Response("from the origin"), vars = {}, fleet = freshFleet() } = options;
  const forwarded: Forwarded[] = [];
  const logged: Logged[] = [];
  const stored = new Map(typeof documents === "function" ? [] : Object.entries(documents));
  const written = new Map<string, string>();
  const readStored: Ports["documents"]["read"] = async (keys) =>
    new Map(keys.map((key) => [key, stored.get(key) ?? null]));
  const read = typeof documents === "function" ? documents : readStored;
  let reads = 0;
  const config = readVars({ ORIGIN_URL: "http://origin.test", COUNTER_TIMEOUT_MS: 20_000, ...vars });
  const app = createApp(config, {
    nowMs: () => Date.now(),
    newId: () => crypto.randomUUID(),
    cache: NO_CACHE,
    documents: {
      read(keys) {
        reads += 1;
        return read(keys);
      },
      async write(key, text) {
        written.set(key, text);
        stored.set(key, text);
      },
    },
    counters: createCounters(countersOf(fleet), config.counterShards),
    // Far away: what it would say of load is for the tests that have one.
    meter: FAR_METER,
    origin: {
      async fetch(url, init) {
        const sent = { url, init, headers: new Headers(init.headers) };
        forwarded.push(sent);
        return await origin(sent);
      },
    },
    log(level, event, members) {
      logged.push({ level, event, members });
    },
    ...options.ports,
  });
  return {
    async send(path, { client = freshClient(), ...init } = {}) {
      const headers = new Headers(init.headers);
      if (client !== null) headers.set("CF-Connecting-IP", client);
      const request = new Request(`https://api.levqor.ai${path}`, { ...init, headers });
      return await app.fetch(request, {}, createExecutionContext());
    },
    forwarded,
    logged,
    written,
    get reads() {
      return reads;
    },
    put: (key, text) => void stored.set(key, text),
  };
}

/** Names of the objects that each fleet has called. */
const called = new Map<string, Set<string>>();

/** The counters that a fleet has called. */
export function objectsOf(fleet: string) {
  return [...(called.get(fleet) ?? [])].map((name) => env.COUNTERS.getByName(name));
}

/** The real namespace, with objects that only this fleet has. */
export function countersOf(fleet: string): typeof env.COUNTERS {
  const names = called.get(fleet) ?? new Set();
  called.set(fleet, names);
  return new Proxy(env.COUNTERS, {
    get(namespace, member) {
      if (member === "getByName")
        return (name: string, options?: DurableObjectNamespaceGetDurableObjectOptions) => {
          names.add(`${fleet} ${name}`);
          return namespace.getByName(`${fleet} ${name}`, options);
        };
      const value: unknown = Reflect.get(namespace, member);
      return typeof value === "function" ? value.bind(namespace) : value;
    },
  });
}

/** The tier, limit and units left that a response tells; null where it tells none. */
export function limitOf({ headers }: Response): { profile: string; tier: string; q: number; r: number } | null {
  const policy = /^"([a-z0-9-]+)";q=(\d+);w=\d+;levqor-tier="([a-z]+)"$/.exec(headers.get("RateLimit-Policy") ?? "");
  const left = /^"([a-z0-9-]+)";r=(\d+)(?:;t=\d+)?$/.exec(headers.get("RateLimit") ?? "");
  if (policy === null || left === null || policy[1] !== left[1]) return null;
  return { profile: policy[1] ?? "", tier: policy[3] ?? "", q: Number(policy[2]), r: Number(left[2]) };
}
