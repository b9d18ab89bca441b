/**
 * KV as it behaves far from its writer: what was written shows after a delay, one write a second for each key, and at
 * times nothing at all.
 */

/** A store on a moved clock. */
export interface Store {
  isDown: boolean;
  readonly delayMs: number;
  readonly writes: Map<string, Write[]>;
}

interface Write {
  readonly atMs: number;
  /** null: deleted. */
  readonly text: string | null;
}

const WRITE_EVERY_MS = 1_000;

/** An empty store. */
export function newStore(delayMs: number): Store {
  return { isDown: false, delayMs, writes: new Map() };
}

/** Writes a key, or deletes it. @returns whether the store took it. */
export function write(store: Store, key: string, text: string | null, nowMs: number): boolean {
  const writes = store.writes.get(key) ?? [];
  const last = writes[writes.length - 1];
  if (store.isDown || (last !== undefined && nowMs - last.atMs < WRITE_EVERY_MS)) return false;
  // Everybody sees by now what was written a delay ago; what came before can go.
  const seen = writes.findLastIndex(({ atMs }) => atMs + store.delayMs <= nowMs);
  store.writes.set(key, [...writes.slice(Math.max(0, seen)), { atMs: nowMs, text }]);
  return true;
}

/** What a reader sees under a key: null where there is nothing, undefined where the store does not answer. */
export function read(store: Store, key: string, nowMs: number): string | null | undefined {
  if (store.isDown) return undefined;
  const writes = store.writes.get(key) ?? [];
  return writes.findLast(({ atMs }) => atMs + store.delayMs <= nowMs)?.text ?? null;
}
