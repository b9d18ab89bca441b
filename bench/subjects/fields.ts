/**
 * A proxy that writes the header fields that the gateway writes, and decides nothing: what the contract's fields cost by
 * themselves.
 *
 * On the way in, as the gateway forwards a request: a copy of the headers, names that a client may not claim looked for
 * and taken off, six fields set. On the way out, as the gateway answers: one copy of the response, six fields set. All
 * values are constant, as long as the gateway's. It knows no client, no limit, no tier and no request identifier, and
 * unlike the gateway it sets no deadline for the origin.
 */
import { Hono } from "hono";
import { targetOf } from "./target.ts";

const CLAIMED =
  /^(?:x[-_](?:levqor[-_].*|forwarded(?:[-_].*)?|real[-_]ip|client[-_]ip)|forwarded|true[-_]client[-_]ip)$/;

const app = new Hono<{ Bindings: { ORIGIN_URL: string } }>();
app.all("*", async (c) => {
  const request = c.req.raw;
  const { method, body } = request;
  const headers = forwardedHeaders(request.headers);
  const url = c.env.ORIGIN_URL + targetOf(request.url);
  const response = await fetch(url, { method, headers, body, redirect: "manual" });
  const relayed = new Response(response.body, response);
  setFields(relayed.headers);
  return relayed;
});

function forwardedHeaders(received: Headers): Headers {
  const headers = new Headers(received);
  for (const name of received.keys()) if (CLAIMED.test(name)) headers.delete(name);
  headers.set("x-request-id", "2f1c6f5e-6d0b-4a57-9f0e-3c1b7a9d8e42");
  headers.set("x-forwarded-host", "127.0.0.1:40000");
  headers.set("x-forwarded-proto", "http");
  headers.set("x-levqor-tier", "low");
  headers.set("x-forwarded-for", "203.0.113.7");
  headers.set("x-real-ip", "203.0.113.7");
  return headers;
}

function setFields(headers: Headers): void {
  headers.set("X-Request-Id", "2f1c6f5e-6d0b-4a57-9f0e-3c1b7a9d8e42");
  headers.set("RateLimit-Policy", '"million";q=1000000;w=60;levqor-tier="low"');
  headers.set("RateLimit", '"million";r=987654;t=58');
  headers.set("X-RateLimit-Limit", "1000000");
  headers.set("X-RateLimit-Remaining", "987654");
  headers.set("X-RateLimit-Reset", "1764000042");
}

export default app;
