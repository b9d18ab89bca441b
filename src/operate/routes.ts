/**
 * The paths the gateway answers for itself. Nothing under them ever reaches the origin.
 */
import type { Hono } from "hono";
import type { Config } from "../config/vars.ts";
import { refuse } from "../edge/answer.ts";
import { requestIdOf } from "../edge/observe.ts";
import type { Ports } from "../ports.ts";

/** Mounts the gateway's own paths on `app`. */
export function operate(app: Hono, config: Config, ports: Ports): void {
  app.get("/_edge/health", (c) => c.json({ status: "ok" }, 200, { "Cache-Control": "no-store" }));
  for (const path of ["/_edge", "/_edge/*", "/metrics"]) {
    app.all(path, ({ req }) => {
      const requestId = requestIdOf(req.raw.headers, ports.newId);
      return refuse(
        { reason: "not-found" },
        { request: req.raw, requestId, path: req.path },
        null,
        config.corsAllowOrigins,
        ports.nowMs(),
      );
    });
  }
}
