/**
 * `GET /metrics` and `GET /_edge/scaling`: what the meter knows, for Prometheus and for autoscalers.
 */
import type { Context } from "hono";
import { EXEMPT } from "../edge/admit.ts";
import { peakRpsOf, recommendInstances } from "../policy/scaling.ts";
import type { MeterView } from "../ports.ts";
import type { Desk } from "./desk.ts";
import { EXPOSITION_CONTENT_TYPE, renderExposition } from "./exposition.ts";
import type { Fleet } from "./fleet.ts";
import { type MetricFacts, metricFamilies } from "./metrics-page.ts";
import { scalingDocument } from "./scaling-advice.ts";
import { denied } from "./tokens.ts";

/** Answers a scrape. */
export async function answerMetrics(c: Context, fleet: Fleet, desk: Desk): Promise<Response> {
  const view = await viewFor(c, fleet);
  if (view === null) return denied(c, METER_GONE, desk);
  const page = renderExposition(metricFamilies(factsOf(view, desk.ports.nowMs())));
  return new Response(page, { headers: { "Content-Type": EXPOSITION_CONTENT_TYPE, "Cache-Control": "no-store" } });
}

/** Answers a scaler. */
export async function answerScaling(c: Context, fleet: Fleet, desk: Desk): Promise<Response> {
  const view = await viewFor(c, fleet);
  if (view === null) return denied(c, METER_GONE, desk);
  const document = scalingDocument(peakOf(view), view.tables.scaling, view.triggers);
  return c.json(document, 200, { "Cache-Control": "no-store" });
}

function factsOf(view: MeterView, nowMs: number): MetricFacts {
  const { tables, rates, origin, totals, events, startedMs } = view;
  return {
    ...view,
    meter: { totals: new Map(totals), events, startedMs },
    profiles: [...Object.keys(tables.profiles), EXEMPT],
    nowMs,
    ...rates,
    openBreakers: view.openCircuits,
    recommendedInstances: recommendInstances(peakOf(view), tables.scaling),
    activeWorkflows: origin.metrics.activeWorkflows,
    approvalQueue: origin.metrics.approvalQueue,
  };
}

const METER_GONE = { reason: "unavailable", what: "The meter" } as const;

/** Of the last hour, the minute that ends now included. */
function peakOf({ minutes, rates }: MeterView): number {
  return peakRpsOf([...minutes.map(({ offered }) => offered), rates.offeredPerMinute]);
}

async function viewFor(c: Context, fleet: Fleet): Promise<MeterView | null> {
  const { protocol, host } = new URL(c.req.url);
  return await fleet.view({ scheme: protocol.slice(0, -1), host }, (work) => c.executionCtx.waitUntil(work));
}
