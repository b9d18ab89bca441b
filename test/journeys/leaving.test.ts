/**
 * A client that goes away takes its call to the origin along, unless others wait for the answer.
 *
 * In bare workerd: the proxy of `wrangler dev` does not pass on that a client has gone. A client leaves by a reset; workerd
 * takes a mere end of sending for one that still listens.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { request, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GATEWAY_CONFIG, gatewayService, KV_CONFIG, kvService } from "../../bench/gateway.ts";
import { bundle, type Server, serve } from "../../bench/workerd.ts";
import { freshClient } from "./gateway.ts";
import { type OwnOrigin, startOwnOrigin } from "./own-origin.ts";
import { ask } from "./reply.ts";

const ANSWERS_AFTER_MS = 3_000;
const ORIGIN_TIMEOUT_MS = 8_000;

/** Calls that the origin saw cut off before it had answered, by path. */
const cut = new Map<string, number>();
const cuts = (path: string) => cut.get(path) ?? 0;

let directory: string;
let origin: OwnOrigin;
let server: Server;
let url: string;
beforeAll(async () => {
  origin = await startOwnOrigin((incoming, outgoing: ServerResponse) => {
    const path = incoming.url ?? "";
    outgoing.once("close", () => {
      if (!outgoing.writableFinished) cut.set(path, cuts(path) + 1);
    });
    if (path.startsWith("/quick")) outgoing.end("ok");
    else setTimeout(() => outgoing.end("late"), ANSWERS_AFTER_MS);
  });
  directory = mkdtempSync(join(tmpdir(), "levqor-leaving-"));
  const [module, kvModule] = await Promise.all([
    bundle(GATEWAY_CONFIG, join(directory, "gateway")),
    bundle(KV_CONFIG, join(directory, "kv")),
  ]);
  const kv = kvService("kv", kvModule, {});
  const vars = { ORIGIN_URL: origin.url, ORIGIN_TIMEOUT_MS, METRICS_TOKEN: "metrics" };
  const gateway = gatewayService({ name: "gateway", module, kv: "kv", vars });
  server = await serve({ services: [kv, gateway], sockets: [{ name: "gateway", service: "gateway" }] });
  url = server.urlOf("gateway");
});
afterAll(async () => {
  await server?.stop();
  await origin?.close();
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
});

/** Asks, and breaks the connection once the origin has the request. */
async function leave(path: string, client: string, method = "GET"): Promise<void> {
  const outgoing = request(url + path, { method, headers: { "CF-Connecting-IP": client } }).on("error", () => {});
  outgoing.end();
  const before = origin.count(path);
  for (let i = 0; i < 200 && origin.count(path) === before; i += 1) await sleep(10);
  await sleep(100);
  outgoing.socket?.resetAndDestroy();
}

/** What a metric says; 0 where it says nothing. */
async function metric(name: string): Promise<number> {
  const { text } = await ask(`${url}/metrics`, { headers: { Authorization: "Bearer metrics" } });
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${name} `));
  return Number(line?.slice(name.length) ?? 0);
}

const admitted = () => metric('levqor_requests_total{profile="default",tier="low",outcome="admitted"}');

describe("a client that goes away", () => {
  it("takes its call along: one that asked a counter, and so left something behind", async () => {
    await leave("/first", freshClient());
    await sleep(500);
    expect([origin.count("/first"), cuts("/first")]).toEqual([1, 1]);
  });

  it("takes its call along: one that was let through on a lease", async () => {
    const client = freshClient();
    const headers = { "CF-Connecting-IP": client };
    for (let i = 0; i < 10; i += 1) await ask(`${url}/quick`, { headers });
    await leave("/second", client, "POST");
    await sleep(500);
    expect([origin.count("/second"), cuts("/second")]).toEqual([1, 1]);
  });

  it("is counted all the same, and is at the origin no longer", async () => {
    const client = freshClient();
    const headers = { "CF-Connecting-IP": client };
    for (let i = 0; i < 12; i += 1) await ask(`${url}/quick`, { headers });
    for (let i = 0; i < 5; i += 1) {
      await leave(`/left-${i}`, client, "POST");
      await ask(`${url}/quick`, { headers });
    }
    // Who waits for an origin no longer than this has been ended by then.
    await sleep(ORIGIN_TIMEOUT_MS + 3_000);
    await ask(`${url}/quick`, { headers });
    const paths = ["/first", "/second", "/quick", ...Array.from({ length: 5 }, (_, i) => `/left-${i}`)];
    const reached = paths.reduce((sum, path) => sum + origin.count(path), 0);
    await expect.poll(admitted, { timeout: 20_000, interval: 500 }).toBe(reached);
    expect(await metric("levqor_requests_in_flight")).toBe(0);
  });

  it("is no failure of the origin", async () => {
    for (let i = 0; i < 25; i += 1) await leave(`/gone-${i}`, freshClient());
    const reply = await ask(`${url}/quick`, { headers: { "CF-Connecting-IP": freshClient() } });
    expect(reply.status).toBe(200);
    expect(server.log()).not.toContain("circuit-open");
  });
});
