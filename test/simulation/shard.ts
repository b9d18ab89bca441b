/**
 * A counter around `account.ts`, as `objects/counter.ts` is: it keeps the newest version it has seen, writes a row where
 * an answer changed something, and lets an answer that lends wait for its row. Its memory is a copy of its rows: an
 * eviction reloads them, a crash takes what was not written.
 */
import { type Account, closesAtMs, openAccount, serve } from "../../src/policy/account.ts";
import type { Belief } from "../../src/policy/holding.ts";
import type { Answer, Ask } from "../../src/policy/lease.ts";
import type { Agenda } from "./agenda.ts";
import type { Clock } from "./clock.ts";
import type { Truth } from "./truth.ts";

/** A limit, tier and window, and how new they are. */
export interface Version extends Belief {
  readonly number: number;
}

/** What an isolate asks about one client. */
export interface Message {
  readonly isolate: string;
  readonly client: string;
  readonly version: Version;
  readonly ask: Ask;
}

/** The way back. */
export type Reply = (answer: Answer | null) => void;

export interface Shard {
  readonly receive: (message: Message, reply: Reply) => void;
  readonly evict: () => void;
  /** Drops what has expired, rows too. */
  readonly sweep: () => void;
  readonly crash: () => void;
  readonly accountOf: (client: string) => Account | undefined;
  readonly version: () => Version | null;
  readonly tally: () => { readonly calls: number; readonly rows: number };
}

export interface ShardSettings {
  readonly agenda: Agenda;
  readonly clock: Clock;
  /** How long the next write takes; null: nothing is ever under way. */
  readonly writeMs: (() => number) | null;
  readonly truthOf: (client: string) => Truth | null;
}

/** A row on its way to the disk. */
interface Write {
  readonly message: Message;
  /** Sends the answer that waits for it; null: it did not wait. */
  readonly answer: (() => void) | null;
}

export function createShard({ agenda, clock, writeMs, truthOf }: ShardSettings): Shard {
  let accounts = new Map<string, Account>();
  const rows = new Map<string, Account>();
  let version: Version | null = null;
  let writtenVersion: Version | null = null;
  let writtenByMs = 0;
  const underWay = new Set<Write>();
  let calls = 0;
  let rowsWritten = 0;

  function learn(told: Version): Version {
    if (version === null || told.number > version.number) version = told;
    return version;
  }

  function receive(message: Message, reply: Reply): void {
    const { isolate, client, version: told, ask } = message;
    calls++;
    const clockMs = clock.read(agenda.nowMs());
    const inForce = learn(told);
    const known = accounts.get(client);
    const before = known ?? openAccount(inForce.windowMs, clockMs);
    const served = serve(before, isolate, ask, inForce, clockMs);
    truthOf(client)?.served({ isolate, ask, told, inForce, before, served, clockMs, trueMs: agenda.nowMs() });
    const { account, answer, changed } = served;
    if (changed || known !== undefined) accounts.set(client, account);
    else truthOf(client)?.reloaded();
    if (changed) rowsWritten++;
    const mustWait = answer !== null && answer.lent > 0;
    if (writeMs === null) {
      if (changed) rows.set(client, account);
      writtenVersion = version;
      reply(answer);
    } else if (changed) {
      write(message, account, mustWait ? () => reply(answer) : null);
      if (!mustWait) reply(answer);
    } else reply(answer);
  }

  /** Rows are written one after the other. */
  function write(message: Message, account: Account, answer: (() => void) | null): void {
    const atMs = Math.max(writtenByMs, agenda.nowMs() + (writeMs?.() ?? 0));
    writtenByMs = atMs;
    const write: Write = { message, answer };
    const versionThen = version;
    underWay.add(write);
    agenda.at(atMs, () => {
      if (!underWay.delete(write)) return;
      rows.set(message.client, account);
      writtenVersion = versionThen;
      answer?.();
    });
  }

  function reload(): void {
    for (const client of accounts.keys()) truthOf(client)?.reloaded();
    accounts = new Map(rows);
    version = writtenVersion;
    sweep();
  }

  function sweep(): void {
    const clockMs = clock.read(agenda.nowMs());
    for (const [client, account] of accounts) {
      if (closesAtMs(account) > clockMs) continue;
      accounts.delete(client);
      rows.delete(client);
      truthOf(client)?.swept(clockMs);
    }
  }

  function crash(): void {
    for (const { message, answer } of underWay)
      truthOf(message.client)?.lost(message.isolate, message.ask.call, answer === null);
    underWay.clear();
    reload();
  }

  return {
    receive,
    evict: reload,
    sweep,
    crash,
    accountOf: (client) => accounts.get(client),
    version: () => version,
    tally: () => ({ calls, rows: rowsWritten }),
  };
}
