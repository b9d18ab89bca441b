/**
 * `npm start`: the gateway on this machine, with the demo origin behind it.
 *
 * Checks every setting and both ports first, so that what cannot work is one line and exit 1. Then it runs until it is
 * told to end (SIGINT, SIGTERM, SIGHUP: exit 0) or a part of it ends by itself (exit 1), and leaves no process behind.
 */
import { accessSync, constants, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { startGateway } from "./gateway.ts";
import { startOrigin } from "./origin.ts";
import { expectFreePort } from "./ports.ts";
import { readSettings } from "./settings.ts";
import { welcome } from "./welcome.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const READY_WITHIN_MS = 60_000;

const PARENT_EVERY_MS = 250;

/** When a whole process group is told to end, the gateway may be gone before the signal is seen here. */
const SIGNAL_GRACE_MS = 250;

/** Why it is over. */
type Ending =
  | { readonly reason: "told-to" }
  | { readonly reason: "gateway-ended"; readonly how: string }
  | { readonly reason: "gateway-late" }
  | { readonly reason: "fault"; readonly error: unknown };

async function main(): Promise<number> {
  const settings = readSettings(process.env, { root: ROOT, workingDirectory: process.cwd() });
  makeStateDir(settings.stateDir);
  await expectFreePort("PORT", settings.port);
  if (settings.originPort !== null) await expectFreePort("ORIGIN_PORT", settings.originPort);

  const told = toldToEnd();
  const origin = settings.originPort === null ? null : await startOrigin({ port: settings.originPort });
  const gateway = startGateway(ROOT, settings, console.log);
  const ended = gateway.ended.then(async (how): Promise<Ending> => {
    await sleep(SIGNAL_GRACE_MS);
    return { reason: "gateway-ended", how };
  });

  const opening = await Promise.race([told, gateway.opened(READY_WITHIN_MS)]);
  if (opening === "ready") console.log(welcome(settings));
  const ending: Ending = opening === "late" ? { reason: "gateway-late" } : await Promise.race([told, ended]);
  await Promise.all([gateway.stop(), origin?.close()]);
  return exitCodeFor(ending);
}

/** Resolves when this process is told to end, nobody reads what it says any more, or it has a fault of its own. */
function toldToEnd(): Promise<Ending> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => resolve({ reason: "told-to" }));
    process.stdout.on("error", () => resolve({ reason: "told-to" }));
    process.on("uncaughtException", (error) => resolve({ reason: "fault", error }));
    if (process.env["npm_lifecycle_event"] === "start") whenOrphaned(() => resolve({ reason: "told-to" }));
  });
}

/**
 * npm runs a script through a shell, and a signal sent to npm may end that shell without reaching this process. Whoever
 * stopped npm meant the gateway, so losing the parent counts as being told.
 */
function whenOrphaned(end: () => void): void {
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) end();
  }, PARENT_EVERY_MS).unref();
}

/** The exit code an ending deserves; says why when it is not the one that was asked for. */
function exitCodeFor(ending: Ending): number {
  switch (ending.reason) {
    case "told-to":
      return 0;
    case "gateway-ended":
      console.error(`npm start: the gateway ended by itself (${ending.how})`);
      return 1;
    case "gateway-late":
      console.error(`npm start: the gateway did not answer /_edge/health within ${READY_WITHIN_MS / 1000} s`);
      return 1;
    case "fault":
      console.error("npm start:", ending.error);
      return 1;
  }
}

function makeStateDir(stateDir: string): void {
  try {
    makeDirectory(stateDir);
    accessSync(stateDir, constants.W_OK);
  } catch (error) {
    throw new Error(`STATE_DIR: ${stateDir} cannot be used: ${messageOf(error)}`);
  }
}

/** Makes what is missing of a path, one step at a time: Node's own `recursive` never returns for one under /proc. */
function makeDirectory(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  makeDirectory(dirname(path));
  mkdirSync(path);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(`npm start: ${messageOf(error)}`);
    process.exit(1);
  },
);
