/**
 * A map with a bound, in two generations: when the young one is full it becomes the old one, and what the old one held
 * is dropped unless it was used since. Dropping the oldest key one by one through the map's own iterator costs forty
 * times as much, and clearing at the bound lets a flood of new keys wipe out everyone.
 */
export interface BoundedMap<V> {
  readonly get: (key: string) => V | undefined;
  readonly set: (key: string, value: V) => void;
}

/** A map that keeps at least the last `size` keys used and at most twice as many. */
export function createBoundedMap<V>(size: number): BoundedMap<V> {
  let young = new Map<string, V>();
  let old = new Map<string, V>();

  function set(key: string, value: V): void {
    if (young.size >= size && !young.has(key)) {
      old = young;
      young = new Map();
    }
    young.set(key, value);
  }

  function get(key: string): V | undefined {
    const value = young.get(key);
    if (value !== undefined) return value;
    const aged = old.get(key);
    if (aged !== undefined) set(key, aged);
    return aged;
  }

  return { get, set };
}
