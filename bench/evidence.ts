/**
 * Whether the measuring itself can be believed: what the load generator and the origin used of their processors, and what
 * the subjects got of theirs. A generator near 1 measures itself; subjects far below 1 had to share with others.
 */
import type { Round } from "./load.ts";
import { cpuNsOf } from "./processors.ts";
import { summarize } from "./statistics.ts";

/** Shares of one processor in one round. */
interface Shares {
  readonly generator: number;
  readonly origin: number;
  readonly subjects: number;
}

/** Collects the shares of all rounds. */
export interface Evidence {
  readonly add: (shares: Shares) => void;
  readonly summary: () => Shares & { readonly rounds: number };
}

/** No evidence yet. */
export function newEvidence(): Evidence {
  const all: Shares[] = [];
  const median = (of: (shares: Shares) => number) => summarize(all.map(of)).median;
  const most = (of: (shares: Shares) => number) => summarize(all.map(of)).max;
  return {
    add: (shares) => all.push(shares),
    summary: () => ({
      generator: most((shares) => shares.generator),
      origin: most((shares) => shares.origin),
      subjects: median((shares) => shares.subjects),
      rounds: all.length,
    }),
  };
}

/** Notes the CPU of the processes `pids` until the function it returns is called, with the rounds that ran meanwhile. */
export function watch(
  evidence: Evidence,
  originPid: number,
  pids: readonly number[],
): (rounds: readonly Round[]) => number[] {
  const startNs = process.hrtime.bigint();
  const before = [originPid, ...pids].map(cpuNsOf);
  return (rounds) => {
    const ns = Number(process.hrtime.bigint() - startNs);
    const [origin = 0, ...used] = [originPid, ...pids].map((pid, index) => cpuNsOf(pid) - (before[index] ?? 0));
    const generator = rounds.reduce((sum, round) => sum + round.cpuSeconds * 1e9, 0);
    const subjects = used.reduce((sum, each) => sum + each, 0);
    evidence.add({ generator: generator / ns, origin: origin / ns, subjects: subjects / ns });
    return used;
  };
}
