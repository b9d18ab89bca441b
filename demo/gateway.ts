/**
 * The gateway on this machine: `wrangler dev` as a child, told apart from its chatter, ended with all it started.
 *
 * It needs no login and no network: metrics, update checks and the fetch of sample request data are off. It stays in
 * the process group of whoever starts it, and ends with it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { killMarked, MARK_NAME } from "./descendants.ts";
import { gatewayLogFilter } from "./gateway-log.ts";
import type { StartSettings } from "./settings.ts";

const POLL_EVERY_MS = 150;
const POLL_TIMEOUT_MS = 2000;
const END_WITHIN_MS = 5000;
const KILL_WITHIN_MS = 2000;

const QUIET_AND_LOCAL = {
  CI: "true",
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_HIDE_BANNER: "true",
  WRANGLER_WRITE_LOGS: "false",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  X_LOCAL_OBSERVABILITY: "false",
  X_LOCAL_EXPLORER: "false",
};

/** A gateway that was started and may not be ready yet. */
export interface RunningGateway {
  readonly url: string;
  /** Resolves once it answers its health check, has ended, or has done neither within `withinMs`. */
  opened(withinMs: number): Promise<"ready" | "ended" | "late">;
  /** Resolves with how it ended, wanted or not. */
  readonly ended: Promise<string>;
  /** Ends it and all it started; gently first. */
  stop(): Promise<void>;
}

/** Starts `wrangler dev` for the Worker in `root`. Lines worth showing go to `show`; errors go straight to stderr. */
export function startGateway(root: string, settings: StartSettings, show: (line: string) => void): RunningGateway {
  const url = `http://127.0.0.1:${settings.port}`;
  const mark = randomUUID();
  const child = spawn(process.execPath, wranglerArguments(root, settings), {
    cwd: root,
    env: {
      ...process.env,
      ...QUIET_AND_LOCAL,
      WRANGLER_REGISTRY_PATH: join(settings.stateDir, "registry"),
      [MARK_NAME]: mark,
    },
    // The channel carries nothing: it closes when this process is gone, and `end-with-parent.ts` hears it.
    stdio: ["ignore", "pipe", "inherit", "ipc"],
  });
  child.channel?.unref();
  const isWorthShowing = gatewayLogFilter();
  if (child.stdout !== null) {
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (isWorthShowing(line)) show(line);
    });
  }
  const ended = endOf(child);
  let hasEnded = false;
  void ended.then(() => {
    hasEnded = true;
  });
  return {
    url,
    ended,
    async opened(withinMs) {
      const untilMs = performance.now() + withinMs;
      while (performance.now() < untilMs) {
        if (hasEnded) return "ended";
        if (await answers(`${url}/_edge/health`)) return "ready";
        await sleep(POLL_EVERY_MS);
      }
      return "late";
    },
    async stop() {
      child.kill("SIGTERM");
      await Promise.race([ended, sleep(END_WITHIN_MS, undefined, { ref: false })]);
      child.kill("SIGKILL");
      await killMarked(mark, KILL_WITHIN_MS);
      await Promise.race([ended, sleep(KILL_WITHIN_MS, undefined, { ref: false })]);
    },
  };
}

function wranglerArguments(root: string, { port, stateDir, vars }: StartSettings): readonly string[] {
  return [
    "--import",
    new URL("end-with-parent.ts", import.meta.url).href,
    join(root, "node_modules/wrangler/bin/wrangler.js"),
    "dev",
    ...["--config", join(root, "wrangler.toml")],
    ...["--ip", "127.0.0.1", "--port", String(port)],
    "--local",
    ...["--persist-to", stateDir],
    // Any free one, so that two gateways can run side by side.
    ...["--inspector-port", "0"],
    "--show-interactive-dev-session=false",
    ...["--log-level", "log"],
    // Wrangler splits at the first colon, so a value may hold anything.
    ...Object.entries(vars).flatMap(([name, value]) => ["--var", `${name}:${value}`]),
  ];
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(signal === null ? `exit code ${code}` : signal));
  });
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(POLL_TIMEOUT_MS) });
    await response.body?.cancel();
    return response.status === 200;
  } catch {
    return false;
  }
}
