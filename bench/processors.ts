/**
 * The processors of this machine, how the work is laid out on them, and what a process has used of them.
 *
 * What is measured runs on one processor; load generator and origin run on the others, so that they neither wait for it
 * nor make it wait. Linux only: there is no other way to read a process's CPU time to the nanosecond.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { cpus } from "node:os";

/** Processors by number. */
export type Processors = readonly number[];

/** Which processors do what. */
export interface Layout {
  readonly subjects: Processors;
  readonly rest: Processors;
}

/** The layout on the processors that this process may use; one alone has to do everything. */
export function layout(): Layout {
  const [first = 0, ...rest] = allowed();
  return { subjects: [first], rest: rest.length === 0 ? [first] : rest };
}

function allowed(): Processors {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  return list.split(",").flatMap((range) => {
    const [from = 0, to = from] = range.split("-").map(Number);
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
}

/** A command line that runs `command` on these processors only; as it is, where there is no `taskset`. */
export function pinned(processors: Processors, command: readonly string[]): readonly string[] {
  return canPin() ? ["taskset", "--cpu-list", processors.join(","), ...command] : command;
}

/** Whether processes can be pinned here. */
export function canPin(): boolean {
  return isOnPath("taskset");
}

/** Whether a program is on `PATH`. */
export function isOnPath(program: string): boolean {
  return (process.env["PATH"] ?? "").split(":").some((directory) => existsSync(`${directory}/${program}`));
}

/** CPU time that a process has used so far in all its threads, ns. */
export function cpuNsOf(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  let ns = 0;
  for (const task of readdirSync(tasks)) {
    const [used = "0"] = readFileSync(`${tasks}/${task}/schedstat`, "utf8").split(" ");
    ns += Number(used);
  }
  return ns;
}

/** CPU time of the whole machine so far: how much there was, and how much of it was used; ticks. */
export function machineTicks(): { readonly all: number; readonly busy: number } {
  const [line = ""] = readFileSync("/proc/stat", "utf8").split("\n");
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft = 0, steal = 0] = line
    .split(/\s+/)
    .slice(1)
    .map(Number);
  const busy = user + nice + system + irq + soft + steal;
  return { all: busy + idle + wait, busy };
}

/** The machine in a line. */
export function machineName(): string {
  const all = cpus();
  return `${all[0]?.model.trim() ?? "unknown processor"}, ${all.length} processors, Linux, Node ${process.versions.node}`;
}
