/**
 * Limits times offered loads, on a fleet of eight isolates: is the limit ever passed, and is it nearly reached?
 *
 * A row is a few clients alike, under a profile of its own; rows that run together share isolates and counters like any
 * clients do. Windows are seconds instead of a minute, which makes it harder: a round trip is a larger part of a slice.
 */
import { type Arrival, arrivalsOf, type Stream } from "./arrivals.ts";
import { type Account, accountKey, type Books, balance } from "./books.ts";
import { profileOf, startFleet } from "./fleet.ts";
import { admittedByLog, worstStretch } from "./judge.ts";
import { offer, type Sent } from "./offer.ts";

/** Clients under one limit. */
export interface Row {
  readonly limit: number;
  /** Offered by each client, in units of the limit. */
  readonly load: number;
  readonly windowMs: number;
  readonly clients: number;
}

/** What became of a row: of all its clients together, but for `worstShare`. */
export interface Outcome extends Row {
  readonly offered: number;
  readonly admitted: number;
  /** Requests that got neither an admission nor a refusal by the limit. */
  readonly lost: number;
  /** Units that the truth knows of: as many as were admitted, if none came from anywhere else. */
  readonly units: number;
  /** The largest share of its limit that any client had in any stretch of a window. */
  readonly worstShare: number;
  /** Of what an exact sliding log admits on the same arrivals. */
  readonly efficiency: number;
  /** Times a counter was asked, per 1,000 requests. */
  readonly asksPer1000: number;
  /** Until the end of a response, ms. */
  readonly tripMs: Spread;
  /** How late requests were sent, ms. */
  readonly lateMs: Spread;
  /** Whether the machine carried what the row offers. If not, the row shows nothing of how much is admitted. */
  readonly valid: boolean;
}

/** How something is spread over requests. */
export interface Spread {
  readonly median: number;
  readonly p99: number;
}

/** What rows that ran together came to. */
export interface Run {
  readonly outcomes: readonly Outcome[];
  readonly books: Books;
}

/** Isolates of the fleet. */
export const ISOLATES = 8;
/** Windows that each client offers its load. */
export const WINDOWS = 5;
/** A row that a machine does not carry twice, it does not carry. */
export const TRIES = 2;
const ADMITTED = 200;
const REFUSED = 429;
/** As in `policy/window.ts`: what happens within a slice is one moment to a counter. */
const SLICES_PER_WINDOW = 60;

interface Member {
  readonly row: number;
  readonly profile: string;
  readonly client: string;
  readonly stream: Stream;
}

/** Runs rows at the same time, in one fleet. The same seed makes the same arrivals. */
async function runRows(rows: readonly Row[], seed: number): Promise<Run> {
  const members = rows.flatMap(membersOf);
  const profiles = Object.fromEntries(
    rows.map(({ limit, windowMs }, row) => [profileName(row), profileOf(`/${profileName(row)}`, limit, windowMs)]),
  );
  const fleet = await startFleet({ isolates: ISOLATES, documents: { profiles } });
  try {
    const streams = members.map(({ stream }) => stream);
    const sent = await offer(arrivalsIn(rows, members, seed), streams, fleet.ports).done;
    const { isolates, counters } = await fleet.truth();
    const books = balance(isolates, counters);
    const byStream = Map.groupBy(sent, ({ stream }) => stream);
    const outcomes = rows.map((row, number) => {
      const own = members.flatMap((member, stream) => (member.row === number ? [{ member, stream }] : []));
      return outcomeOf(
        row,
        own.map(({ member, stream }) => ({
          sent: byStream.get(stream) ?? [],
          account: books.accounts.get(accountKey(member.profile, member.client)) ?? { units: [], asks: 0 },
        })),
      );
    });
    return { outcomes, books };
  } finally {
    await fleet.stop();
  }
}

/**
 * Runs rows until the machine has carried them all, at most `tries` times: it may be busy with other things.
 *
 * @returns all runs. What was admitted too much counts in each; how much was admitted, only in the last.
 */
export async function runUntilCarried(
  rows: readonly Row[],
  seed: number,
  tries: number = TRIES,
): Promise<readonly Run[]> {
  const runs: Run[] = [];
  let isCarried = false;
  while (!isCarried && runs.length < tries) {
    const run = await runRows(rows, seed);
    runs.push(run);
    isCarried = run.outcomes.every(({ valid }) => valid);
  }
  return runs;
}

function membersOf({ limit, load, windowMs, clients }: Row, row: number): Member[] {
  return Array.from({ length: clients }, (_, i) => {
    const client = `10.0.${row}.${i}`;
    const perSecond = (limit * load * 1000) / windowMs;
    return { row, profile: profileName(row), client, stream: { path: `/${profileName(row)}`, client, perSecond } };
  });
}

function profileName(row: number): string {
  return `row-${row}`;
}

/** Each row ends after its own windows. */
function arrivalsIn(rows: readonly Row[], members: readonly Member[], seed: number): Arrival[] {
  const lastsMs = rows.map(({ windowMs }) => windowMs * WINDOWS);
  const streams = members.map(({ stream }) => stream);
  const isWithin = ({ atMs, stream }: Arrival): boolean => atMs < (lastsMs[members[stream]?.row ?? 0] ?? 0);
  return arrivalsOf(streams, ISOLATES, Math.max(...lastsMs), seed).filter(isWithin);
}

/** One client of a row. */
interface Seen {
  readonly sent: readonly Sent[];
  readonly account: Account;
}

function outcomeOf(row: Row, clients: readonly Seen[]): Outcome {
  const { limit, windowMs } = row;
  const sent = clients.flatMap((client) => client.sent);
  const count = (status: number): number => sent.filter((one) => one.status === status).length;
  const exact = clients.map((client) =>
    admittedByLog(
      client.sent.map(({ sentMs }) => sentMs),
      limit,
      windowMs,
    ),
  );
  const admitted = count(ADMITTED);
  const lost = sent.length - admitted - count(REFUSED);
  const lateMs = spreadOf(sent.map((one) => one.lateMs));
  const tripMs = spreadOf(sent.map((one) => one.answeredMs - one.sentMs));
  const sliceMs = windowMs / SLICES_PER_WINDOW;
  return {
    ...row,
    offered: sent.length,
    admitted,
    lost,
    units: sumOf(clients.map(({ account }) => account.units.length)),
    worstShare: Math.max(...clients.map(({ account }) => worstStretch(account.units, windowMs).share)),
    efficiency: admitted / sumOf(exact),
    asksPer1000: (1000 * sumOf(clients.map(({ account }) => account.asks))) / sent.length,
    tripMs,
    lateMs,
    valid: lost === 0 && lateMs.p99 <= sliceMs && tripMs.p99 <= sliceMs,
  };
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function spreadOf(values: readonly number[]): Spread {
  const rising = values.toSorted((a, b) => a - b);
  const at = (share: number): number => rising[Math.max(0, Math.ceil(share * rising.length) - 1)] ?? 0;
  return { median: at(0.5), p99: at(0.99) };
}
