/**
 * The limiter that everyone writes first: one Durable Object for each client, one call for each request, a count in
 * memory and nothing stored. It writes no field, so it is as cheap as this shape can be; an eviction makes it forget.
 */
import { DurableObject } from "cloudflare:workers";
import { Hono } from "hono";
import { targetOf } from "./target.ts";

const WINDOW_MS = 60_000;

interface Env {
  readonly ORIGIN_URL: string;
  /** Units per window under each path. */
  readonly LIMITS: Readonly<Record<string, number>>;
  readonly CLIENTS: DurableObjectNamespace<Client>;
}

/** The count of one client in the minute that runs. */
export class Client extends DurableObject {
  #used = 0;
  #endsMs = 0;

  take(limit: number): boolean {
    const nowMs = Date.now();
    if (nowMs >= this.#endsMs) {
      this.#used = 0;
      this.#endsMs = nowMs + WINDOW_MS;
    }
    if (this.#used >= limit) return false;
    this.#used++;
    return true;
  }
}

const app = new Hono<{ Bindings: Env }>();
app.all("*", async (c) => {
  const client = c.env.CLIENTS.getByName(c.req.header("cf-connecting-ip") ?? "");
  const isGranted = await client.take(c.env.LIMITS[c.req.path] ?? 0);
  if (!isGranted) return c.text("Too many requests", 429);
  return fetch(c.env.ORIGIN_URL + targetOf(c.req.url), c.req.raw);
});

export default app;
