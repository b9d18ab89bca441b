/**
 * What reaches the counters: calls and rows for each 1,000 requests, counted in the gateway itself by the Worker that
 * wraps it (`subjects/counted.ts`), never in a run whose speed is measured.
 */
import { runLoad } from "./load.ts";
import type { Ground } from "./pair.ts";
import type { PathName } from "./plan.ts";
import type { Load } from "./requests.ts";
import { gateways, moduleOf, type Stage } from "./subjects.ts";
import { type Server, serve } from "./workerd.ts";

/** What the counters of a fleet have seen so far. */
export interface Counts {
  readonly calls: number;
  /** Clients asked about; several travel in one call. */
  readonly asks: number;
  readonly rowsReported: number;
  readonly rowsWritten: number;
}

/** Per 1,000 requests. */
export interface Cost {
  readonly calls: number;
  readonly asks: number;
  /** Rows written, as seen at the storage. */
  readonly rows: number;
  readonly requests: number;
}

/** Isolates of the counted gateway over the counters of the first. */
export function serveCounted(isolates: number, stage: Stage): Promise<Server> {
  const names = Array.from({ length: isolates }, (_, i) => `isolate-${i}`);
  const services = gateways(names, moduleOf(stage.modules, "counted"), stage);
  return serve({ services, sockets: names.map((name) => ({ name, service: name })) });
}

/** What the counters have seen; the first isolate owns them. */
export async function countsOf(server: Server): Promise<Counts> {
  const response = await fetch(`${server.urlOf("isolate-0")}/bench-counts`);
  return (await response.json()) as Counts;
}

/** What lies between two counts, per 1,000 of `requests`. @throws Error where the counter reports other rows. */
export function costBetween(before: Counts, after: Counts, requests: number): Cost {
  const reported = after.rowsReported - before.rowsReported;
  const written = after.rowsWritten - before.rowsWritten;
  // An alarm writes rows that no call reports, and a call may be under way while counts are read.
  if (written < reported - 2) throw new Error(`rows: expected at least the ${reported} reported, got ${written}`);
  const per1000 = 1_000 / requests;
  return {
    calls: (after.calls - before.calls) * per1000,
    asks: (after.asks - before.asks) * per1000,
    rows: written * per1000,
    requests,
  };
}

/** The cost of a path at full speed. */
export async function countLoad(load: Load, { stage, layout, effort }: Ground): Promise<Cost> {
  const server = await serveCounted(1, stage);
  try {
    const url = server.urlOf("isolate-0");
    await runLoad(load, url, layout.rest, effort.warmUpMs);
    const before = await countsOf(server);
    const { requests } = await runLoad(load, url, layout.rest, effort.roundMs);
    return costBetween(before, await countsOf(server), requests);
  } finally {
    await server.stop();
  }
}

/** The cost of each path. */
export type Costs = ReadonlyMap<PathName, Cost>;
