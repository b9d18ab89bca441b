/** `npm start` as a command: what it prints, how it refuses, and that nothing of it is left when it ends. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../free-port.ts";
import { ROOT } from "./gateway.ts";
import { hasEnded, livingIn, livingWith, signalGroup } from "./process-group.ts";
import { ask } from "./reply.ts";

const STARTED_WITHIN_MS = 60_000;
const ENDED_WITHIN_MS = 10_000;

const stateDir = mkdtempSync(join(tmpdir(), "levqor-start-"));
const groups: number[] = [];
afterAll(() => {
  for (const group of groups) signalGroup(group, "SIGKILL");
  rmSync(stateDir, { recursive: true, force: true });
});

interface Started {
  readonly child: ChildProcess;
  readonly group: number;
  readonly output: { out: string; err: string };
}

function npmStart(env: Readonly<Record<string, string>>): Started {
  const child = spawn("npm", ["start", "--silent"], {
    cwd: ROOT,
    env: { ...process.env, STATE_DIR: stateDir, ...env },
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { out: "", err: "" };
  child.stdout?.on("data", (chunk) => {
    output.out += chunk;
  });
  child.stderr?.on("data", (chunk) => {
    output.err += chunk;
  });
  const group = child.pid ?? 0;
  groups.push(group);
  return { child, group, output };
}

describe("npm start", () => {
  let started: Started;
  let port: number;
  let originPort: number;
  beforeAll(async () => {
    [port, originPort] = [await freePort(), await freePort()];
    started = npmStart({ PORT: String(port), ORIGIN_PORT: String(originPort) });
    const untilMs = Date.now() + STARTED_WITHIN_MS;
    while (!started.output.out.includes("Ctrl-C")) {
      if (started.child.exitCode !== null || Date.now() > untilMs) throw new Error(started.output.err);
      await sleep(50);
    }
  });

  it("prints where the gateway and the origin are, and three curls, once both answer", async () => {
    const { out, err } = started.output;
    expect(err).toBe("");
    expect(out).toContain(`http://127.0.0.1:${port}\n`);
    expect(out).toContain(`http://127.0.0.1:${originPort}\n`);
    expect(out.match(/^ .*\bcurl .*$/gm)).toHaveLength(3);
    expect((await ask(`http://127.0.0.1:${port}/_edge/health`)).status).toBe(200);
    expect((await ask(`http://127.0.0.1:${originPort}/api/health`)).status).toBe(200);
  });

  it("keeps all it starts in one process group, which SIGTERM to its leader ends without a trace", async () => {
    const { child, group } = started;
    const mine = livingWith("STATE_DIR", stateDir);
    expect(mine.map(({ name }) => name)).toContain("workerd");
    expect(mine.filter((process) => process.group !== group)).toEqual([]);
    process.kill(group, "SIGTERM");
    await once(child, "exit");
    expect(await hasEnded(group, ENDED_WITHIN_MS)).toBe(true);
    expect(livingWith("STATE_DIR", stateDir)).toEqual([]);
    await expect(ask(`http://127.0.0.1:${port}/`)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await expect(ask(`http://127.0.0.1:${originPort}/`)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });
});

describe("npm start with what cannot be", () => {
  const taken = createServer();
  let takenPort: number;
  let port: number;
  beforeAll(async () => {
    [takenPort, port] = [await freePort(), await freePort()];
    taken.listen(takenPort, "127.0.0.1");
    await once(taken, "listening");
  });
  afterAll(() => {
    taken.close();
  });

  it.each([
    { name: "a taken port", env: () => ({ PORT: String(takenPort) }), says: /^npm start: PORT: .*\btaken$/ },
    {
      name: "a taken port for the origin",
      env: () => ({ PORT: String(port), ORIGIN_PORT: String(takenPort) }),
      says: /^npm start: ORIGIN_PORT: .*\btaken$/,
    },
    { name: "a port that is none", env: () => ({ PORT: "http" }), says: /^npm start: PORT: expected .*"http"$/ },
    {
      name: "a number out of range",
      env: () => ({ PORT: String(port), SIGNAL_REFRESH_SECONDS: "0" }),
      says: /^npm start: SIGNAL_REFRESH_SECONDS: expected .*"0"$/,
    },
    {
      name: "an origin that is no URL",
      env: () => ({ PORT: String(port), ORIGIN_URL: "ftp://origin" }),
      says: /^npm start: ORIGIN_URL: expected .*"ftp:\/\/origin"$/,
    },
    {
      name: "a state directory that cannot be",
      env: () => ({ PORT: String(port), STATE_DIR: "/dev/null/state" }),
      says: /^npm start: STATE_DIR: .*\/dev\/null\/state/,
    },
  ])("says so of $name in one line, exits with 1 and leaves nothing", async ({ env, says }) => {
    const { child, group, output } = npmStart({ ORIGIN_PORT: "18999", ...env() });
    const [code] = await once(child, "close");
    expect(code).toBe(1);
    expect(output.out).toBe("");
    expect(output.err.trimEnd()).toMatch(says);
    expect(output.err.trimEnd()).not.toContain("\n");
    expect(livingIn(group)).toEqual([]);
  });
});
