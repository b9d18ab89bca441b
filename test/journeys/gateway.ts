/**
 * The gateway as a person has it: `npm start` in a process group of its own, on free ports, with a state directory of
 * its own, seen from outside.
 *
 * A start takes seconds, so a file of journeys shares one gateway; a client of its own for each test keeps them apart.
 */
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { freePort } from "../free-port.ts";
import { hasEnded, type LivingProcess, livingIn, signalGroup } from "./process-group.ts";
import { type Ask, ask, type Reply } from "./reply.ts";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The Node that `npm start` runs on. */
export const NODE = join(ROOT, "node_modules/.bin/node");

const READY_WITHIN_MS = 60_000;
const POLL_EVERY_MS = 100;
const END_WITHIN_MS = 15_000;
const PRINTED_WITHIN_MS = 10_000;

/** A request of a journey; without a client it gets one nobody else has. */
export interface JourneyAsk extends Ask {
  /** Address of the client. */
  readonly client?: string;
}

/** A gateway that answers. */
export interface Gateway {
  readonly url: string;
  readonly port: number;
  /** Where the demo origin listens, or would. */
  readonly originPort: number;
  readonly originUrl: string;
  readonly stateDir: string;
  /** Everything it has printed; a line of the Worker shows a moment after the answer it belongs to. */
  output(): string;
  /** Waits until it has printed `text`. */
  untilPrinted(text: string): Promise<void>;
  /** Says whether anything so far was a fault of its own, once its log has caught up. */
  hasFailed(): Promise<boolean>;
  request(path: string, ask?: JourneyAsk): Promise<Reply>;
  /** Asks its origin directly. */
  requestOrigin(path: string, ask?: Ask): Promise<Reply>;
  processes(): readonly LivingProcess[];
  /** Ends it as an operator does, and removes its state. */
  stop(): Promise<void>;
  /** Kills all of it outright, between two instructions. */
  kill(): Promise<void>;
  /** Starts it again on the same ports, with the same state and settings. */
  restart(): Promise<void>;
  /** `wrangler kv key put`, beside the running gateway. */
  putKv(key: string, value: string): Promise<void>;
  /** `wrangler kv bulk put`: several documents, seen together. */
  putAllKv(documents: Readonly<Record<string, string>>): Promise<void>;
  deleteKv(key: string): Promise<void>;
}

/** An origin so large that the traffic of a journey is no load: only what the journey publishes moves the tier. */
export const LARGE_ORIGIN = { capacity_rpm: 1_000_000 };

/** Starts a gateway with `env` on top of this process's own; resolves when it answers. */
export async function startGateway({ env = {} }: { readonly env?: Readonly<Record<string, string>> } = {}) {
  const [port, originPort] = await Promise.all([freePort(), freePort()]);
  const stateDir = mkdtempSync(join(tmpdir(), "levqor-journey-"));
  const settings = { PORT: String(port), ORIGIN_PORT: String(originPort), STATE_DIR: stateDir, ...env };
  const url = `http://127.0.0.1:${port}`;
  const originUrl = env["ORIGIN_URL"] ?? `http://127.0.0.1:${originPort}`;
  const agent = new Agent({ keepAlive: true });
  let printed = "";
  let group = 0;

  async function start(): Promise<void> {
    const child = spawn(NODE, ["demo/start.ts"], {
      cwd: ROOT,
      env: { ...process.env, ...settings },
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    if (child.pid === undefined) throw new Error("npm start did not start");
    group = child.pid;
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk) => {
        printed += chunk;
      });
    const untilMs = performance.now() + READY_WITHIN_MS;
    while (!(await isReady(url))) {
      const isOver = child.exitCode !== null || child.signalCode !== null;
      if (isOver || performance.now() > untilMs) {
        signalGroup(group, "SIGKILL");
        throw new Error(`the gateway ${isOver ? "ended" : "did not answer in time"}:\n${printed}`);
      }
      await sleep(POLL_EVERY_MS);
    }
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    signalGroup(group, signal);
    if (await hasEnded(group, END_WITHIN_MS)) return;
    signalGroup(group, "SIGKILL");
    throw new Error(`${signal} did not end: ${JSON.stringify(livingIn(group))}`);
  }

  const killLeftOver = () => signalGroup(group, "SIGKILL");
  process.once("exit", killLeftOver);
  await start();

  const kv = (...command: readonly string[]) => wranglerKv([...command, "--persist-to", stateDir]);
  const gateway: Gateway = {
    url,
    port,
    originPort,
    originUrl,
    stateDir,
    output: () => printed,
    async untilPrinted(text) {
      const untilMs = performance.now() + PRINTED_WITHIN_MS;
      while (!printed.includes(text)) {
        if (performance.now() > untilMs) throw new Error(`${text} was not printed:\n${printed}`);
        await sleep(POLL_EVERY_MS);
      }
    },
    async hasFailed() {
      const headers = { "X-Request-Id": `last-${Date.now()}` };
      await gateway.request("/?demo_cut=before-headers", { headers });
      await gateway.untilPrinted(headers["X-Request-Id"]);
      return printed.includes('"event":"internal"');
    },
    request: (path, { client = freshClient(), headers = {}, ...rest } = {}) =>
      ask(url + path, { agent, headers: { "CF-Connecting-IP": client, ...headers }, ...rest }),
    requestOrigin: (path, options) => ask(originUrl + path, { ...options }),
    processes: () => livingIn(group),
    async stop() {
      agent.destroy();
      try {
        await end("SIGTERM");
      } finally {
        process.off("exit", killLeftOver);
        rmSync(stateDir, { recursive: true, force: true });
      }
    },
    kill: () => end("SIGKILL"),
    restart: start,
    putKv: (key, value) => kv("key", "put", key, value),
    async putAllKv(documents) {
      const file = join(stateDir, "bulk.json");
      writeFileSync(file, JSON.stringify(Object.entries(documents).map(([key, value]) => ({ key, value }))));
      await kv("bulk", "put", file);
    },
    deleteKv: (key) => kv("key", "delete", key),
  };
  return gateway;
}

let clients = 0;

/** An address that no other test of this file has. */
export function freshClient(): string {
  clients += 1;
  return `10.${(clients >> 16) & 255}.${(clients >> 8) & 255}.${clients & 255}`;
}

async function isReady(url: string): Promise<boolean> {
  const reply = await ask(`${url}/_edge/health`, { timeoutMs: 2_000 }).catch(() => null);
  return reply?.status === 200;
}

async function wranglerKv(command: readonly string[]): Promise<void> {
  const wrangler = join(ROOT, "node_modules/wrangler/bin/wrangler.js");
  await promisify(execFile)(NODE, [wrangler, "kv", ...command, "--local", "--binding", "EDGE_KV"], {
    cwd: ROOT,
    env: { ...process.env, CI: "true", WRANGLER_SEND_METRICS: "false", WRANGLER_HIDE_BANNER: "true" },
  });
}
