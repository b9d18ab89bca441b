/**
 * The gateway as a service of a bare workerd, and the KV documents it reads.
 */
import { fileURLToPath } from "node:url";
import { workerService } from "./worker-service.ts";
import type { Service } from "./workerd-config.ts";

/** `wrangler.toml` of the gateway. */
export const GATEWAY_CONFIG = fileURLToPath(new URL("../wrangler.toml", import.meta.url));
/** Configuration of the Worker that keeps its KV documents. */
export const KV_CONFIG = fileURLToPath(new URL("subjects/kv.toml", import.meta.url));

/** How a gateway is served. */
export interface GatewayServing {
  readonly name: string;
  /** Path of its bundled module. */
  readonly module: string;
  /** Name of the service that keeps its KV documents (`kvService`). */
  readonly kv: string;
  /** Vars on top of, or instead of, those of `wrangler.toml`: `ORIGIN_URL` at least. */
  readonly vars: Readonly<Record<string, string | number>>;
  /** The gateway whose counters it shares; its own, if left out. */
  readonly countersOf?: string;
}

/** The gateway in an isolate of its own. */
export function gatewayService({ countersOf, ...serving }: GatewayServing): Service {
  return workerService(GATEWAY_CONFIG, {
    ...serving,
    ...(countersOf === undefined ? {} : { objectsOf: countersOf }),
  });
}

/** A KV namespace with these documents in it: objects are written as JSON. */
export function kvService(name: string, module: string, documents: Readonly<Record<string, unknown>>): Service {
  const texts = Object.entries(documents).map(([key, value]) => [
    key,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  return workerService(KV_CONFIG, { name, module, vars: { DOCUMENTS: Object.fromEntries(texts) } });
}
