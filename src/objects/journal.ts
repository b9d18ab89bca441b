/**
 * The rows in which a shard keeps its accounts: one row for each call, however many clients the call changed.
 *
 * A row holds the accounts that one call changed, under a slot number. A slot is free once every account in it has a
 * newer copy elsewhere or has expired, and is then written over: nothing is deleted one by one, since deleting a row
 * costs what writing it does. A client that comes alone is written over in place. On loading, the newest copy of each
 * account counts, by the number of its writing.
 *
 * The price: all live accounts must be in memory to know which slots are free, so their number is bounded (by the shard,
 * which refuses a further client), and a row may carry copies that are no longer needed, for a window at most.
 */
import { type Account, closesAtMs } from "../policy/account.ts";

interface Row {
  /** Rising with every write. */
  readonly number: number;
  readonly accounts: readonly (readonly [key: string, account: Account])[];
}

interface Live {
  account: Account;
  /** The slot of its newest stored copy; null while there is none. */
  slot: number | null;
}

/** The accounts of a shard, in memory and in rows. */
export interface Journal {
  readonly get: (key: string) => Account | undefined;
  /** Changes an account in memory alone: what a row need not know. */
  readonly set: (key: string, account: Account) => void;
  /** Writes the accounts of `keys`, as they stand, in one row. Resolves when it is safe. */
  readonly write: (keys: readonly string[], allowUnconfirmed: boolean) => Promise<void>;
  /** Forgets accounts that are closed at `nowMs`. @returns the moment the next one closes; null if none is left. */
  readonly sweep: (nowMs: number) => number | null;
  readonly size: () => number;
}

const ROW = "row:";

/** The journal in `storage`, with what is live of it loaded. */
export function openJournal(storage: DurableObjectStorage, nowMs: number): Journal {
  const live = new Map<string, Live>();
  /** Accounts whose newest copy is in each slot. */
  const residents: number[] = [];
  /** Slots in which nobody lives. */
  const free: number[] = [];
  let number = 0;

  function load(): void {
    const rows = [...storage.kv.list<Row>({ prefix: ROW })].map(([key, row]) => ({
      slot: Number(key.slice(ROW.length)),
      row,
    }));
    rows.sort((a, b) => a.row.number - b.row.number);
    for (const { slot, row } of rows) {
      number = Math.max(number, row.number);
      for (const [key, account] of row.accounts) settleIn(key, account, slot);
    }
    sweep(nowMs);
  }

  function settleIn(key: string, account: Account, slot: number): void {
    const known = live.get(key);
    if (known === undefined) live.set(key, { account, slot });
    else {
      moveOut(known);
      known.account = account;
      known.slot = slot;
    }
    residents[slot] = (residents[slot] ?? 0) + 1;
  }

  function moveOut({ slot }: Live): void {
    if (slot === null) return;
    residents[slot] = (residents[slot] ?? 1) - 1;
    if (residents[slot] === 0) free.push(slot);
  }

  function set(key: string, account: Account): void {
    const known = live.get(key);
    if (known === undefined) live.set(key, { account, slot: null });
    else known.account = account;
  }

  async function write(keys: readonly string[], allowUnconfirmed: boolean): Promise<void> {
    const moving = keys.flatMap((key) => {
      const entry = live.get(key);
      return entry === undefined ? [] : [{ key, entry }];
    });
    for (const { entry } of moving) {
      moveOut(entry);
      entry.slot = null;
    }
    const slot = free.pop() ?? residents.length;
    const row: Row = { number: ++number, accounts: moving.map(({ key, entry }) => [key, entry.account]) };
    for (const { key, entry } of moving) settleIn(key, entry.account, slot);
    await storage.put(`${ROW}${slot}`, row, { allowUnconfirmed });
  }

  function sweep(atMs: number): number | null {
    let nextMs: number | null = null;
    for (const [key, entry] of live) {
      const endsMs = closesAtMs(entry.account);
      if (endsMs > atMs) nextMs = Math.min(nextMs ?? endsMs, endsMs);
      else {
        moveOut(entry);
        live.delete(key);
      }
    }
    return nextMs;
  }

  load();
  return { get: (key) => live.get(key)?.account, set, write, sweep, size: () => live.size };
}
