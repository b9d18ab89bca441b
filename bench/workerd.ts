/**
 * Bare workerd: bundles Workers the way they are deployed, and serves them without `wrangler dev`, whose own proxy and
 * logging cost ten times what is to be measured.
 *
 *     const module = await bundle("wrangler.toml", outdir);
 *     const server = await serve({ services: [{ name: "gateway", module, ... }], sockets: [{ name: "gateway", ... }] });
 *     await fetch(server.urlOf("gateway"));
 *     await server.stop();
 *
 * A fleet is several services of the same module, one of which owns the Durable Objects that all of them bind (see
 * `Binding` in `workerd-config.ts`); each service is a real isolate. workerd runs them all on one thread.
 *
 * What is started here ends with this process, also when it fails; nothing else is touched.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Processors, pinned } from "./processors.ts";
import { configText, type Service, type Socket } from "./workerd-config.ts";

/** What to serve. */
export interface Serving {
  readonly services: readonly Service[];
  readonly sockets: readonly Socket[];
  /** Where Durable Objects are kept, and left when it stops; a directory in memory, removed at the stop, if left out. */
  readonly storageDir?: string;
  /** The processors it may use; any, if left out. */
  readonly pinTo?: Processors;
}

/** A workerd that listens. */
export interface Server {
  readonly pid: number;
  /** The port of each socket. */
  readonly ports: ReadonlyMap<string, number>;
  /** `http://127.0.0.1:PORT` of a socket. */
  readonly urlOf: (socket: string) => string;
  /** The last of what it and its Workers have logged. */
  readonly log: () => string;
  /** Ends it, with SIGKILL after a second; `"SIGKILL"` at once, as a crash does. Storage of its own is removed. */
  readonly stop: (signal?: "SIGTERM" | "SIGKILL") => Promise<void>;
}

const BIN = fileURLToPath(new URL("../node_modules/.bin/", import.meta.url));
const OFFLINE = {
  CI: "true",
  WRANGLER_SEND_METRICS: "false",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  X_LOCAL_OBSERVABILITY: "false",
};
const START_TIMEOUT_MS = 20_000;
const STOP_WAIT_MS = 1_000;
const LOG_CHARACTERS_MAX = 16_384;

const live = new Map<ChildProcess, () => void>();
process.once("exit", () => {
  for (const [child, remove] of live) {
    child.kill("SIGKILL");
    remove();
  }
});

/**
 * Bundles a Worker as `wrangler deploy` would upload it.
 *
 * @param outdir is emptied first.
 * @returns path of the one module.
 * @throws Error with wrangler's own words where it fails.
 */
export async function bundle(configPath: string, outdir: string): Promise<string> {
  rmSync(outdir, { recursive: true, force: true });
  const args = [join(BIN, "wrangler"), "deploy", "--dry-run", "--outdir", outdir, "--config", configPath];
  await promisify(execFile)(process.execPath, args, { env: { ...process.env, ...OFFLINE } });
  const modules = readdirSync(outdir).filter((name) => name.endsWith(".js"));
  const [module] = modules;
  if (module === undefined || modules.length > 1)
    throw new Error(`${configPath}: expected one bundled module, got ${modules.join(", ") || "none"}`);
  return resolve(outdir, module);
}

/** Starts workerd; resolves once all sockets listen. @throws Error with what it logged, where it does not start. */
export async function serve({ services, sockets, storageDir, pinTo }: Serving): Promise<Server> {
  const own = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "levqor-edge-"));
  const remove = () => rmSync(own, { recursive: true, force: true, maxRetries: 3 });
  const kept = resolve(storageDir ?? join(own, "objects"));
  mkdirSync(kept, { recursive: true });
  // Modules are embedded by path, which must not leave the directory of the configuration: copy them there.
  const local = services.map((service, index) => {
    const module = `${index}.js`;
    copyFileSync(service.module, join(own, module));
    return { ...service, module };
  });
  const config = join(own, "config.capnp");
  await writeFile(config, configText({ services: local, sockets, storageDir: kept }));

  const command = [join(BIN, "workerd"), "serve", "--control-fd=3", config];
  const [file = "", ...args] = pinTo === undefined || pinTo.length === 0 ? command : pinned(pinTo, command);
  const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe", "pipe"] });
  live.set(child, remove);
  const ended = new Promise<void>((settle) => {
    child.once("close", () => settle());
    child.once("error", () => settle());
  }).then(() => {
    live.delete(child);
    remove();
  });
  const log = keepLog([child.stdout, child.stderr]);

  async function stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    child.kill(signal);
    const late = setTimeout(() => child.kill("SIGKILL"), STOP_WAIT_MS);
    await ended;
    clearTimeout(late);
  }

  const ports = await listening(child.stdio[3] as Readable, sockets.length, ended);
  const { pid } = child;
  if (ports === null || pid === undefined) {
    await stop("SIGKILL");
    throw new Error(`workerd did not start:\n${log()}`);
  }

  function urlOf(socket: string): string {
    const port = ports?.get(socket);
    if (port === undefined)
      throw new RangeError(`socket: expected one of ${[...(ports?.keys() ?? [])].join(", ")}, got ${socket}`);
    return `http://127.0.0.1:${port}`;
  }

  return { pid, ports, urlOf, log, stop };
}

/** The port of each socket, from what workerd says on its control channel; null where it ends or takes too long. */
async function listening(
  control: Readable,
  count: number,
  ended: Promise<void>,
): Promise<ReadonlyMap<string, number> | null> {
  const ports = new Map<string, number>();
  const all = new Promise<boolean>((settle) => {
    createInterface({ input: control }).on("line", (line) => {
      const said = JSON.parse(line) as { event: string; socket?: string; port?: number };
      if (said.event === "listen" && said.socket !== undefined) ports.set(said.socket, said.port ?? 0);
      if (ports.size >= count) settle(true);
    });
  });
  const timeout = new AbortController();
  const late = sleep(START_TIMEOUT_MS, false, { signal: timeout.signal, ref: false }).catch(() => false);
  const inTime = await Promise.race([all, ended.then(() => false), late]);
  timeout.abort();
  return inTime ? ports : null;
}

/** Keeps the end of what a process says. */
function keepLog(streams: readonly (Readable | null)[]): () => string {
  let text = "";
  for (const stream of streams)
    stream?.on("data", (chunk: Buffer) => {
      text = (text + chunk.toString()).slice(-LOG_CHARACTERS_MAX);
    });
  return () => text;
}
