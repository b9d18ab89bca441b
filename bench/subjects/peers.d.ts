/**
 * As much of the peer's types as is used, so that the types can be checked where the peer is not installed.
 */
declare module "hono-rate-limiter" {
  import type { Context, MiddlewareHandler } from "hono";

  export function rateLimiter(options: {
    readonly windowMs: number;
    readonly limit: (c: Context) => number;
    readonly standardHeaders: "draft-6" | "draft-7";
    readonly keyGenerator: (c: Context) => string;
    readonly store: unknown;
  }): MiddlewareHandler;
}

declare module "@hono-rate-limiter/cloudflare" {
  import { DurableObject } from "cloudflare:workers";

  export class DurableObjectRateLimiter extends DurableObject {}
  export class DurableObjectStore {
    constructor(options: { readonly namespace: DurableObjectNamespace });
  }
}
