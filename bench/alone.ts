/**
 * What each subject does when it has its processor to itself: requests a second, how long they take, CPU for each.
 *
 * All subjects of a path are up at the same time and take turns, a round each, so that a machine that slows down slows
 * all of them; ratios are taken within a turn.
 */
import { watch } from "./evidence.ts";
import { runLoad } from "./load.ts";
import { ATTEMPTS_MAX, type Ground, REQUESTS_MIN } from "./pair.ts";
import type { AlonePlan, PathName } from "./plan.ts";
import type { Load } from "./requests.ts";
import { type Summary, summarize } from "./statistics.ts";
import { type Subject, serveSubject } from "./subjects.ts";
import type { Server } from "./workerd.ts";

/** What a subject came to on a path. */
export interface AloneResult {
  readonly path: PathName;
  readonly subject: Subject;
  /** What its ratios are to. */
  readonly baseline: Subject;
  readonly load: Load;
  readonly rps: Summary;
  readonly p50Ms: Summary;
  readonly p99Ms: Summary;
  readonly cpuUs: Summary;
  readonly cpuRatio: Summary;
  readonly rpsRatio: Summary;
  /** Share of requests that were refused. */
  readonly refused: number;
  readonly requests: number;
}

interface Turn {
  readonly rps: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuUs: number;
  readonly requests: number;
  readonly refused: number;
}

/** Measures all subjects of a path. */
export async function measureAlone(
  { path, load, subjects }: AlonePlan,
  ground: Ground,
): Promise<readonly AloneResult[]> {
  const { stage, layout, effort } = ground;
  const servers = await Promise.all(subjects.map((subject) => serveSubject(subject, stage, layout.subjects)));
  const up = servers.map((server, index) => ({ server, subject: subjects[index] ?? "bare", turns: [] as Turn[] }));
  try {
    await Promise.all(
      up.map(({ server, subject }) => runLoad(load, server.urlOf(subject), layout.rest, effort.warmUpMs)),
    );
    for (let i = 0; i < effort.aloneRounds; i++)
      for (const { server, subject, turns } of up) turns.push(await turn(server, subject, load, ground));
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
  const base = up[0]?.turns ?? [];
  return up.map(({ subject, turns }) => {
    const requests = turns.reduce((sum, turn) => sum + turn.requests, 0);
    return {
      path,
      subject,
      baseline: subjects[0] ?? subject,
      load,
      rps: summarize(turns.map((turn) => turn.rps)),
      p50Ms: summarize(turns.map((turn) => turn.p50Ms)),
      p99Ms: summarize(turns.map((turn) => turn.p99Ms)),
      cpuUs: summarize(turns.map((turn) => turn.cpuUs)),
      cpuRatio: summarize(turns.map((turn, i) => turn.cpuUs / (base[i]?.cpuUs ?? Number.NaN))),
      rpsRatio: summarize(turns.map((turn, i) => turn.rps / (base[i]?.rps ?? Number.NaN))),
      refused: turns.reduce((sum, turn) => sum + turn.refused, 0) / requests,
      requests,
    };
  });
}

async function turn(server: Server, subject: Subject, load: Load, ground: Ground): Promise<Turn> {
  const { layout, effort, originPid, evidence } = ground;
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const stopWatch = watch(evidence, originPid, [server.pid]);
    const round = await runLoad(load, server.urlOf(subject), layout.rest, attempt * effort.roundMs);
    const [ns = 0] = stopWatch([round]);
    const { requests, refused, durationUs, p50Us, p99Us } = round;
    if (requests < REQUESTS_MIN) continue;
    const rps = (requests / durationUs) * 1e6;
    return { rps, p50Ms: p50Us / 1e3, p99Ms: p99Us / 1e3, cpuUs: ns / 1e3 / requests, requests, refused };
  }
  throw new Error(`${subject}: expected ${REQUESTS_MIN} answers in a round, got fewer ${ATTEMPTS_MAX} times`);
}
