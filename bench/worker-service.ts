/**
 * A Worker as a service of a bare workerd, with the bindings that its own `wrangler.toml` names: what is served here is
 * what would be deployed.
 */
import { unstable_readConfig } from "wrangler";
import type { Binding, Service } from "./workerd-config.ts";

/** How a Worker is served. */
export interface WorkerServing {
  readonly name: string;
  /** Path of its bundled module. */
  readonly module: string;
  /** Vars on top of, or instead of, those of its configuration. */
  readonly vars?: Readonly<Record<string, unknown>>;
  /** Name of the service behind all its KV namespaces; needed only where it has any. */
  readonly kv?: string;
  /** The service whose Durable Objects it shares; its own, if left out. */
  readonly objectsOf?: string;
}

/** As much of a Worker's configuration as workerd needs. */
interface WorkerConfig {
  readonly compatibility_date: string;
  readonly compatibility_flags: readonly string[];
  readonly vars: Readonly<Record<string, unknown>>;
  readonly kv_namespaces: readonly { readonly binding: string }[];
  readonly durable_objects: { readonly bindings: readonly { readonly name: string; readonly class_name: string }[] };
}

/** The Worker that `configPath` describes, in an isolate of its own. */
export function workerService(configPath: string, serving: WorkerServing): Service {
  const { name, module, vars, kv, objectsOf } = serving;
  const config = unstable_readConfig({ config: configPath }, { hideWarnings: true }) as unknown as WorkerConfig;
  const objects = config.durable_objects.bindings;
  const owner = objectsOf === undefined ? {} : { service: objectsOf };
  const bindings: Binding[] = [
    ...Object.entries({ ...config.vars, ...vars }).map(([key, value]): Binding => ({ kind: "json", name: key, value })),
    ...config.kv_namespaces.map(({ binding }): Binding => ({ kind: "kv", name: binding, service: kv ?? "" })),
    ...objects.map((object): Binding => {
      return { kind: "durableObject", name: object.name, className: object.class_name, ...owner };
    }),
  ];
  return {
    name,
    module,
    compatibilityDate: config.compatibility_date,
    compatibilityFlags: config.compatibility_flags,
    bindings,
    durableObjects: objectsOf === undefined ? objects.map(({ class_name }) => class_name) : [],
  };
}
