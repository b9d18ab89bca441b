/**
 * The paths the gateway answers for itself. Nothing under them ever reaches the origin.
 */
import type { Hono } from "hono";
import type { Desk } from "./desk.ts";
import type { Fleet } from "./fleet.ts";
import { answerMetrics, answerScaling } from "./metrics.ts";
import { publishRate } from "./publish.ts";
import { denied, requireToken } from "./tokens.ts";

/** Mounts the gateway's own paths on `app`. */
export function operate(app: Hono, fleet: Fleet, desk: Desk): void {
  app.get("/_edge/health", (c) => c.json({ status: "ok" }, 200, { "Cache-Control": "no-store" }));
  app.put("/_edge/request-rate", requireToken(["signal", "admin"], desk), (c) => publishRate(c, desk));
  app.get("/_edge/scaling", requireToken(["metrics", "admin"], desk), (c) => answerScaling(c, fleet, desk));
  app.get("/metrics", requireToken(["metrics", "admin"], desk), (c) => answerMetrics(c, fleet, desk));
  for (const path of ["/_edge", "/_edge/*", "/metrics"]) app.all(path, (c) => denied(c, { reason: "not-found" }, desk));
}
