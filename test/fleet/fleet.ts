/**
 * A fleet: many isolates of the gateway in one bare workerd, all counting in one namespace of Durable Objects.
 *
 * Each isolate is a service of its own with a socket of its own, so that a client chooses the isolate. The counters live
 * in a service apart. workerd runs all of them on one thread: requests of different isolates interleave at every wait,
 * and never run at the same instant. Storage is on tmpfs; KV is a service whose documents can be changed.
 *
 * The Workers are the gateway's own, with a log of the truth (`workers/gateway.ts`).
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { gatewayService } from "../../bench/gateway.ts";
import { bundle, type Server, serve } from "../../bench/workerd.ts";
import type { Service } from "../../bench/workerd-config.ts";
import type { Truth } from "./workers/truth.ts";

/** A profile as it stands in a `tier-tables` document. */
export interface ProfileDocument {
  readonly match: readonly string[];
  readonly limits: Readonly<Record<"low" | "medium" | "high" | "critical", number>>;
  readonly window_seconds: number;
  readonly on_counter_failure: "closed";
}

/** What stands in KV. */
export interface Documents {
  readonly profiles: Readonly<Record<string, ProfileDocument>>;
  /** The load that is pinned; none, if left out. */
  readonly pin?: number;
}

/** What a fleet is made of. */
export interface FleetOptions {
  readonly isolates: number;
  readonly documents: Documents;
  /** Directory that outlives the fleet; one of its own, if left out. */
  readonly storageDir?: string;
  /** Where admitted requests go; a Worker beside the gateways, if left out. */
  readonly originUrl?: string;
}

/** A fleet that serves. */
export interface Fleet {
  /** Port of each isolate on 127.0.0.1. */
  readonly ports: readonly number[];
  readonly put: (documents: Documents) => Promise<void>;
  /** Ends an isolate, with all it has borrowed. */
  readonly die: (isolate: number) => Promise<void>;
  /** Resets every counter, as a crash of its process does. */
  readonly abortCounters: () => Promise<void>;
  /** What has happened since it was asked last: of the isolates in their order, and of the counters. */
  readonly truth: () => Promise<{ readonly isolates: readonly Truth[]; readonly counters: Truth }>;
  readonly stop: (signal?: "SIGTERM" | "SIGKILL") => Promise<void>;
}

/** One request a unit, and none but these are admitted: what no counter grants is refused. */
export function profileOf(path: string, limit: number, windowMs: number): ProfileDocument {
  const limits = { low: limit, medium: limit, high: limit, critical: limit };
  return { match: [path], limits, window_seconds: windowMs / 1000, on_counter_failure: "closed" };
}

/** A profile by which an isolate shows that it has read its documents. */
const READY = { path: "/ready", limit: 999_999 };
const READY_ROUNDS = 50;
/** So many that every counter of the pool has one of them. */
const READY_CLIENTS = Array.from({ length: 40 }, (_, i) => `192.0.2.${i}`);
const COUNTERS = "counters";
const KV = "kv";
const ORIGIN = "origin";
const COMPATIBILITY_DATE = "2026-10-20";
/** A call that takes this long is one that failed: on a busy machine, not by design. */
const COUNTER_TIMEOUT_MS = 3_000;

const built = mkdtempSync(join(tmpdir(), "levqor-edge-fleet-"));
process.once("exit", () => rmSync(built, { recursive: true, force: true }));
let modules: Promise<readonly [gateway: string, kv: string, origin: string]> | null = null;

/** Starts a fleet; every isolate has read its documents when it resolves. */
export async function startFleet({ isolates, documents, storageDir, originUrl }: FleetOptions): Promise<Fleet> {
  modules ??= Promise.all([
    build("workers/gateway.toml", "gateway"),
    build("workers/kv.toml", "kv"),
    build("../../bench/subjects/origin.toml", "origin"),
  ]);
  const [gateway, kv, origin] = await modules;
  const names = Array.from({ length: isolates }, (_, i) => `isolate-${i}`);
  const vars = {
    SIGNAL_REFRESH_SECONDS: 1,
    COUNTER_TIMEOUT_MS,
    ...(originUrl === undefined ? {} : { ORIGIN_URL: originUrl }),
  };
  const withOrigin = (service: Service): Service =>
    originUrl === undefined
      ? { ...service, bindings: [...(service.bindings ?? []), { kind: "service", name: "ORIGIN", service: ORIGIN }] }
      : service;
  const server = await serve({
    services: [
      { name: KV, module: kv, compatibilityDate: COMPATIBILITY_DATE },
      { name: ORIGIN, module: origin, compatibilityDate: COMPATIBILITY_DATE },
      withOrigin(gatewayService({ name: COUNTERS, module: gateway, kv: KV, vars })),
      ...names.map((name) => withOrigin(gatewayService({ name, module: gateway, kv: KV, vars, countersOf: COUNTERS }))),
    ],
    sockets: [KV, COUNTERS, ...names].map((name) => ({ name, service: name })),
    ...(storageDir === undefined ? {} : { storageDir }),
  });
  const fleet = fleetOf(server, names);
  await fleet.put(documents);
  for (const name of names) await ready(server.urlOf(name));
  await fleet.truth();
  return fleet;
}

/** The first request of an isolate makes it read KV, and the first to a counter makes that: let neither be measured. */
async function ready(url: string): Promise<void> {
  for (let round = 0; round < READY_ROUNDS; round++) {
    const limits = await Promise.all(READY_CLIENTS.map((client) => limitOf(url + READY.path, client)));
    if (limits.every((limit) => limit === String(READY.limit))) return;
    await sleep(100);
  }
  throw new Error(`${url}: expected the tables of the fleet within ${READY_ROUNDS} rounds`);
}

async function limitOf(url: string, client: string): Promise<string | null> {
  const response = await fetch(url, { headers: { "CF-Connecting-IP": client } });
  await response.arrayBuffer();
  return response.headers.get("x-ratelimit-limit");
}

function fleetOf(server: Server, names: readonly string[]): Fleet {
  const nameOf = (isolate: number): string => names[isolate] ?? `isolate ${isolate} of ${names.length}`;
  const read = async (name: string): Promise<Truth> =>
    (await (await command(server, name, "truth", "GET")).json()) as Truth;
  return {
    ports: names.map((name) => server.ports.get(name) ?? 0),
    put: async (documents) => void (await command(server, KV, "documents", "PUT", JSON.stringify(textsOf(documents)))),
    die: async (isolate) => void (await command(server, nameOf(isolate), "die", "POST")),
    abortCounters: async () => void (await command(server, COUNTERS, "abort", "POST")),
    truth: async () => ({ isolates: await Promise.all(names.map(read)), counters: await read(COUNTERS) }),
    stop: (signal) => server.stop(signal),
  };
}

/** Load that nobody pins must not change anything: capacity is out of reach. */
function textsOf({ profiles, pin }: Documents): Readonly<Record<string, string>> {
  const tables = {
    capacity_rpm: 1_000_000_000,
    profiles: { ...profiles, ready: profileOf(READY.path, READY.limit, 60_000) },
  };
  return {
    "tier-tables": JSON.stringify(tables),
    ...(pin === undefined ? {} : { "load-pin": JSON.stringify({ load: pin }) }),
  };
}

async function command(
  server: Server,
  service: string,
  name: string,
  method: string,
  body?: string,
): Promise<Response> {
  const url = `${server.urlOf(service)}/~fleet/${name}`;
  try {
    const response = await fetch(url, { method, ...(body === undefined ? {} : { body }) });
    if (response.ok) return response;
    throw new Error(`status ${response.status}`);
  } catch (error) {
    throw new Error(`${service} ${name}: expected success\n${server.log()}`, { cause: error });
  }
}

function build(config: string, name: string): Promise<string> {
  return bundle(fileURLToPath(new URL(config, import.meta.url)), join(built, name));
}
