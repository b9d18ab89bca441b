/**
 * Everything that is measured, ready to be served: each subject bundled once, and the bindings it needs.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { GATEWAY_CONFIG, gatewayService, KV_CONFIG, kvService } from "./gateway.ts";
import type { Processors } from "./processors.ts";
import { LIMITS, tierTables } from "./tables.ts";
import { makeVariant, VARIANTS, type Variant } from "./without/variants.ts";
import { workerService } from "./worker-service.ts";
import { bundle, type Server, serve } from "./workerd.ts";
import type { Service } from "./workerd-config.ts";

/** What is measured. `naive-in-memory` is `naive` without the file that workerd makes for each object. */
export type Subject =
  | Variant
  | "bare"
  | "fields"
  | "constant"
  | "naive"
  | "naive-in-memory"
  | "hono-rate-limiter"
  | "gateway";

/** Bundled Workers by the name of their configuration. */
export type Modules = ReadonlyMap<string, string>;

/** What a subject needs to be served. */
export interface Stage {
  readonly modules: Modules;
  readonly originUrl: string;
  /** A refusal of the gateway's, word for word; empty until one is known. */
  readonly refusal: string;
}

const OWN = ["origin", "kv", "counted", "bare", "fields", "constant", "naive", "hono-rate-limiter"] as const;

/** Bundles everything; the directory goes with this process. */
export async function bundleAll(): Promise<Modules> {
  const directory = mkdtempSync(join(tmpdir(), "levqor-edge-bench-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  const variants = Object.keys(VARIANTS) as Variant[];
  const configs = [
    ["gateway", GATEWAY_CONFIG] as const,
    ...OWN.map((name) => [name, configOf(name)] as const),
    ...variants.map((name) => [name, makeVariant(name, directory)] as const),
  ];
  const modules = new Map<string, string>();
  // Two at a time: each is a process that keeps a processor busy for a second.
  const next = configs.values();
  const workers = [1, 2].map(async () => {
    for (const [name, config] of next) modules.set(name, await bundle(config, join(directory, name)));
  });
  await Promise.all(workers);
  return modules;
}

function configOf(name: string): string {
  return name === "kv" ? KV_CONFIG : fileURLToPath(new URL(`subjects/${name}.toml`, import.meta.url));
}

/** Path of a bundled module. */
export function moduleOf(modules: Modules, name: string): string {
  const module = modules.get(name);
  if (module === undefined)
    throw new RangeError(`module: expected one of ${[...modules.keys()].join(", ")}, got ${name}`);
  return module;
}

/** The origin in a workerd of its own. */
export function serveOrigin(modules: Modules, pinTo: Processors): Promise<Server> {
  const origin = workerService(configOf("origin"), { name: "origin", module: moduleOf(modules, "origin") });
  return serve({ services: [origin], sockets: [{ name: "origin", service: "origin" }], pinTo });
}

/** A subject in a workerd of its own, on a socket of its own name. */
export function serveSubject(subject: Subject, stage: Stage, pinTo: Processors): Promise<Server> {
  return serve({ services: servicesOf(subject, stage), sockets: [{ name: subject, service: subject }], pinTo });
}

function servicesOf(subject: Subject, { modules, originUrl, refusal }: Stage): readonly Service[] {
  const vars = { ORIGIN_URL: originUrl, LIMITS, BODY: refusal };
  switch (subject) {
    case "bare":
    case "fields":
    case "constant":
    case "naive":
    case "hono-rate-limiter":
      return [workerService(configOf(subject), { name: subject, module: moduleOf(modules, subject), vars })];
    case "naive-in-memory": {
      const naive = workerService(configOf("naive"), { name: subject, module: moduleOf(modules, "naive"), vars });
      return [{ ...naive, keptInMemory: true }];
    }
    case "gateway":
    case "without-cache":
    case "without-observation":
      return gateways([subject], moduleOf(modules, subject), { modules, originUrl });
  }
}

/** Isolates of the gateway that share the counters of the first, and their KV. */
export function gateways(
  names: readonly string[],
  module: string,
  { modules, originUrl }: Pick<Stage, "modules" | "originUrl">,
): readonly Service[] {
  const kv = kvService("kv", moduleOf(modules, "kv"), { "tier-tables": tierTables() });
  const [first] = names;
  return [
    kv,
    ...names.map((name) =>
      gatewayService({
        name,
        module,
        kv: kv.name,
        vars: { ORIGIN_URL: originUrl },
        ...(name === first || first === undefined ? {} : { countersOf: first }),
      }),
    ),
  ];
}
