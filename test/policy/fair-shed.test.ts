import { describe, expect, it } from "vitest";
import { seeded } from "../../bench/simulate/chance.ts";
import { newFairShed, sheds } from "../../src/policy/fair-shed.ts";

const T = 1_764_000_000_000;

/** Clients that ask so many times a second each, for so many seconds. @returns the share passed of each group. */
function crowd(
  groups: readonly { readonly count: number; readonly perSecond: number }[],
  share: number,
  seconds: number,
) {
  const state = newFairShed(7);
  const random = seeded(5);
  const offered = groups.map(() => 0);
  const passed = groups.map(() => 0);
  const rate = groups.reduce((sum, { count, perSecond }) => sum + count * perSecond, 0);
  for (let n = 0; n < rate * seconds; n++) {
    const group = groupAt(groups, random() * rate);
    const client = `${group}-${Math.floor(random() * (groups[group]?.count ?? 1))}`;
    const atMs = T + (n / rate) * 1_000;
    const isShed = sheds(state, "default", client, share, random(), atMs);
    // The first seconds tell clients apart.
    if (atMs < T + (seconds * 1_000) / 3) continue;
    offered[group] = (offered[group] ?? 0) + 1;
    if (!isShed) passed[group] = (passed[group] ?? 0) + 1;
  }
  const shares = groups.map((_, group) => (passed[group] ?? 0) / (offered[group] ?? 1));
  const total = passed.reduce((a, b) => a + b, 0) / offered.reduce((a, b) => a + b, 0);
  return { shares, total };
}

function groupAt(groups: readonly { readonly count: number; readonly perSecond: number }[], at: number): number {
  let upTo = 0;
  for (const [group, { count, perSecond }] of groups.entries()) {
    upTo += count * perSecond;
    if (at < upTo) return group;
  }
  return groups.length - 1;
}

describe("sheds", () => {
  it("sheds nobody at share 0 and remembers nothing", () => {
    const state = newFairShed(1);
    expect(sheds(state, "default", "a", 0, 0, T)).toBe(false);
    expect(state.profiles.size).toBe(0);
  });

  it("sheds everybody at share 1", () => {
    expect(sheds(newFairShed(1), "default", "a", 1, 0, T)).toBe(true);
  });

  it.each([0.2, 0.5, 0.9, 0.998])("sheds the share it is told of equal clients, %d", (share) => {
    const { total } = crowd([{ count: 1_000, perSecond: 1 }], share, 120);
    expect(total / (1 - share)).toBeGreaterThan(0.9);
    expect(total / (1 - share)).toBeLessThan(1.1);
  });

  it("sheds that share from ten seconds on, though every count still grows", () => {
    const state = newFairShed(7);
    const random = seeded(9);
    const passed = [0, 0, 0, 0];
    for (let n = 0; n < 40_000; n++) {
      const client = `c${Math.floor(random() * 1_000)}`;
      const stretch = Math.floor(n / 10_000);
      if (!sheds(state, "default", client, 0.9, random(), T + n)) passed[stretch] = (passed[stretch] ?? 0) + 1;
    }
    for (const count of passed.slice(1)) expect(Math.abs(count / 1_000 - 1)).toBeLessThan(0.1);
  });

  it("passes a client under its fair share, and brings the greedy down to it", () => {
    const { shares, total } = crowd(
      [
        { count: 100, perSecond: 0.2 },
        { count: 5, perSecond: 40 },
      ],
      0.6,
      120,
    );
    expect(total).toBeGreaterThan(0.37);
    expect(total).toBeLessThan(0.43);
    expect(shares[0]).toBeGreaterThan(0.97);
    expect(shares[1]).toBeLessThan(0.4);
  });

  it("finds one greedy client among thousands", () => {
    const { shares } = crowd(
      [
        { count: 3_000, perSecond: 0.1 },
        { count: 1, perSecond: 300 },
      ],
      0.4,
      60,
    );
    expect(shares[0]).toBeGreaterThan(0.95);
    expect(shares[1]).toBeLessThan(0.3);
  });

  it("keeps profiles apart", () => {
    const state = newFairShed(3);
    for (let i = 0; i < 1_000; i++) {
      sheds(state, "default", "greedy", 0.9, 0.5, T + i * 10);
      sheds(state, "default", `calm-${i}`, 0.9, 0.5, T + i * 10);
    }
    expect(sheds(state, "billing", "greedy", 0.5, 0.4, T + 10_000)).toBe(false);
  });

  it("forgives with time", () => {
    const state = newFairShed(3);
    let shedAt = 0;
    for (let i = 0; i < 2_000; i++) sheds(state, "default", "greedy", 0.5, 0.5, T + i);
    for (let second = 0; second < 300; second++) {
      for (let i = 0; i < 10; i++) sheds(state, "default", `calm-${i}`, 0.3, 0.5, T + 2_000 + second * 1_000);
      if (second % 10 === 0 && sheds(state, "default", "greedy", 0.3, 0.5, T + 2_000 + second * 1_000)) shedAt = second;
    }
    expect(shedAt).toBeGreaterThan(10);
    expect(shedAt).toBeLessThan(150);
  });

  it("starts anew after a long pause, and goes on after a clock that stepped back", () => {
    const state = newFairShed(3);
    for (let i = 0; i < 100; i++) sheds(state, "default", "a", 0.5, 0.9, T + i);
    sheds(state, "default", "b", 0.5, 0.9, T + 3_600_000);
    expect(Math.max(...state.counts)).toBe(1);
    expect(() => sheds(state, "default", "b", 0.5, 0.9, T)).not.toThrow();
    expect(Math.max(...state.counts)).toBeLessThan(3);
  });

  it("has a bound, whoever calls", () => {
    const state = newFairShed(3);
    for (let i = 0; i < 50_000; i++) sheds(state, `p${i % 1_000}`, `c${i}`, 0.5, 0.9, T + i);
    expect(state.counts.length).toBe(16_384);
    expect(state.profiles.size).toBeLessThanOrEqual(128);
  });

  it("cannot be aimed at: another salt, other neighbours", () => {
    const places = (salt: number) => {
      const state = newFairShed(salt);
      sheds(state, "default", "a", 0.5, 0.9, T);
      return [...state.counts].flatMap((count, place) => (count > 0 ? [place] : []));
    };
    expect(places(1)).not.toEqual(places(2));
  });
});
