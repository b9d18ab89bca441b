/**
 * `npm run load -- show | publish RPM | pin LOAD [--for 10m] | unpin`: the load signal in KV; local, or `--remote`.
 */
import { parseArgs } from "node:util";
import { readPin, readRate } from "../../src/config/signals.ts";
import { readTierTables } from "../../src/config/tables.ts";
import { BUILT_IN } from "../../src/policy/limits.ts";
import { deriveLoad } from "../../src/policy/load.ts";
import { getLoadTier } from "../../src/policy/tier.ts";
import { type KvDocuments, kvDocuments } from "./kv.ts";
import { durationMs, number, runCommand, UsageError } from "./usage.ts";

const USAGE = "npm run load -- show | publish RPM | pin LOAD [--for 10m] | unpin   [--remote]";

await runCommand(USAGE, async () => {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { remote: { type: "boolean", default: false }, local: { type: "boolean" }, for: { type: "string" } },
  });
  const [verb, value, ...rest] = positionals;
  const documents = kvDocuments(values.remote, process.env["STATE_DIR"] ?? "");
  if (rest.length > 0) throw new UsageError(`expected one value, got ${positionals.slice(1).join(" ")}`);
  if (verb === "show") return show(documents, Date.now());
  if (verb === "publish") return publish(documents, number("RPM", value, 0, Number.MAX_SAFE_INTEGER), Date.now());
  if (verb === "pin") {
    const forMs = values.for === undefined ? null : durationMs("--for", values.for);
    return pin(documents, number("LOAD", value, 0, 1), forMs, Date.now());
  }
  if (verb === "unpin") return unpin(documents);
  throw new UsageError(`expected show, publish, pin or unpin, got ${verb ?? "nothing"}`);
});

/** What is published, and the load and tier that follow from it, before hysteresis. */
async function show(documents: KvDocuments, nowMs: number): Promise<string> {
  const keys = ["load-pin", "request-rate", "request-rate:edge", "tier-tables"] as const;
  const [pinText = null, external = null, edge = null, tablesText = null] = await Promise.all(keys.map(documents.get));
  const read = readTierTables(tablesText ?? "{}");
  const { capacityRpm, signal, thresholds } = read.ok ? read.tables : BUILT_IN;
  const readPinned = pinText === null ? null : readPin(pinText);
  const signals = [
    ...(external === null ? [] : [readRate("external", external)]),
    ...(edge === null ? [] : [readRate("edge", edge)]),
  ];
  const pinned = readPinned === null || "unusable" in readPinned ? null : readPinned;
  const load = deriveLoad({ signals, pin: pinned }, { capacityRpm, maxAgeMs: signal.maxAgeMs }, nowMs);
  const ratio = "load" in load ? load.load : 0;
  const tier = load.kind === "stale" ? signal.fallbackTier : getLoadTier(ratio, thresholds);
  return [
    ...keys.slice(0, 3).map((key, index) => `${key.padEnd(18)} ${[pinText, external, edge][index] ?? "not set"}`),
    `load               ${load.kind === "stale" ? "unknown" : ratio.toFixed(2)} (${load.kind})`,
    `tier               ${tier}`,
  ].join("\n");
}

async function publish(documents: KvDocuments, requestsPerMinute: number, nowMs: number): Promise<string> {
  const document = { requests_per_minute: requestsPerMinute, published_at: new Date(nowMs).toISOString() };
  await documents.put("request-rate", JSON.stringify(document));
  return `published ${requestsPerMinute} requests a minute; it goes stale unless it is published again`;
}

async function pin(documents: KvDocuments, load: number, forMs: number | null, nowMs: number): Promise<string> {
  const until = forMs === null ? {} : { until: new Date(nowMs + forMs).toISOString() };
  await documents.put("load-pin", JSON.stringify({ load, ...until }));
  return `pinned load to ${load} ${forMs === null ? "until it is unpinned" : `until ${until.until}`}`;
}

async function unpin(documents: KvDocuments): Promise<string> {
  await documents.delete("load-pin");
  return "unpinned";
}
