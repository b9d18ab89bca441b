/**
 * A real Prometheus on the shipped configuration: only where it scrapes, how often, and where it keeps things differ.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { stringify } from "yaml";
import { freePort } from "../free-port.ts";
import { ROOT, yamlOf } from "./files.ts";

/** One series of an answer, with its value now. */
export interface Found {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A Prometheus that runs. */
export interface RunningPrometheus {
  /** Base URL of its HTTP API. */
  readonly url: string;
  /** What a query finds now; throws on one that Prometheus refuses. */
  query(expr: string): Promise<readonly Found[]>;
  stop(): Promise<void>;
}

const READY_WITHIN_MS = 30_000;
const POLL_EVERY_MS = 100;
const END_WITHIN_MS = 10_000;

/**
 * The folder `deploy/prometheus` as an operator would copy it, with a token; for `promtool check config` too.
 *
 * @param changes to the configuration and to its only scrape, on top of what is shipped.
 */
export function copyOfConfiguration(
  token: string,
  changes: { readonly global?: object; readonly scrape?: object } = {},
): string {
  const directory = mkdtempSync(join(tmpdir(), "levqor-prometheus-"));
  cpSync(join(ROOT, "deploy/prometheus"), directory, { recursive: true });
  writeFileSync(join(directory, "metrics-token"), token);
  const [shipped] = yamlOf("prometheus/prometheus.yml") as readonly {
    global: object;
    scrape_configs: readonly object[];
  }[];
  const config = {
    ...shipped,
    global: { ...shipped?.global, ...changes.global },
    scrape_configs: shipped?.scrape_configs.map((scrape) => ({ ...scrape, ...changes.scrape })),
  };
  writeFileSync(join(directory, "prometheus.yml"), stringify(config));
  return directory;
}

/**
 * Starts Prometheus and waits until it is ready.
 *
 * @param target `host:port` of what it scrapes, by plain HTTP, every second.
 */
export async function startPrometheus(target: string, token: string): Promise<RunningPrometheus> {
  const directory = copyOfConfiguration(token, {
    global: { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" },
    scrape: { scheme: "http", static_configs: [{ targets: [target] }] },
  });
  const address = `127.0.0.1:${await freePort()}`;
  const url = `http://${address}`;
  const child = spawn(
    "prometheus",
    [
      `--config.file=${join(directory, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(directory, "data")}`,
      `--web.listen-address=${address}`,
      "--log.level=error",
    ],
    { stdio: ["ignore", "inherit", "inherit"] },
  );
  const stop = async () => {
    await end(child);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await ready(url, child);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, query: (expr) => query(url, expr), stop };
}

async function ready(url: string, child: ChildProcess): Promise<void> {
  const untilMs = performance.now() + READY_WITHIN_MS;
  while (performance.now() < untilMs) {
    if (child.exitCode !== null) throw new Error(`prometheus: expected it to run, got exit code ${child.exitCode}`);
    if (await isReady(url)) return;
    await sleep(POLL_EVERY_MS);
  }
  throw new Error(`prometheus: expected it to be ready within ${READY_WITHIN_MS} ms`);
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/-/ready`)).ok;
  } catch {
    return false;
  }
}

async function query(url: string, expr: string): Promise<readonly Found[]> {
  const response = await fetch(`${url}/api/v1/query`, { method: "POST", body: new URLSearchParams({ query: expr }) });
  if (!response.ok) throw new Error(`${expr}: ${await response.text()}`);
  const { data } = (await response.json()) as {
    data: { result: readonly { metric: Record<string, string>; value: [number, string] }[] };
  };
  return data.result.map(({ metric, value: [, value] }) => ({
    metric,
    value: Number(value.replace("Inf", "Infinity")),
  }));
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await Promise.race([ended, sleep(END_WITHIN_MS, undefined, { ref: false })]);
  child.kill("SIGKILL");
  await ended;
}
