/**
 * The counters of a crowd: accounts in memory, and a count of what they were asked and would have written.
 */
import { type Account, closesAtMs, type InForce, openAccount, serve } from "../../src/policy/account.ts";
import type { Answer, Ask } from "../../src/policy/lease.ts";
import type { Watch } from "./watch.ts";

/** What an isolate asks about one client. */
export interface CrowdAsk {
  readonly client: number;
  readonly ask: Ask;
}

/** What counting cost; by client, by rank. */
export interface CrowdCounts {
  /** Times it was asked about a client. */
  readonly asks: Uint32Array;
  /** Those that changed the client's account. */
  readonly changes: Uint32Array;
  /** Rows written: one for each batch that changed anything. */
  readonly rows: number;
}

/** All counters of a crowd as one: clients have nothing in common but the batch they come in. */
export interface CrowdCounter {
  readonly answer: (isolate: number, batch: readonly CrowdAsk[], nowMs: number) => readonly (Answer | null)[];
  /** Drops accounts that have closed. */
  readonly sweep: (nowMs: number) => void;
  readonly counts: () => CrowdCounts;
  readonly reset: () => void;
}

export function createCrowdCounter(clients: number, inForce: InForce, watch: Watch): CrowdCounter {
  const accounts = new Map<number, Account>();
  const asks = new Uint32Array(clients);
  const changes = new Uint32Array(clients);
  let rows = 0;

  return {
    answer(isolate, batch, nowMs) {
      let isChanged = false;
      const answers = batch.map(({ client, ask }) => {
        const known = accounts.get(client) ?? openAccount(inForce.windowMs, nowMs);
        const { account, answer, changed } = serve(known, String(isolate), ask, inForce, nowMs);
        accounts.set(client, account);
        asks[client] = (asks[client] ?? 0) + 1;
        if (changed) changes[client] = (changes[client] ?? 0) + 1;
        isChanged ||= changed;
        const granted = answer?.granted.filter((is) => is).length ?? 0;
        if (granted > 0) watch.admitted(client, account.window.newestMs, granted);
        return answer;
      });
      if (isChanged) rows++;
      return answers;
    },
    sweep(nowMs) {
      for (const [client, account] of accounts) if (closesAtMs(account) <= nowMs) accounts.delete(client);
    },
    counts: () => ({ asks, changes, rows }),
    reset() {
      asks.fill(0);
      changes.fill(0);
      rows = 0;
    },
  };
}
