/**
 * The demo origin: a small real backend to put the gateway in front of.
 *
 * It speaks Levqor's own paths (`api.ts`), a few answers that are hard on gateways (`samples.ts`), and echoes every
 * other request as it came. `/__demo` is its switch for slowness and errors (`switch.ts`) and tells what was received.
 * Run directly, it listens on ORIGIN_PORT.
 *
 * The price: it reads Node's own request and response, so it runs on the Node server alone.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { cors } from "hono/cors";
import { createApi } from "./api.ts";
import { BODY_BYTES_MAX, headersOf, type OriginEnv, readBody, readJson, targetOf, textOf } from "./request.ts";
import { createSamples } from "./samples.ts";
import { readPort } from "./settings.ts";
import { createSwitch, parseSwitch, UNTROUBLED } from "./switch.ts";
import { createTally } from "./tally.ts";
import { troubled } from "./trouble.ts";

/** What a test may replace. */
export interface OriginOptions {
  /** Unix ms; the machine's clock when left out. */
  readonly nowMs?: () => number;
}

/** The origin as an app. Its state (switch, tally, workflows) is its own: two apps share nothing. */
export function createOrigin({ nowMs = Date.now }: OriginOptions = {}): Hono<OriginEnv> {
  const app = new Hono<OriginEnv>();
  const demoSwitch = createSwitch();
  const tally = createTally();

  app.get("/__demo", (c) => c.json(demoSwitch.read(nowMs())));
  app.put("/__demo", async (c) => {
    const body = await readJson(c.env.incoming);
    if (!body.ok) return c.json({ error: body.error }, body.status);
    const state = parseSwitch(body.value);
    if (!state.ok) return c.json({ error: state.error }, 400);
    demoSwitch.write(state.value, nowMs());
    return c.json(demoSwitch.read(nowMs()));
  });
  app.delete("/__demo", (c) => {
    demoSwitch.write(UNTROUBLED, nowMs());
    return c.json(UNTROUBLED);
  });
  app.get("/__demo/requests", (c) => c.json(tally.counts()));
  app.delete("/__demo/requests", (c) => {
    tally.clear();
    return c.json(tally.counts());
  });

  app.use(async function countRequest(c, next) {
    tally.add(c.env.incoming.method ?? "GET", targetOf(c.env.incoming).path);
    await next();
  });
  const allowOrigin = cors({ origin: (origin) => origin, exposeHeaders: ["Location"], maxAge: 600 });
  app.use("/api/*", async function allowBrowsers(c, next) {
    return c.req.header("origin") === undefined ? next() : allowOrigin(c, next);
  });
  app.use(troubled(demoSwitch, nowMs));
  app.route("/api", createApi({ nowMs, demoSwitch }));
  app.route("/demo", createSamples());
  app.all("*", echo);
  app.onError(function answerFault(error, c) {
    // A client that goes away in the middle of its body is its own affair.
    if (!c.env.outgoing.destroyed) console.error("demo origin:", error);
    return c.json({ error: "internal" }, 500);
  });
  return app;
}

/** The request as it came, as JSON; a body longer than the bound, or not UTF-8, as its length and hash alone. */
async function echo(c: Context<OriginEnv>): Promise<Response> {
  const { incoming } = c.env;
  const { bytes, byteLength, sha256 } = await readBody(incoming, BODY_BYTES_MAX);
  return c.json({
    method: incoming.method,
    ...targetOf(incoming),
    headers: headersOf(incoming),
    body: bytes === null ? null : textOf(bytes),
    body_bytes: byteLength,
    body_sha256: sha256,
  });
}

/** A running origin. */
export interface RunningOrigin {
  readonly url: string;
  /** Ends every connection, also those that hang. */
  close(): Promise<void>;
}

/** Where to listen. Port 0 takes any free one. */
export interface ListenOptions extends OriginOptions {
  readonly port: number;
  readonly host?: string;
}

/** Starts an origin; rejects when its port cannot be opened. */
export async function startOrigin({ port, host = "127.0.0.1", ...options }: ListenOptions): Promise<RunningOrigin> {
  const listener = getRequestListener(createOrigin(options).fetch, { overrideGlobalObjects: false });
  // Idle connections outlive a gateway's pool, so that none is closed in the moment it is used again; and fields that
  // a gateway adds to a request with much of its own still fit.
  const server = createServer({ keepAliveTimeout: 75_000, maxHeaderSize: 64 * 1024 }, (incoming, outgoing) => {
    void listener(incoming, outgoing);
  });
  server.listen(port, host);
  await once(server, "listening");
  const address = server.address();
  const openPort = typeof address === "object" && address !== null ? address.port : port;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${openPort}`,
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function main(): Promise<void> {
  const origin = await startOrigin({ port: readPort(process.env, "ORIGIN_PORT", 8788) });
  console.log(`demo origin  ${origin.url}`);
  const stop = () => void origin.close().then(() => process.exit(0));
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
}

if (import.meta.main) {
  main().catch((error: unknown) => {
    console.error(`demo origin: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  });
}
