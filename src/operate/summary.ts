/**
 * `GET /api/health/summary`: how the whole is, for balancers and people. It is counted under its profile like any other
 * request, and costs the origin nothing: the gateway answers it.
 */

import { version } from "../../package.json";
import type { Call } from "../edge/identify.ts";
import { summarise } from "../policy/health.ts";
import { ORIGIN_UNASKED } from "../policy/origin-health.ts";
import type { WaitUntil } from "../ports.ts";
import type { Desk } from "./desk.ts";
import { type Fleet, SUMMARY_PATH } from "./fleet.ts";

const NO_RATES = { admittedPerMinute: 0, errorRate: 0, avgResponseMs: 0 };

/** Whether a request is for the summary, written exactly so; any other spelling is the origin's affair. */
export function isSummary({ path, request: { method } }: Call): boolean {
  return path === SUMMARY_PATH && (method === "GET" || method === "HEAD");
}

/** The summary. Never rejects. */
export async function answerSummary(call: Call, fleet: Fleet, desk: Desk, waitUntil: WaitUntil): Promise<Response> {
  const view = await fleet.view(call, waitUntil);
  const nowMs = desk.ports.nowMs();
  const { httpStatus, document } = summarise({
    version,
    uptimeMs: nowMs - (view?.startedMs ?? nowMs),
    origin: view?.origin ?? ORIGIN_UNASKED,
    hindrances: {
      isDocumentRefused: view !== null && view.faults !== null,
      areCountersFailing: view === null || view.areCountersFailing,
    },
    rates: view?.rates ?? NO_RATES,
    ...desk.sightAt(nowMs),
  });
  const headers = { "Content-Type": "application/json", "Cache-Control": "no-store" };
  const body = call.request.method === "HEAD" ? null : `${JSON.stringify(document)}\n`;
  return new Response(body, { status: httpStatus, headers });
}
