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

  async function pass(request: Request, waitUntil: WaitUntil): Promise<Response> {
    const arrivedMs = ports.nowMs();
    const requestId = requestIdOf(request.headers, ports.newId);
    const rules = await signal.rulesAt(arrivedMs, waitUntil);
    const call = identify(request, requestId, rules, arrivedMs);
    const admission = await admit(call, rules, quotas, waitUntil);
    if (!admission.admitted) return refuse(admission.denial, call, admission.quota, config, ports.nowMs());
    const tier = admission.quota?.tier ?? rules.tier;
    const forwarded = await forward(call, tier, sign, config, ports);
    if ("denial" in forwarded) return refuse(forwarded.denial, call, admission.quota, config, ports.nowMs());
    return relay(forwarded.response, call, admission.quota, ports.nowMs());
  }

  const app = new Hono();
  operate(app, config, ports);
  app.all("*", (c) => pass(c.req.raw, (work) => c.executionCtx.waitUntil(work)));
  app.onError((error, c) => {
    const requestId = requestIdOf(c.req.raw.headers, ports.newId);
    ports.log("error", "internal", { request_id: requestId, error: error.stack ?? String(error) });
    return failure(c.req.raw, requestId);
  });

  /** Needs nothing that can have failed. */
  function failure(request: Request, requestId: string): Response {
    const path = new URL(request.url).pathname;
    return refuse({ reason: "internal" }, { request, requestId, path }, null, config, ports.nowMs());
  }

  return app;
}
