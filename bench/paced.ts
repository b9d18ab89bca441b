/**
 * One client at a rate of its own, over real isolates: what its requests cost in counter calls and rows.
 *
 * A minute is `PACED_WINDOW_SECONDS` long here and the rate as much higher, so that slices, leases and arrivals keep
 * their proportions; only the way to the counter does not shrink, and on loopback it is short enough. Arrivals are
 * Poisson, the isolate is drawn for each request, the first window does not count.
 */
import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cost, costBetween, countsOf, serveCounted } from "./counting.ts";
import { nextArrivalMs, seeded } from "./random.ts";
import type { Stage } from "./subjects.ts";
import { PACED_WINDOW_SECONDS } from "./tables.ts";

/** A client. */
export interface PacedPlan {
  readonly id: string;
  /** Requests a second, were a minute a minute. */
  readonly rps: number;
  readonly isolates: number;
}

/** Under its limit of 200 a minute, and ten times over it; in one isolate, and spread over six. */
export const PACED: readonly PacedPlan[] = [
  { id: "paced", rps: 3, isolates: 1 },
  { id: "paced-flood", rps: 2_000 / 60, isolates: 1 },
  { id: "paced-6", rps: 3, isolates: 6 },
  { id: "paced-flood-6", rps: 2_000 / 60, isolates: 6 },
];

const CLIENT = "203.0.113.7";
const FASTER = 60 / PACED_WINDOW_SECONDS;

/** Runs all plans side by side, each with counters of its own. */
export async function measurePaced(stage: Stage, windows: number): Promise<ReadonlyMap<string, Cost>> {
  const costs = PACED.map(async (plan, index) => [plan.id, await runPaced(plan, stage, windows, index + 1)] as const);
  return new Map(await Promise.all(costs));
}

async function runPaced({ rps, isolates }: PacedPlan, stage: Stage, windows: number, seed: number): Promise<Cost> {
  const server = await serveCounted(isolates, stage);
  const agent = new Agent({ keepAlive: true });
  const random = seeded(seed);
  const ask = () => send(`${server.urlOf(`isolate-${Math.floor(random() * isolates)}`)}/paced`, agent);
  try {
    await arrive(rps * FASTER, PACED_WINDOW_SECONDS * 1_000, random, ask);
    const before = await countsOf(server);
    const requests = await arrive(rps * FASTER, windows * PACED_WINDOW_SECONDS * 1_000, random, ask);
    return costBetween(before, await countsOf(server), requests);
  } finally {
    agent.destroy();
    await server.stop();
  }
}

/** Poisson arrivals for `ms`. @returns how many came, once all are answered. */
async function arrive(perSecond: number, ms: number, random: () => number, ask: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  const asked: Promise<void>[] = [];
  for (let atMs = nextArrivalMs(perSecond, random); atMs < ms; atMs += nextArrivalMs(perSecond, random)) {
    const waitMs = startMs + atMs - performance.now();
    if (waitMs > 1) await sleep(waitMs);
    asked.push(ask());
  }
  await Promise.all(asked);
  return asked.length;
}

function send(url: string, agent: Agent): Promise<void> {
  return new Promise((settle, fail) => {
    const asked = request(url, { agent, headers: { "CF-Connecting-IP": CLIENT } }, (response) => {
      response.resume();
      response.once("end", settle);
    });
    asked.once("error", fail);
    asked.end();
  });
}
