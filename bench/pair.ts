/**
 * Two subjects side by side: both workerds on one processor, both under load at the same time, load generator and origin
 * on the others.
 *
 * What disturbs one disturbs the other, so the ratio of their CPU per request is steadier than either figure. Which is
 * started first alternates, and so does which workerd is born first: two identical Workers measured so differ by some
 * percent in single rounds and by about two in the median, which the null pair shows.
 */
import { type Evidence, watch } from "./evidence.ts";
import { finish, type Round, type Running, startLoad } from "./load.ts";
import type { Effort, PairPlan } from "./plan.ts";
import type { Layout } from "./processors.ts";
import type { Load } from "./requests.ts";
import { type Summary, summarize } from "./statistics.ts";
import { type Stage, type Subject, serveSubject } from "./subjects.ts";
import type { Server } from "./workerd.ts";

/** What a pair came to. */
export interface PairResult {
  readonly plan: PairPlan;
  /** CPU per request of the subject over that of its baseline. */
  readonly ratio: Summary;
  /** CPU per request, us. */
  readonly subjectUs: Summary;
  readonly baselineUs: Summary;
  /** Share of the subject's requests that were refused. */
  readonly refused: number;
  /** Requests of the subject that were measured. */
  readonly requests: number;
  readonly clients: number | null;
}

/** What both sides are measured with. */
export interface Ground {
  readonly stage: Stage;
  readonly originPid: number;
  readonly layout: Layout;
  readonly effort: Effort;
  readonly evidence: Evidence;
}

interface Side {
  readonly name: Subject;
  readonly server: Server;
}

interface Measured {
  readonly us: readonly [number, number];
  readonly rounds: readonly [Round, Round];
}

/** Answers that make a round, and times that it is tried for them. */
export const REQUESTS_MIN = 50;
export const ATTEMPTS_MAX = 4;
/** Requests after which a Worker is taken for warm, and warm-ups in which it may get them. */
const WARM_REQUESTS = 2_000;
const WARM_UPS_MAX = 6;

/** Measures a pair. */
export async function measurePair(plan: PairPlan, ground: Ground): Promise<PairResult> {
  const measured: Measured[] = [];
  let load = plan.load;
  for (let life = 0; life < ground.effort.lives; life++) {
    const sides = await startBoth(plan, life % 2 === 1, ground);
    try {
      const rps = await warmUp(load, sides, ground);
      if (plan.perClientRps !== undefined) load = withEnoughClients(load, rps, plan.perClientRps);
      for (let i = 0; i < ground.effort.rounds; i++) measured.push(await fullRound(load, sides, i % 2 === 1, ground));
    } finally {
      await Promise.all(sides.map(({ server }) => server.stop()));
    }
  }
  const requests = measured.reduce((sum, { rounds: [first] }) => sum + first.requests, 0);
  const refused = measured.reduce((sum, { rounds: [first] }) => sum + first.refused, 0);
  return {
    plan,
    ratio: summarize(measured.map(({ us: [subject, baseline] }) => subject / baseline)),
    subjectUs: summarize(measured.map(({ us }) => us[0])),
    baselineUs: summarize(measured.map(({ us }) => us[1])),
    refused: refused / requests,
    requests,
    clients: "clients" in load.crowd ? load.crowd.clients : null,
  };
}

/** Subject and baseline, in this order; started in the other, if `swapped`. */
async function startBoth(
  { subject, baseline }: PairPlan,
  swapped: boolean,
  { stage, layout }: Ground,
): Promise<readonly [Side, Side]> {
  const start = async (name: Subject): Promise<Side> => ({
    name,
    server: await serveSubject(name, stage, layout.subjects),
  });
  if (!swapped) return [await start(subject), await start(baseline)];
  const second = await start(baseline);
  return [await start(subject), second];
}

/** Until both have run hot: code that is still being compiled costs several times as much. @returns requests a second. */
async function warmUp(load: Load, sides: readonly [Side, Side], ground: Ground): Promise<number> {
  let rps = 0;
  for (let served = 0, i = 0; served < WARM_REQUESTS && i < WARM_UPS_MAX; i++) {
    const { rounds } = await round(load, sides, false, ground.effort.warmUpMs, ground);
    served += Math.min(...rounds.map(({ requests }) => requests));
    rps = Math.max(...rounds.map(({ requests, durationUs }) => (requests / durationUs) * 1e6));
  }
  return rps;
}

/** A round with enough answers to be one, tried for longer and longer: making new objects may take seconds. */
async function fullRound(
  load: Load,
  sides: readonly [Side, Side],
  swapped: boolean,
  ground: Ground,
): Promise<Measured> {
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const measured = await round(load, sides, swapped, attempt * ground.effort.roundMs, ground);
    if (measured.rounds.every(({ requests }) => requests >= REQUESTS_MIN)) return measured;
  }
  throw new Error(
    `expected ${REQUESTS_MIN} answers in a round, got fewer ${ATTEMPTS_MAX} times: the machine is too busy`,
  );
}

async function round(
  load: Load,
  sides: readonly [Side, Side],
  swapped: boolean,
  ms: number,
  { originPid, layout, evidence }: Ground,
): Promise<Measured> {
  const [subject, baseline] = sides;
  const stopWatch = watch(evidence, originPid, [subject.server.pid, baseline.server.pid]);
  const begin = ({ name, server }: Side): Running => startLoad(load, server.urlOf(name), layout.rest);
  const running = swapped ? [begin(baseline), begin(subject)] : [begin(subject), begin(baseline)];
  const ended = await finish(running, ms);
  const [ofSubject, ofBaseline] = swapped ? ended.toReversed() : ended;
  if (ofSubject === undefined || ofBaseline === undefined) throw new RangeError("rounds: expected two");
  const [subjectNs = 0, baselineNs = 0] = stopWatch(ended);
  const us = [subjectNs / 1e3 / ofSubject.requests, baselineNs / 1e3 / ofBaseline.requests] as const;
  return { us, rounds: [ofSubject, ofBaseline] };
}

function withEnoughClients(load: Load, rps: number, perClientRps: number): Load {
  return { ...load, crowd: { kind: "even", clients: Math.ceil(rps / perClientRps) } };
}
