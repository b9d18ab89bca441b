/**
 * Finds and ends every process that was started with a given mark in its environment.
 *
 * A runtime whose parent was killed runs on, and its parentage is lost; what it inherited is not. So whoever starts a
 * process sets MARK_NAME to a value of its own, and finds by it also the children of children, however they ended up.
 *
 * The price: it reads /proc, which only Linux has. Elsewhere nothing is found, and who started a process ends it
 * directly and trusts it to end its own.
 */
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** The environment variable that carries the mark. */
export const MARK_NAME = "LEVQOR_START_ID";

const LOOK_EVERY_MS = 50;

/** The living processes that carry `mark`, except this one. One that has ended but was not yet reaped is not living. */
export function marked(mark: string): readonly number[] {
  const wanted = `${MARK_NAME}=${mark}`;
  return processIds().filter((pid) => pid !== process.pid && environmentOf(pid).includes(wanted));
}

/** Kills what carries `mark` until nothing does, or until `withinMs` is over; says whether nothing is left. */
export async function killMarked(mark: string, withinMs: number): Promise<boolean> {
  for (let waitedMs = 0; waitedMs <= withinMs; waitedMs += LOOK_EVERY_MS) {
    const left = marked(mark);
    if (left.length === 0) return true;
    for (const pid of left) kill(pid);
    await sleep(LOOK_EVERY_MS);
  }
  return marked(mark).length === 0;
}

function processIds(): readonly number[] {
  try {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

/** Empty for a process that has ended, or is not ours to look into. */
function environmentOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    return [];
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended in the meantime, which is what was wanted.
  }
}
