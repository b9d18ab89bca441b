/**
 * `hono-rate-limiter` with its Durable Object store, in front of the same proxy, set up as its own page says but for one
 * thing: the middleware is made once and not for each request, which is cheaper.
 */
import { DurableObjectRateLimiter, DurableObjectStore } from "@hono-rate-limiter/cloudflare";
import { Hono, type MiddlewareHandler } from "hono";
import { rateLimiter } from "hono-rate-limiter";
import { targetOf } from "./target.ts";

export { DurableObjectRateLimiter };

interface Env {
  readonly ORIGIN_URL: string;
  /** Units per window under each path. */
  readonly LIMITS: Readonly<Record<string, number>>;
  readonly CACHE: DurableObjectNamespace;
}

let limiter: MiddlewareHandler | null = null;

const app = new Hono<{ Bindings: Env }>();
app.use((c, next) => {
  limiter ??= rateLimiter({
    windowMs: 60_000,
    limit: (called) => c.env.LIMITS[called.req.path] ?? 0,
    standardHeaders: "draft-6",
    keyGenerator: (called) => called.req.header("cf-connecting-ip") ?? "",
    store: new DurableObjectStore({ namespace: c.env.CACHE }),
  });
  return limiter(c, next);
});
app.all("*", (c) => fetch(c.env.ORIGIN_URL + targetOf(c.req.url), c.req.raw));

export default app;
