import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Account, at, closesAtMs, openAccount, type Served, serve } from "../../src/policy/account.ts";
import type { Answer, Ask } from "../../src/policy/lease.ts";
import { usedOf, type Window } from "../../src/policy/window.ts";

/** A moment at which a slice of a minute begins. */
const T = 1_764_000_000_000;
const MINUTE = 60_000;
const HOUR = 3_600_000;
const LIFE = 5_000;
const MARGIN = 250;

/** A counter with one client: what it is told, in words. */
function counter(limit: number, windowMs = MINUTE) {
  const inForce = { limit, windowMs };
  let account: Account = openAccount(windowMs, T);
  let served: Served = { account, answer: null, changed: false };
  function tell(isolate: string, atMs: number, ask: Partial<Ask> & { readonly call: number }): Answer | null {
    served = serve(account, isolate, { costs: [], wish: 0, settle: null, ...ask }, inForce, T + atMs);
    account = served.account;
    return served.answer;
  }
  /** The same, where an answer must come. */
  function ask(isolate: string, atMs: number, told: Partial<Ask> & { readonly call: number }): Answer {
    const answer = tell(isolate, atMs, told);
    if (answer === null) throw new Error("expected an answer, got none");
    return answer;
  }
  return {
    tell,
    inForce,
    ask,
    account: () => account,
    changed: () => served.changed,
    holder: (isolate: string) => account.holders.find((holder) => holder.isolate === isolate),
    /** Units charged at a moment. */
    used: (atMs: number) => usedOf(at(account, inForce.windowMs, T + atMs).window),
    /** Units by the ms after T at which their slice ends. */
    ring: () => ringOf(account.window),
    evict: (row: Account) => {
      account = row;
    },
  };
}

function ringOf({ slices, windowMs }: Window): Record<number, number> {
  const sliceMs = Math.ceil(windowMs / 60);
  const ring: Record<number, number> = {};
  for (let i = 0; i < slices.length; i += 2) ring[((slices[i] ?? 0) + 1) * sliceMs - T] = slices[i + 1] ?? 0;
  return ring;
}

describe("serve, rule 1: now", () => {
  it.each([
    { name: "reads a clock that is back by 100 ms as the newest moment seen", backMs: 100, freeAtMs: 61_000 },
    { name: "reads a clock that is back by a window as the newest moment seen", backMs: MINUTE, freeAtMs: 61_000 },
  ])("$name", ({ backMs, freeAtMs }) => {
    const { ask, used } = counter(3);
    ask("a", 0, { call: 1, costs: [3] });
    expect(ask("a", -backMs, { call: 2, costs: [1] })).toMatchObject({
      granted: [false],
      retryAfterMs: freeAtMs + backMs,
    });
    expect([used(freeAtMs - 1), used(freeAtMs)]).toEqual([3, 0]);
  });

  it("follows a clock that is back by a window and a half, leases and all, by whole slices", () => {
    const { ask, holder, ring } = counter(10);
    ask("a", 0, { call: 1, costs: [1], wish: 4 });
    ask("b", -1.5 * MINUTE, { call: 1, costs: [1] });
    expect(holder("a")).toMatchObject({ grantedMs: T - 90_000, endMs: T - 90_000 + LIFE + MARGIN });
    expect(ring()).toEqual({ [-89_000]: 2, [-84_000]: 4 });
    expect(ask("a", -85_000, { call: 2, settle: { call: 1, uses: [1_000, 2] } }).remaining).toBe(10 - 4);
    expect(ring()).toEqual({ [-89_000]: 2, [-88_000]: 2 });
  });

  it("takes what it gave while a clock was an hour ahead for ten seconds back with the clock", () => {
    const { ask } = counter(5);
    expect(ask("a", 0, { call: 1, costs: [1, 1, 1, 1, 1] }).granted).toEqual(Array(5).fill(true));
    // An hour ahead all that is gone: the named exception. But it is not held against the client for an hour.
    expect(ask("a", HOUR + 5_000, { call: 2, costs: [1, 1, 1, 1, 1] }).granted).toEqual(Array(5).fill(true));
    expect(ask("a", 10_000, { call: 3, costs: [1] }).granted).toEqual([false]);
    expect(ask("a", 72_000, { call: 4, costs: [1] }).granted).toEqual([true]);
  });

  it("keeps the newest moment from call to call", () => {
    const { ask, account } = counter(5);
    ask("a", 2_000, { call: 1, costs: [1] });
    ask("b", 1_000, { call: 1, costs: [1] });
    expect(account().window.newestMs).toBe(T + 2_000);
    expect(closesAtMs(account())).toBe(T + 63_000);
  });
});

describe("serve, rule 2: a window that changes", () => {
  it("keeps a lease and its settlement in step through 60 s, 10 s and 60 s", () => {
    const { ask, inForce, used } = counter(10);
    ask("a", 0, { call: 1, costs: [1], wish: 3 });
    inForce.windowMs = 10_000;
    expect(ask("b", 1_000, { call: 1, costs: [1] }).remaining).toBe(10 - 5);
    inForce.windowMs = MINUTE;
    expect(ask("b", 2_000, { call: 2, costs: [1] }).remaining).toBe(10 - 6);
    expect(ask("a", 4_000, { call: 2, settle: { call: 1, uses: [3_000, 1] } }).remaining).toBe(10 - 4);
    expect([used(61_000), used(66_000)]).toEqual([4, 0]);
  });

  it("moves each slice to the new one that holds its last millisecond", () => {
    const { ask, inForce, used } = counter(10);
    ask("a", 0, { call: 1, costs: [1] });
    inForce.windowMs = 10_000;
    ask("b", 1_000, { call: 1, costs: [1] });
    expect([used(10_998), used(11_500)]).toEqual([2, 0]);
  });

  it("forgets what has left the old window before it judges by a longer one", () => {
    const { ask, inForce } = counter(10, 10_000);
    ask("a", 0, { call: 1, costs: [4] });
    inForce.windowMs = MINUTE;
    expect(ask("b", 12_000, { call: 1, costs: [1] }).remaining).toBe(9);
  });

  it("takes nobody's units back for a lease that has left the old window", () => {
    const { ask, inForce } = counter(30, 1_000);
    ask("a", 0, { call: 1, costs: [1], wish: 9 });
    inForce.windowMs = HOUR;
    expect(ask("b", 1_950, { call: 1, costs: [20] }).remaining).toBe(10);
    expect(ask("a", 1_960, { call: 2, settle: { call: 1, uses: [] } }).remaining).toBe(10);
  });

  it("dates a use by the margin of the window it was lent under", () => {
    const { ask, inForce, ring } = counter(10);
    ask("a", 0, { call: 1, costs: [1], wish: 3 });
    inForce.windowMs = 10_000;
    ask("b", 500, { call: 1, costs: [1] });
    ask("a", 6_000, { call: 2, settle: { call: 1, uses: [2_000, 3] } });
    // A clock that lost 249 ms in this lease noted 2,000 at true 2,249: a slice of the new window that ends before is a lie.
    const ends = Object.entries(ring()).flatMap(([endMs, units]) => (units === 3 ? Number(endMs) : []));
    expect(ends).toHaveLength(1);
    expect(ends[0]).toBeGreaterThanOrEqual(2_000 + MARGIN);
  });

  it("judges by a limit that falls and rises at once, and leaves used what is used", () => {
    const { ask, inForce } = counter(10);
    ask("a", 0, { call: 1, costs: [1, 1, 1, 1] });
    inForce.limit = 3;
    expect(ask("b", 10, { call: 1, costs: [1] })).toMatchObject({ granted: [false], remaining: 0, limit: 3 });
    inForce.limit = 6;
    expect(ask("b", 20, { call: 2, costs: [1] })).toMatchObject({ granted: [true], remaining: 1, limit: 6 });
  });
});

describe("serve, rules 4 and 5: numbers and settlements", () => {
  it("repeats the answer to a repeated call and changes nothing", () => {
    const { ask, account, changed } = counter(10);
    const first = ask("a", 0, { call: 1, costs: [1], wish: 3 });
    const before = account();
    expect(ask("a", 500, { call: 1, costs: [1], wish: 3 })).toEqual(first);
    expect(account()).toBe(before);
    expect(changed()).toBe(false);
  });

  it("repeats it after an eviction", () => {
    const { ask, account, evict } = counter(10);
    const first = ask("a", 0, { call: 7, costs: [1], wish: 3 });
    evict(structuredClone(account()));
    expect(ask("a", 500, { call: 7, costs: [1], wish: 3 })).toEqual(first);
  });

  it("gives a straggler no answer and changes nothing", () => {
    const { ask, tell, account } = counter(10);
    ask("a", 0, { call: 5, costs: [1], wish: 3 });
    const before = account();
    expect(tell("a", 500, { call: 4, costs: [1], settle: { call: 5, uses: [] } })).toBeNull();
    expect(account()).toBe(before);
  });

  it("settles a lease once", () => {
    const { ask, used } = counter(10);
    ask("a", 0, { call: 1, costs: [1], wish: 4 });
    expect(used(0)).toBe(5);
    ask("a", 1_000, { call: 2, settle: { call: 1, uses: [500, 1] } });
    expect(used(1_000)).toBe(2);
    ask("a", 1_001, { call: 3, settle: { call: 1, uses: [] } });
    ask("a", 1_002, { call: 4, settle: { call: 3, uses: [] } });
    expect(used(1_002)).toBe(2);
  });

  it.each([
    { name: "an older call", call: 1 },
    { name: "a call that never was", call: 3 },
  ])("ignores a settlement of $name", ({ call }) => {
    const { ask, used } = counter(10);
    ask("a", 0, { call: 1, costs: [1] });
    ask("a", 10, { call: 2, costs: [1], wish: 4, settle: { call: 1, uses: [] } });
    ask("a", 1_000, { call: 4, settle: { call, uses: [] } });
    expect(used(1_000)).toBe(6);
  });

  it("honours a settlement after an eviction, once", () => {
    const { ask, account, evict, used } = counter(10);
    ask("a", 0, { call: 1, costs: [1], wish: 4 });
    evict(structuredClone(account()));
    ask("a", 13_000, { call: 2, settle: { call: 1, uses: [] } });
    expect(used(13_000)).toBe(1);
    evict(structuredClone(account()));
    ask("a", 13_001, { call: 3, settle: { call: 1, uses: [] } });
    expect(used(13_001)).toBe(1);
  });

  it.each([
    { name: "nothing where nothing was used", uses: [], ring: { 1000: 1 } },
    { name: "a use a margin late", uses: [500, 4], ring: { 1000: 5 } },
    { name: "a use that the margin carries into the next slice", uses: [750, 4], ring: { 1000: 1, 2000: 4 } },
    { name: "each use where it belongs", uses: [1_500, 1, 3_500, 2], ring: { 1000: 1, 2000: 1, 4000: 2 } },
    { name: "a use after the end at the end", uses: [90_000, 4], ring: { 1000: 1, 6000: 4 } },
    { name: "a use before the grant at the grant", uses: [-90_000, 4], ring: { 1000: 5 } },
    { name: "no more than was lent", uses: [1_500, 3, 3_500, 9], ring: { 1000: 1, 2000: 3, 4000: 1 } },
    { name: "nothing for less than nothing", uses: [1_500, -3, 3_500, 1], ring: { 1000: 1, 4000: 1 } },
    { name: "the lot where the last is less than nothing", uses: [3_500, 4, 1_500, -2], ring: { 1000: 1, 4000: 4 } },
  ])("puts back $name", ({ uses, ring: expected }) => {
    const { ask, ring } = counter(10);
    ask("a", 0, { call: 1, costs: [1], wish: 4 });
    expect(ring()).toEqual({ 1000: 1, 6000: 4 });
    ask("a", 5_500, { call: 2, settle: { call: 1, uses } });
    expect(ring()).toEqual(expected);
  });

  it("puts nothing back that has left the window since", () => {
    const { ask, used } = counter(10);
    ask("a", 0, { call: 1, costs: [1], wish: 4 });
    ask("a", 64_500, { call: 2, settle: { call: 1, uses: [1_000, 4] } });
    expect(used(64_500)).toBe(0);
  });
});

describe("serve, rules 6 and 7: takes and loans", () => {
  it("grants in order of arrival what fits, smaller ones after one that does not", () => {
    const { ask } = counter(10);
    expect(ask("a", 0, { call: 1, costs: [4, 7, 5, 2, 1] })).toMatchObject({
      granted: [true, false, true, false, true],
      remaining: 0,
      refusedCost: 2,
    });
  });

  it("grants the last unit, refuses one over, and all of a limit of 0", () => {
    const { ask, inForce } = counter(2);
    expect(ask("a", 0, { call: 1, costs: [1, 1, 1] }).granted).toEqual([true, true, false]);
    inForce.limit = 0;
    expect(ask("a", 0, { call: 2, costs: [1] })).toMatchObject({ granted: [false], retryAfterMs: MINUTE });
  });

  it("charges a loan a margin after its life, before a unit of it is used", () => {
    const { ask, holder, ring } = counter(100);
    ask("a", 200, { call: 1, costs: [1], wish: 9 });
    expect(holder("a")).toMatchObject({ lent: 9, grantedMs: T + 200, endMs: T + 200 + LIFE + MARGIN });
    expect(ring()).toEqual({ 1000: 1, 6000: 9 });
  });

  it.each([
    { name: "what it wishes where that is less than its share", isolates: 3, wish: 5, lent: 5 },
    { name: "all that is left where it is alone", isolates: 1, wish: 500, lent: 99 },
    { name: "half of what is left where there are two", isolates: 2, wish: 500, lent: 49 },
    { name: "a third, rounded down, where there are three", isolates: 3, wish: 500, lent: 32 },
    { name: "nothing where it wishes for nothing", isolates: 1, wish: 0, lent: 0 },
  ])("lends an isolate $name", ({ isolates, wish, lent }) => {
    const { ask } = counter(100);
    for (let i = 1; i < isolates; i++) ask(`other ${i}`, 0, { call: 1, costs: [1] });
    expect(ask("a", 10, { call: 1, costs: [1], wish }).lent).toBe(lent);
  });

  it("lends nothing to one who was refused, or who took nothing", () => {
    const { ask } = counter(10);
    expect(ask("a", 0, { call: 1, costs: [11], wish: 5 }).lent).toBe(0);
    expect(ask("a", 0, { call: 2, costs: [], wish: 5 }).lent).toBe(0);
  });

  it("remembers 64 isolates and answers further ones without a loan", () => {
    const { ask, account, tell } = counter(1_000);
    for (let i = 0; i < 64; i++) ask(`isolate ${i}`, i, { call: 1, costs: [1], wish: 1 });
    expect(ask("late", 100, { call: 1, costs: [1], wish: 1 })).toMatchObject({ granted: [true], lent: 0 });
    expect(account().holders).toHaveLength(64);
    expect(account().holders.some(({ isolate }) => isolate === "late")).toBe(false);
    expect(ask("isolate 9", 200, { call: 2, costs: [1], wish: 1 })).toMatchObject({ granted: [true], lent: 1 });
    expect(account().holders).toHaveLength(64);
    expect(tell("isolate 9", 300, { call: 1, costs: [1] })).toBeNull();
  });

  it("has room again once the slice of a lease's end has left the window", () => {
    const { ask, account } = counter(1_000);
    for (let i = 0; i < 64; i++) ask(`isolate ${i}`, 0, { call: 1, costs: [1], wish: 1 });
    expect(ask("late", 65_999, { call: 1, costs: [1], wish: 1 }).lent).toBe(0);
    expect(ask("late", 66_000, { call: 2, costs: [1], wish: 1 }).lent).toBe(1);
    expect(account().holders).toHaveLength(1);
  });

  it("gives a share to each isolate of the last window", () => {
    const { ask } = counter(100);
    ask("other", 0, { call: 1, costs: [1] });
    expect(ask("a", 60_999, { call: 1, costs: [1], wish: 500 }).lent).toBe(49);
    expect(ask("a", 61_000, { call: 2, costs: [1], wish: 500, settle: { call: 1, uses: [] } }).lent).toBe(98);
  });
});

describe("serve, rules 8 and 9: what it says and keeps", () => {
  it("counts loans as used at their end when it says what fits when", () => {
    const { ask, used } = counter(10);
    ask("a", 0, { call: 1, costs: [1], wish: 9 });
    const refusal = ask("b", 1_000, { call: 1, costs: [3] });
    expect(refusal).toMatchObject({ refusedCost: 3, retryAfterMs: 65_000, othersEndMs: 4_250 + 1_000 });
    expect([used(65_999), used(66_000)]).toEqual([9, 0]);
  });

  it("names a cost that never fits, with the window", () => {
    const { ask } = counter(10);
    expect(ask("a", 0, { call: 1, costs: [11] })).toMatchObject({ refusedCost: 11, retryAfterMs: MINUTE });
  });

  it("refuses the next unit in the answer that takes the last", () => {
    const { ask } = counter(10);
    expect(ask("a", 0, { call: 1, costs: [9] })).toMatchObject({ refusedCost: null, retryAfterMs: 0 });
    expect(ask("a", 0, { call: 2, costs: [1] })).toMatchObject({
      granted: [true],
      refusedCost: 1,
      retryAfterMs: 61_000,
    });
  });

  it("tells when the first loan of another isolate may come back, none of its own", () => {
    const { ask } = counter(100);
    expect(ask("a", 0, { call: 1, costs: [1], wish: 4 }).othersEndMs).toBeNull();
    expect(ask("b", 1_000, { call: 1, costs: [1], wish: 4 }).othersEndMs).toBe(LIFE + MARGIN - 1_000 + 1_000);
    expect(ask("c", 2_000, { call: 1, costs: [1] }).othersEndMs).toBe(LIFE + MARGIN - 2_000 + 1_000);
    expect(ask("c", 5_500, { call: 2, costs: [1] }).othersEndMs).toBe(1_000 + LIFE + MARGIN - 5_500 + 1_000);
    expect(ask("c", 6_250, { call: 3, costs: [1] }).othersEndMs).toBeNull();
  });

  it.each([
    { name: "a grant", ask: { call: 2, costs: [1] }, changed: true },
    { name: "a settlement", ask: { call: 2, settle: { call: 1, uses: [] } }, changed: true },
    { name: "a refusal", ask: { call: 2, costs: [20] }, changed: false },
    { name: "a settlement of nothing", ask: { call: 2, settle: { call: 9, uses: [] } }, changed: false },
  ])("needs a row for $name: $changed", ({ ask: next, changed: expected }) => {
    const { ask, changed } = counter(10);
    ask("a", 0, { call: 1, costs: [1], wish: 4 });
    ask("a", 10, next);
    expect(changed()).toBe(expected);
  });

  it("needs a row for a window that changed and for a clock that was followed back", () => {
    const { ask, inForce, changed } = counter(10);
    ask("a", 0, { call: 1, costs: [10] });
    inForce.windowMs = 10_000;
    ask("b", 10, { call: 1, costs: [20] });
    expect(changed()).toBe(true);
    ask("b", -HOUR, { call: 2, costs: [20] });
    expect(changed()).toBe(true);
  });

  it("is empty a full window, a life and two slices after the last use", () => {
    const { ask, account } = counter(10);
    ask("a", 999, { call: 1, costs: [1], wish: 9 });
    expect(closesAtMs(account())).toBeLessThanOrEqual(T + 999 + MINUTE + LIFE + 2_000);
    expect(at(account(), MINUTE, closesAtMs(account()))).toMatchObject({ window: { slices: [] }, holders: [] });
  });
});

/** `[what, isolate, how far the clock moves, cost, wish, which lie]`, each a number that the history reads in its own way. */
const aCall = fc.tuple(fc.nat(9), fc.nat(2), fc.nat(40), fc.nat(7), fc.nat(12), fc.nat(9));

interface Borrower {
  call: number;
  lent: number;
  used: number;
  sentMs: number;
  /** Flat pairs, as they should be told. */
  uses: number[];
}

describe("serve, over random and lying calls", () => {
  it("charges never less than the truth, keeps slices positive, and answers a repeat alike", {
    timeout: 60_000,
  }, () => {
    fc.assert(
      fc.property(
        fc.constantFrom(1_000, 10_000, MINUTE, HOUR),
        fc.integer({ min: 1, max: 40 }),
        fc.array(aCall, { minLength: 1, maxLength: 60, size: "max" }),
        (windowMs, limit, calls) => {
          const lifeMs = Math.min(5_000, Math.floor(windowMs / 12));
          const sliceMs = Math.ceil(windowMs / 60);
          const truth: { readonly atMs: number; readonly units: number }[] = [];
          const borrowers = [0, 1, 2].map((): Borrower => ({ call: 0, lent: 0, used: 0, sentMs: 0, uses: [] }));
          let account = openAccount(windowMs, T);
          let nowMs = T;
          for (const [what, who, move, cost, wish, lie] of calls) {
            nowMs +=
              [0, 1, Math.floor((sliceMs * move) / 20), Math.floor((lifeMs * move) / 30), (windowMs * move) >> 5][
                what % 5
              ] ?? 0;
            const isolate = `isolate ${who}`;
            const borrower = borrowers[who];
            if (borrower === undefined) continue;
            if (what < 4) {
              const units = Math.min(cost, borrower.lent - borrower.used);
              if (units === 0 || nowMs >= borrower.sentMs + lifeMs) continue;
              borrower.used += units;
              borrower.uses.push(nowMs - borrower.sentMs + 1, units);
              truth.push({ atMs: nowMs, units });
              continue;
            }
            const settle = { call: borrower.call, uses: [...borrower.uses, ...(LIES[lie] ?? [])] };
            const toldCall = lie === 6 ? borrower.call + 1 : lie === 7 ? borrower.call - 1 : borrower.call;
            const ask: Ask = { call: borrower.call + 1, costs: [cost, 1], wish, settle: { ...settle, call: toldCall } };
            const { account: after, answer } = serve(account, isolate, ask, { limit, windowMs }, nowMs);
            const repeated = serve(after, isolate, { ...ask, costs: [9] }, { limit, windowMs }, nowMs + 1);
            hold(JSON.stringify(repeated.answer) === JSON.stringify(answer), "answers a repeat alike");
            hold(repeated.account === after && !repeated.changed, "changes nothing at a repeat");
            const old = serve(after, isolate, { ...ask, call: borrower.call }, { limit, windowMs }, nowMs + 1);
            hold(old.answer === null && old.account === after, "answers no straggler and changes nothing");
            account = after;
            const units = (answer?.granted[0] === true ? cost : 0) + (answer?.granted[1] === true ? 1 : 0);
            truth.push({ atMs: nowMs, units });
            Object.assign(borrower, { call: ask.call, lent: answer?.lent ?? 0, used: 0, sentMs: nowMs, uses: [] });

            const { slices } = account.window;
            for (let i = 0; i < slices.length; i += 2) {
              hold((slices[i + 1] ?? 0) > 0 && Number.isSafeInteger(slices[i + 1]), "keeps slices positive and whole");
              hold(i === 0 || (slices[i - 2] ?? 0) < (slices[i] ?? 0), "keeps slices in order");
            }
            const used = truth.reduce((sum, use) => (use.atMs > nowMs - windowMs ? sum + use.units : sum), 0);
            const open = borrowers.reduce(
              (sum, { lent, used: spent, sentMs }) => (nowMs < sentMs + lifeMs ? sum + lent - spent : sum),
              0,
            );
            hold(usedOf(account.window) >= used + open, "charges never less than the truth");
            hold(usedOf(account.window) <= limit, "is never over");
            hold((answer?.remaining ?? 0) === limit - usedOf(account.window), "says what is left");
          }
        },
      ),
      { numRuns: 4_000 },
    );
  });
});

/** What a settlement may say beyond the truth: too much, less than nothing, before the grant, long after. */
const LIES: readonly (readonly number[])[] = [[], [], [], [10, 1_000], [10, -5], [-1_000_000, 3, 1e12, 2]];

function hold(promise: boolean, what: string): void {
  if (!promise) throw new Error(what);
}
