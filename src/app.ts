/**
 * The floor plan: what a request meets, in order.
 *
 * observe -> identify -> admit -> forward, and back out with its fields set. One handler calls plain functions in a row:
 * as middleware they would read no better and cost several percent of a proxy.
 */
import { Hono } from "hono";
import type { Config } from "./config/vars.ts";
import { type Admission, admit } from "./edge/admit.ts";
import { refuse, relay } from "./edge/answer.ts";
import { forward } from "./edge/forward.ts";
import { type Call, identify } from "./edge/identify.ts";
import { requestIdOf } from "./edge/observe.ts";
import { createQuotas } from "./edge/quota.ts";
import { createSigner } from "./edge/sign.ts";
import { createSignalKeeper, type Rules } from "./edge/signal.ts";
import { operate } from "./operate/routes.ts";
import type { Ports, WaitUntil } from "./ports.ts";

/** The gateway of one isolate. */
export function createApp(config: Config, ports: Ports): Hono {
  const signal = createSignalKeeper(config, ports);
  const quotas = createQuotas(config, ports);
  const sign = createSigner(config.originSecrets);
  const allowed = config.corsAllowOrigins;

  /** Observes and identifies. What need not wait answers at once: for a refusal, a promise more is a cost. */
  function pass(request: Request, waitUntil: WaitUntil): Response | Promise<Response> {
    const arrivedMs = ports.nowMs();
    const requestId = requestIdOf(request.headers, ports.newId);
    const admitUnder = (rules: Rules) => enter(identify(request, requestId, rules, arrivedMs), rules, waitUntil);
    const rules = signal.rulesAt(arrivedMs, waitUntil);
    return rules instanceof Promise ? rules.then(admitUnder) : admitUnder(rules);
  }

  /** Admits. */
  function enter(call: Call, rules: Rules, waitUntil: WaitUntil): Response | Promise<Response> {
    const goOn = (admission: Admission) => leave(call, admission, rules);
    const admission = admit(call, rules, quotas, waitUntil);
    return admission instanceof Promise ? admission.then(goOn) : goOn(admission);
  }

  /** Refuses or forwards. */
  function leave(call: Call, admission: Admission, rules: Rules): Response | Promise<Response> {
    const { quota } = admission;
    if (!admission.admitted) return refuse(admission.denial, call, quota, allowed, ports.nowMs());
    return forward(call, quota?.tier ?? rules.tier, sign, config, ports).then((forwarded) =>
      "denial" in forwarded
        ? refuse(forwarded.denial, call, quota, allowed, ports.nowMs())
        : relay(forwarded.response, call, quota, ports.nowMs()),
    );
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
