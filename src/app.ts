/**
 * The floor plan: what a request meets, in order.
 *
 * observe -> identify -> admit -> serve -> forward, and back out with its fields set. One handler calls plain functions in
 * a row: as middleware they would read no better and cost several percent of a proxy.
 *
 * Whether the origin may be asked is settled before a unit is taken: a client does not pay for an origin that fails.
 */
import { Hono } from "hono";
import type { Config } from "./config/vars.ts";
import { type Admission, admit } from "./edge/admit.ts";
import { refuse, relay } from "./edge/answer.ts";
import { createCircuit } from "./edge/circuit.ts";
import { type Errand, type Forwarded, forward, hasFailed } from "./edge/forward.ts";
import { type Call, identify } from "./edge/identify.ts";
import { type Admitted, createObserver, type Refused, requestIdOf } from "./edge/observe.ts";
import { createQuotas } from "./edge/quota.ts";
import { createReports } from "./edge/reports.ts";
import { createServing } from "./edge/serve.ts";
import { createShedding } from "./edge/shed.ts";
import { createSigner } from "./edge/sign.ts";
import { createSignalKeeper, type Rules } from "./edge/signal.ts";
import { createUnderWay } from "./edge/under-way.ts";
import { createFleet } from "./operate/fleet.ts";
import { operate } from "./operate/routes.ts";
import { answerSummary, isSummary } from "./operate/summary.ts";
import type { Permit } from "./policy/breaker.ts";
import type { Denial } from "./policy/denial.ts";
import type { Ports, WaitUntil } from "./ports.ts";

type Granted = Extract<Permit, { granted: true }>;

/** Of an answer that nobody reads any more; the number is nginx's. */
const CLIENT_GONE = 499;

/** The gateway of one isolate. */
export function createApp(config: Config, ports: Ports): Hono {
  const signal = createSignalKeeper(config, ports);
  const underWay = createUnderWay(config.originTimeoutMs, ports.nowMs);
  const present = () => ({
    inFlight: underWay.present(ports.nowMs()),
    isCircuitOpen: circuit.state() !== "closed",
  });
  const reports = createReports({ present, documentsChangedMs: signal.changedMs, hear: signal.hear }, ports);
  const observer = createObserver(reports);
  const quotas = createQuotas(config, ports, { word: signal.word, hear: signal.hear, count: reports.event });
  const sign = createSigner(config.originSecrets);
  const circuit = createCircuit(config, ports, reports.event);
  const shedding = createShedding(Math.random);
  const serving = createServing(config, ports);
  const desk = { config, ports, quotas, sign, rulesAt: signal.rulesAt, sightAt: signal.sightAt };
  const fleet = createFleet(desk);
  const allowed = config.corsAllowOrigins;

  /** Observes and identifies. What need not wait answers at once: for a refusal, a promise or a closure more is a cost. */
  function pass(request: Request, hold: Hold): Response | Promise<Response> {
    const arrivedMs = ports.nowMs();
    const requestId = requestIdOf(request.headers, ports.newId);
    const rules = signal.rulesAt(arrivedMs, hold.waitUntil);
    if (!(rules instanceof Promise)) return enter(identify(request, requestId, rules, arrivedMs), rules, hold);
    return rules.then((late) => enter(identify(request, requestId, late, arrivedMs), late, hold));
  }

  /** Settles whether the origin may be asked, before a unit is taken. */
  function enter(call: Call, rules: Rules, hold: Hold): Response | Promise<Response> {
    observer.arrived(call);
    if (isSummary(call)) return admitted(call, rules, null, hold);
    const retryAfterMs = shedding.retryAfterMs(call, rules);
    if (retryAfterMs !== null) return shed(call, { reason: "overloaded", retryAfterMs }, rules, hold);
    const permit = circuit.ask(call.arrivedMs);
    if (!permit.granted) return spare(call, rules, permit.retryAfterMs, hold);
    if (!permit.isProbe) return admitted(call, rules, permit, hold);
    // Somebody's request whose answer decides about the origin; it gives its place back whatever becomes of it.
    const answer = Promise.resolve(admitted(call, rules, permit, hold)).finally(() =>
      circuit.report(permit.era, "unknown"),
    );
    hold.waitUntil(answer);
    return answer;
  }

  /** Admits, or refuses. `permit` to ask the origin; null: the gateway answers itself. */
  function admitted(call: Call, rules: Rules, permit: Granted | null, hold: Hold): Response | Promise<Response> {
    const admission = admit(call, rules, quotas, hold.waitUntil);
    if (!(admission instanceof Promise)) return settle(call, admission, rules, permit, hold);
    return admission.then((late) => settle(call, late, rules, permit, hold));
  }

  function settle(call: Call, admission: Admission, rules: Rules, permit: Granted | null, hold: Hold) {
    if (!admission.admitted) return turnAway(call, admission, rules, hold);
    if (permit === null) return summary(call, admission, rules, hold);
    return serve(call, admission, rules, permit, hold);
  }

  /** Answers from the cache, or forwards. */
  async function serve(call: Call, admission: Admitted, rules: Rules, permit: Granted, hold: Hold): Promise<Response> {
    const { quota, isOver } = admission;
    const tier = quota?.tier ?? rules.tier;
    const { profile } = call;
    let responseMs: number | null = null;
    const send = async ({ isShared, validators }: Errand): Promise<Forwarded> => {
      // A request that holds nothing ends with its client, and its call with it; one that does has to be told.
      const gone = hold.isHeld() && !isShared ? call.request.signal : null;
      const sentMs = ports.nowMs();
      const departed = underWay.begin(sentMs, () => observer.left(profile, tier, isOver), hold.waitUntil);
      const forwarded = await forward(call, tier, validators, gone, underWay, departed, sign, config, ports);
      underWay.end(departed);
      responseMs = ports.nowMs() - sentMs;
      circuit.report(permit.era, "gone" in forwarded ? "unknown" : hasFailed(forwarded) ? "failed" : "answered");
      return forwarded;
    };
    const served = await serving.serve({ call, send, mayRefresh: !permit.isProbe, waitUntil: hold.waitUntil });
    if ("gone" in served) {
      observer.ended(call, admission, rules, "admitted", hold.waitUntil);
      return new Response(null, { status: CLIENT_GONE });
    }
    if ("denial" in served) {
      observer.ended(call, admission, rules, "failed", hold.waitUntil);
      return refuse(served.denial, call, quota, allowed, ports.nowMs());
    }
    const { response, isCached } = served;
    observer.answered(call, response.status, isCached ? null : responseMs);
    observer.ended(call, admission, rules, isCached ? "cached" : "admitted", hold.waitUntil);
    return relay(response, call, quota, ports.nowMs());
  }

  /** The gateway's own answer: whatever becomes of the origin, it can be given. */
  async function summary(call: Call, admission: Admitted, rules: Rules, hold: Hold): Promise<Response> {
    const response = await answerSummary(call, fleet, desk, hold.waitUntil);
    observer.ended(call, admission, rules, "cached", hold.waitUntil);
    return relay(response, call, admission.quota, ports.nowMs());
  }

  /** The origin is left alone: a copy that may be stale, or nothing, which takes no unit. */
  async function spare(call: Call, rules: Rules, retryAfterMs: number, hold: Hold): Promise<Response> {
    const copy = await serving.standIn(call);
    if (copy === null) return shed(call, { reason: "circuit-open", retryAfterMs }, rules, hold);
    const admission = await admit(call, rules, quotas, hold.waitUntil);
    if (!admission.admitted) {
      await copy.body?.cancel();
      return turnAway(call, admission, rules, hold);
    }
    observer.answered(call, copy.status, null);
    observer.ended(call, admission, rules, "cached", hold.waitUntil);
    return relay(copy, call, admission.quota, ports.nowMs());
  }

  /** Refused for the client's sake. */
  function turnAway(call: Call, refused: Refused, rules: Rules, hold: Hold): Response {
    observer.refused(call, refused, rules, hold.waitUntil);
    return refuse(refused.denial, call, refused.quota, allowed, ports.nowMs());
  }

  /** Refused for the origin's sake: takes no unit. */
  function shed(call: Call, denial: Denial, rules: Rules, hold: Hold): Response {
    observer.shed(call, rules, hold.waitUntil);
    return refuse(denial, call, null, allowed, ports.nowMs());
  }

  const app = new Hono();
  operate(app, fleet, desk);
  app.all("*", (c) => pass(c.req.raw, holdOf(c.executionCtx)));
  app.onError((error, c) => internalError(error, c.req.raw, ports));
  return app;
}

/** What a request leaves behind when its client goes. */
interface Hold {
  readonly waitUntil: WaitUntil;
  /** Whether anything was held: the platform then does not end the request with its client. */
  readonly isHeld: () => boolean;
}

function holdOf(context: Pick<ExecutionContext, "waitUntil">): Hold {
  let isHeld = false;
  return {
    waitUntil(work) {
      isHeld = true;
      context.waitUntil(work);
    },
    isHeld: () => isHeld,
  };
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
