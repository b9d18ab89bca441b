/**
 * The floor plan: what a request meets, in order.
 *
 * observe -> identify -> admit -> forward, and back out with its fields set. One handler calls plain functions in a row:
 * as middleware they would read no better and cost several percent of a proxy.
 */
import { Hono } from "hono";
import type { Config } from "./config/vars.ts";
import { admit } from "./edge/admit.ts";
import { refuse, relay } from "./edge/answer.ts";
import { forward } from "./edge/forward.ts";
import { identify } from "./edge/identify.ts";
import { requestIdOf } from "./edge/observe.ts";
import { createQuotas } from "./edge/quota.ts";
import { createSigner } from "./edge/sign.ts";
import { createSignalKeeper } from "./edge/signal.ts";
import { operate } from "./operate/routes.ts";
import type { Ports, WaitUntil } from "./ports.ts";

/** The gateway of one isolate. */
export function createApp(config: Config, ports: Ports): Hono {
  const signal = createSignalKeeper(config, ports);
  const quotas = createQuotas(config, ports);
  const sign = createSigner(config.originSecrets);
  const allowed = config.corsAllowOrigins;

  async function pass(request: Request, waitUntil: WaitUntil): Promise<Response> {
    const arrivedMs = ports.nowMs();
    const requestId = requestIdOf(request.headers, ports.newId);
    const rules = await signal.rulesAt(arrivedMs, waitUntil);
    const call = identify(request, requestId, rules, arrivedMs);
    const admission = await admit(call, rules, quotas, waitUntil);
    if (!admission.admitted) return refuse(admission.denial, call, admission.quota, allowed, ports.nowMs());
    const tier = admission.quota?.tier ?? rules.tier;
    const forwarded = await forward(call, tier, sign, config, ports);
    if ("denial" in forwarded) return refuse(forwarded.denial, call, admission.quota, allowed, ports.nowMs());
    return relay(forwarded.response, call, admission.quota, ports.nowMs());
  }

  const app = new Hono();
  operate(app, config, ports);
  app.all("*", (c) => pass(c.req.raw, (work) => c.executionCtx.waitUntil(work)));
  app.onError((error, c) => internalError(error, c.req.raw, ports));
  return app;
}

/** The answer to a bug of ours, or to settings that cannot be served. Needs nothing that can have failed. */
export function internalError(
  error: unknown,
  request: Request,
  { newId, nowMs, log }: Pick<Ports, "newId" | "nowMs" | "log">,
): Response {
  const requestId = requestIdOf(request.headers, newId);
  log("error", "internal", { request_id: requestId, error: error instanceof Error ? error.stack : String(error) });
  const path = new URL(request.url).pathname;
  return refuse({ reason: "internal" }, { request, requestId, path }, null, new Set(), nowMs());
}
