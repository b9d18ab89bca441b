/**
 * Counts by slot of time, for the last so many slots and no more.
 *
 * Memory is fixed when the ring is made. A slot is reused when its turn comes round; its stamp says which stretch of
 * time it holds, so that what is old is never read as new, whatever happened in between. What a clock that ran ahead has
 * written is overwritten as soon as the clock is right again. Price: what is older than the ring is not kept.
 *
 * Functions change the ring they are given: this is every flush's path.
 */

/** Counts of `width` columns in each of `slots` slots. */
export interface Ring {
  readonly slots: number;
  readonly width: number;
  /** Number of the slot of time that each place holds; -1 for none. */
  readonly stamps: Float64Array;
  /** `width` numbers for each place; exact up to 2^53. */
  readonly values: Float64Array;
}

/** The slots of a ring that hold anything, for storage: number of the slot, then its columns. */
export type RingCopy = readonly (readonly number[])[];

/** A ring that holds nothing. */
export function newRing(slots: number, width: number): Ring {
  return { slots, width, stamps: new Float64Array(slots).fill(-1), values: new Float64Array(slots * width) };
}

/**
 * Where the columns of a slot begin in `values`, ready to be added to; -1 where the ring has moved on past that slot.
 *
 * @param slot number of the slot, >= 0.
 * @param newest number of the present slot: a stamp beyond it is from a clock that was wrong.
 */
export function openSlot(ring: Ring, slot: number, newest: number): number {
  const place = slot % ring.slots;
  const stamp = ring.stamps[place] ?? -1;
  const offset = place * ring.width;
  if (stamp === slot) return offset;
  if (slot > newest || slot <= newest - ring.slots || (stamp > slot && stamp <= newest)) return -1;
  ring.stamps[place] = slot;
  ring.values.fill(0, offset, offset + ring.width);
  return offset;
}

/** Adds to one column of a slot; beyond the ring nothing is added. */
export function addAt(ring: Ring, offset: number, column: number, units: number): void {
  if (offset >= 0) ring.values[offset + column] = (ring.values[offset + column] ?? 0) + units;
}

/** A stretch of time in slots: from the start of the first to the end of the last, which may lie within theirs. */
export interface Stretch {
  /** In slots, with fractions; `from <= to`. */
  readonly from: number;
  readonly to: number;
  /** Number of the present slot. */
  readonly newest: number;
}

/**
 * Deals whole units over the slots of a stretch, evenly in time; the last slot gets what is left.
 *
 * @param units one number for each column from the first on; fewer than the ring has leave the others alone.
 */
export function deal(ring: Ring, units: readonly number[], { from, to, newest }: Stretch): void {
  const last = Math.floor(to);
  const first = Math.max(Math.floor(from), last - SLOTS_DEALT_MAX);
  const whole = to > from ? to - from : 1;
  for (let slot = first; slot <= last; slot++) {
    // Of the whole, by the start and by the end of this slot.
    const before = slot === first ? 0 : slot - from;
    const after = slot === last ? whole : slot + 1 - from;
    const offset = openSlot(ring, slot, newest);
    if (offset < 0) continue;
    for (let column = 0; column < units.length; column++) {
      const all = units[column] ?? 0;
      if (all > 0) addAt(ring, offset, column, Math.floor((all * after) / whole) - Math.floor((all * before) / whole));
    }
  }
}

/** More slots than any ring has: what is older falls out anyway. */
const SLOTS_DEALT_MAX = 1_000;

/** The sum of a column over the slots `from` to `to`, both included. */
export function sumOf({ slots, width, stamps, values }: Ring, column: number, from: number, to: number): number {
  const first = Math.max(0, from, to - slots + 1);
  let sum = 0;
  let place = first % slots;
  for (let slot = first; slot <= to; slot++) {
    if (stamps[place] === slot) sum += values[place * width + column] ?? 0;
    place = place + 1 === slots ? 0 : place + 1;
  }
  return sum;
}

/** A column of one slot; 0 where nothing was counted, or it is no longer held. */
export function valueAt(ring: Ring, column: number, slot: number): number {
  const place = slot % ring.slots;
  return ring.stamps[place] === slot ? (ring.values[place * ring.width + column] ?? 0) : 0;
}

/** What the ring holds of the slots from `from` on. */
export function copyOf(ring: Ring, from: number): RingCopy {
  const copy: number[][] = [];
  for (let place = 0; place < ring.slots; place++) {
    const stamp = ring.stamps[place] ?? -1;
    if (stamp < from || stamp < 0) continue;
    copy.push([stamp, ...ring.values.subarray(place * ring.width, (place + 1) * ring.width)]);
  }
  return copy;
}

/** Fills a ring from a copy, which may have fewer or more columns. */
export function fillFrom(ring: Ring, copy: RingCopy, newest: number): void {
  for (const [slot = -1, ...columns] of copy) {
    const offset = slot < 0 ? -1 : openSlot(ring, slot, newest);
    for (let column = 0; column < Math.min(columns.length, ring.width); column++)
      addAt(ring, offset, column, columns[column] ?? 0);
  }
}
