/**
 * The load generator: wrk where it is installed, autocannon where not.
 *
 * Each round is a process of its own, on processors of its own, that says at its end how many answers it got and how
 * much CPU it used: a generator near a whole processor would measure itself.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { isOnPath, type Processors, pinned } from "./processors.ts";
import { furtherFields, type Load } from "./requests.ts";

/** What a round of load came to. */
export interface Round {
  readonly requests: number;
  readonly durationUs: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** Answers with a status of 400 and above. */
  readonly refused: number;
  /** Connections that failed, and requests without an answer. */
  readonly broken: number;
  /** CPU time of the load generator. */
  readonly cpuSeconds: number;
}

/** A round under way. */
export interface Running {
  /** The load generator is about to send. */
  readonly begun: Promise<void>;
  /** Lets it come to its end. */
  readonly end: () => void;
  readonly done: Promise<Round>;
}

/** Addresses set aside for one round; more than any round can use. */
const ADDRESSES_PER_ROUND = 200_000;
const TIMEOUT_SECONDS = 60;
const INTERRUPT_EVERY_MS = 250;
let nextAddress = ADDRESSES_PER_ROUND;
const live = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of live) child.kill("SIGKILL");
});

/** Which load generator is used. */
export const GENERATOR: "wrk" | "autocannon" = isOnPath("wrk") ? "wrk" : "autocannon";

/** Starts `load` on `url`, until it is ended. */
export function startLoad(load: Load, url: string, processors: Processors): Running {
  const { crowd, connections, path } = load;
  const clients = "clients" in crowd ? crowd.clients : 1;
  // Only new clients have to be new in each round; all others come back.
  const first = crowd.kind === "new" ? nextAddress : 0;
  if (crowd.kind === "new") nextAddress += ADDRESSES_PER_ROUND;
  const about = [crowd.kind, String(clients), String(first), ...furtherFields(load)];
  const command = commandFor(`${url}${path}`, connections, about);
  const [file = "", ...args] = pinned(processors, command);
  const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"] });
  live.add(child);
  const done = resultOf(child);
  return { begun: Promise.race([saysReady(child), done.then(() => undefined)]), end: () => interrupt(child), done };
}

function saysReady(child: ChildProcess): Promise<void> {
  return new Promise((settle) => child.stderr?.once("data", () => settle()));
}

/** Again and again: wrk does not heed a signal that comes before it has begun to wait. */
function interrupt(child: ChildProcess): void {
  const repeat = setInterval(() => child.kill("SIGINT"), INTERRUPT_EVERY_MS);
  child.once("close", () => clearInterval(repeat));
  child.kill("SIGINT");
}

function commandFor(url: string, connections: number, about: readonly string[]): readonly string[] {
  if (GENERATOR === "autocannon") {
    const script = fileURLToPath(new URL("autocannon.ts", import.meta.url));
    return [process.execPath, script, url, String(connections), ...about];
  }
  const script = fileURLToPath(new URL("load.lua", import.meta.url));
  const options = ["--threads", "1", "--connections", String(connections), "--duration", `${TIMEOUT_SECONDS}s`];
  return ["wrk", ...options, "--script", script, url, "--", ...about];
}

async function resultOf(child: ChildProcess): Promise<Round> {
  let said = "";
  let complaint = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  const [code, error] = await new Promise<[number | null, Error | null]>((settle) => {
    child.once("close", (exit) => settle([exit, null]));
    child.once("error", (fault) => settle([null, fault]));
  });
  live.delete(child);
  const line = said.split("\n").find((candidate) => candidate.startsWith("{"));
  if (line === undefined) throw new Error(`${GENERATOR}: expected a result, got exit ${code} ${error ?? complaint}`);
  return JSON.parse(line) as Round;
}

/** Lets rounds that have begun last `ms`, and ends them in this order. */
export async function finish(rounds: readonly Running[], ms: number): Promise<readonly Round[]> {
  const all = Promise.all(rounds.map(({ done }) => done));
  await Promise.race([Promise.all(rounds.map(({ begun }) => begun)).then(() => sleep(ms)), all]);
  for (const { end } of rounds) end();
  return await all;
}

/** A round of `load` on `url` that lasts `ms`. */
export async function runLoad(load: Load, url: string, processors: Processors, ms: number): Promise<Round> {
  const [round] = await finish([startLoad(load, url, processors)], ms);
  if (round === undefined) throw new RangeError("rounds: expected one, got none");
  return round;
}
