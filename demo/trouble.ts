/**
 * Middleware that makes the demo origin slow, silent, broken or wrong, as its switch says.
 *
 * Waits end with the connection, and a request that hangs is cut after ten minutes, so nothing is held for ever.
 */
import type { ServerResponse } from "node:http";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { MiddlewareHandler } from "hono";
import { type OriginEnv, readBody, targetOf } from "./request.ts";
import { parseOverrides, type Switch, troubleFor } from "./switch.ts";

const HANG_MS_MAX = 600_000;

/** Between the half that is sent and the cut, so that the half arrives. */
const CUT_AFTER_MS = 50;

const HALF_A_BODY = "This answer is cut off in the middle of its bo";

/** Statuses that HTTP gives no body. */
const BODILESS = new Set([204, 205, 304]);

/** Applies the switch, or what the query asks for instead, before the handler is reached. */
export function troubled(demoSwitch: Switch, nowMs: () => number): MiddlewareHandler<OriginEnv> {
  return async function applyTrouble(c, next) {
    const { incoming, outgoing } = c.env;
    const { path, query } = targetOf(incoming);
    const overrides = parseOverrides(query);
    if (!overrides.ok) return c.json({ error: overrides.error }, 400);
    const trouble = { ...troubleFor(demoSwitch.read(nowMs()), path), ...overrides.value };

    if (trouble.delay_ms > 0) await pause(outgoing, trouble.delay_ms);
    if (trouble.hang) {
      await pause(outgoing, HANG_MS_MAX);
      return cut(outgoing);
    }
    if (trouble.cut === "before-headers") return cut(outgoing);
    if (trouble.cut === null && trouble.status === null) return next();

    await readBody(incoming, 0);
    if (trouble.cut === "mid-body") {
      outgoing.writeHead(trouble.status ?? 200, {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": String(2 * HALF_A_BODY.length),
      });
      outgoing.write(HALF_A_BODY);
      await pause(outgoing, CUT_AFTER_MS);
      return cut(outgoing);
    }
    const status = trouble.status ?? 200;
    if (BODILESS.has(status)) return new Response(null, { status });
    return Response.json({ error: "The demo origin was told to answer so.", status }, { status });
  };
}

/** Ends the connection as a crashed backend would, and tells Hono that nothing is left to send. */
function cut(outgoing: ServerResponse): Response {
  outgoing.destroy();
  return RESPONSE_ALREADY_SENT;
}

/** Waits, but no longer than the connection lives. */
function pause(outgoing: ServerResponse, ms: number): Promise<void> {
  return new Promise((resolve) => {
    if (outgoing.destroyed) return resolve();
    const done = () => {
      clearTimeout(timer);
      outgoing.off("close", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    outgoing.once("close", done);
  });
}
