import { describe, expect, it } from "vitest";
import { addAt, copyOf, deal, fillFrom, newRing, openSlot, sumOf, valueAt } from "../../src/policy/ring.ts";

function ringWith(...slots: readonly (readonly [slot: number, units: number])[]) {
  const ring = newRing(10, 2);
  for (const [slot, units] of slots) addAt(ring, openSlot(ring, slot, slot), 0, units);
  return ring;
}

describe("a ring", () => {
  it("adds up what comes into one slot, column by column", () => {
    const ring = ringWith([5, 2], [5, 3]);
    addAt(ring, openSlot(ring, 5, 5), 1, 7);
    expect([valueAt(ring, 0, 5), valueAt(ring, 1, 5), sumOf(ring, 0, 0, 9)]).toEqual([5, 7, 5]);
  });

  it("reads nothing old as new when a slot's turn comes again", () => {
    const ring = ringWith([5, 2], [15, 3]);
    expect([valueAt(ring, 0, 5), valueAt(ring, 0, 15)]).toEqual([0, 3]);
  });

  it("takes nothing for a slot that has been reused, or that lies further back than it holds", () => {
    const ring = ringWith([15, 3]);
    expect(openSlot(ring, 5, 15)).toBe(-1);
    expect(openSlot(ring, 4, 15)).toBe(-1);
    expect(openSlot(ring, 6, 15)).toBeGreaterThanOrEqual(0);
  });

  it("takes nothing for the future", () => {
    expect(openSlot(newRing(10, 2), 16, 15)).toBe(-1);
  });

  it("overwrites what a clock that ran ahead has written", () => {
    const ring = ringWith([115, 3]);
    addAt(ring, openSlot(ring, 25, 25), 0, 4);
    expect([valueAt(ring, 0, 25), valueAt(ring, 0, 115)]).toEqual([4, 0]);
  });

  it("sums both ends, and no further back than it holds", () => {
    const ring = ringWith(...Array.from({ length: 10 }, (_, slot) => [slot, 1] as const));
    expect([sumOf(ring, 0, 2, 4), sumOf(ring, 0, -50, 9), sumOf(ring, 0, 0, 12)]).toEqual([3, 10, 7]);
  });

  it("comes back from a copy, also one with fewer columns", () => {
    const ring = ringWith([8, 2], [9, 3]);
    const again = newRing(10, 2);
    fillFrom(again, copyOf(ring, 9), 9);
    fillFrom(again, [[8, 5]], 9);
    expect([valueAt(again, 0, 8), valueAt(again, 0, 9)]).toEqual([5, 3]);
  });

  it.each([
    { name: "in one slot", from: 4.2, to: 4.7, units: [0, 0, 0, 0, 10, 0, 0] },
    { name: "at one moment", from: 4, to: 4, units: [0, 0, 0, 0, 10, 0, 0] },
    { name: "evenly", from: 1, to: 6, units: [0, 2, 2, 2, 2, 2, 0] },
    { name: "by the share of each slot", from: 1.5, to: 4, units: [0, 2, 4, 4, 0, 0, 0] },
  ])("deals out $name", ({ from, to, units }) => {
    const ring = newRing(10, 2);
    deal(ring, [10], { from, to, newest: 6 });
    expect(units.map((_, slot) => valueAt(ring, 0, slot))).toEqual(units);
  });
});
