/**
 * What lives in a process group, and ending it: whoever starts a process detached owns the group it leads.
 *
 * A process that has ended but was not yet reaped is not living. The price: it reads /proc, which only Linux has.
 */
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** A living process. */
export interface LivingProcess {
  readonly pid: number;
  readonly group: number;
  /** As the kernel knows it: `node`, `workerd`. */
  readonly name: string;
}

const LOOK_EVERY_MS = 50;

/** The living processes of `group`. */
export function livingIn(group: number): readonly LivingProcess[] {
  return living().filter((process) => process.group === group);
}

/** The living processes whose environment has `name=value`, whatever became of their parents. */
export function livingWith(name: string, value: string): readonly LivingProcess[] {
  return living().filter(({ pid }) => (read(`/proc/${pid}/environ`) ?? "").split("\0").includes(`${name}=${value}`));
}

/** Whether nothing of `group` lives any more, within `withinMs`. */
export async function hasEnded(group: number, withinMs: number): Promise<boolean> {
  const untilMs = performance.now() + withinMs;
  while (livingIn(group).length > 0) {
    if (performance.now() > untilMs) return false;
    await sleep(LOOK_EVERY_MS);
  }
  return true;
}

/** Sends `signal` to every process of `group`; nothing where none is left. */
export function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch {
    // The last one ended in the meantime.
  }
}

/** Memory that a process holds, bytes; 0 once it has ended. */
export function residentBytes(pid: number): number {
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`) ?? "")?.[1];
  return Number(kibibytes ?? 0) * 1024;
}

function living(): readonly LivingProcess[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    // "pid (name) state parent group ...": a name may hold anything, parentheses too.
    const [, name = "", state = "", group = ""] =
      /^\d+ \((.*)\) (\S) \d+ (\d+) /s.exec(read(`/proc/${pid}/stat`) ?? "") ?? [];
    return state === "" || "ZX".includes(state) ? [] : [{ pid: Number(pid), group: Number(group), name }];
  });
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
