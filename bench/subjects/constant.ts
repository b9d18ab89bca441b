/**
 * Always the same refusal: the status, the nine fields and a body of the size that the gateway refuses with, and nothing
 * looked at. What is set how was measured: `headers.set` on the finished response is the cheapest way there is.
 */
import { Hono } from "hono";

/** `BODY`: a refusal of the gateway's, word for word. */
const app = new Hono<{ Bindings: { BODY: string } }>();
app.all("*", (c) => {
  const response = new Response(c.env.BODY, { status: 429 });
  const { headers } = response;
  headers.set("Content-Type", "application/problem+json");
  headers.set("Cache-Control", "no-store");
  headers.set("Retry-After", "58");
  headers.set("X-Request-Id", "2f1c6f5e-6d0b-4a57-9f0e-3c1b7a9d8e42");
  headers.set("RateLimit-Policy", '"fifty";q=50;w=60;levqor-tier="low"');
  headers.set("RateLimit", '"fifty";r=0;t=58');
  headers.set("X-RateLimit-Limit", "50");
  headers.set("X-RateLimit-Remaining", "0");
  headers.set("X-RateLimit-Reset", "1764000042");
  return response;
});

export default app;
