/**
 * The logs of a fleet brought together: which client's units were given out when, and whether the books balance.
 */
import type { Unit } from "./judge.ts";
import type { Grant, Truth } from "./workers/truth.ts";

/** What was given out to one client under one profile. */
export interface Account {
  readonly units: readonly Unit[];
  /** Times that a counter was asked about it. */
  readonly asks: number;
}

/** All that a fleet has noted. */
export interface Books {
  /** By profile and client, `accountKey`. */
  readonly accounts: ReadonlyMap<string, Account>;
  /** Batches sent to counters. */
  readonly calls: number;
  /** Rows that counters wrote. */
  readonly rows: number;
  /** Times a counter was made or loaded. */
  readonly loads: number;
  /** Longest that a lease was spent after the moment the isolate judged it by, ms. */
  readonly lateUseMs: number;
  /** Leases spent that no counter has granted: bugs of the fleet or worse. */
  readonly unfounded: number;
}

/** The key of an account. */
export function accountKey(profile: string, client: string): string {
  return `${profile} ${client}`;
}

/** Lays the logs of isolates beside those of their counters. Counters must have been read last, or no log be growing. */
export function balance(isolates: readonly Truth[], counters: Truth): Books {
  const accounts = new Map<string, { units: Unit[]; asks: number }>();
  const clients = new Map<string, string>();
  const grants = new Map<string, Granted>();
  for (const { isolate, call, profile, client } of counters.asked) {
    const key = accountKey(profile, client);
    clients.set(`${isolate} ${call}`, key);
    const account = accounts.get(key);
    if (account === undefined) accounts.set(key, { units: [], asks: 1 });
    else account.asks++;
  }
  for (const [grant, noted] of counters.grants.entries()) {
    const id = `${noted.isolate} ${noted.call}`;
    grants.set(id, { ...noted, grant });
    const units = accounts.get(clients.get(id) ?? "")?.units;
    for (let i = 0; i < noted.granted; i++) units?.push({ atMs: noted.atMs, grant, limit: noted.limit });
  }
  let unfounded = 0;
  let lateUseMs = 0;
  for (const { isolate, uses } of isolates)
    for (const { call, atMs, judgedMs } of uses) {
      const id = `${isolate} ${call}`;
      const grant = grants.get(id);
      const units = accounts.get(clients.get(id) ?? "")?.units;
      lateUseMs = Math.max(lateUseMs, atMs - judgedMs);
      if (grant === undefined || units === undefined) unfounded++;
      else units.push({ atMs, grant: grant.grant, limit: grant.limit });
    }
  const calls = isolates.reduce((sum, isolate) => sum + isolate.calls, 0);
  return { accounts, calls, rows: counters.rows, loads: counters.loads.length, lateUseMs, unfounded };
}

interface Granted extends Grant {
  readonly grant: number;
}
