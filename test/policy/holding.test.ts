import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Belief,
  compose,
  type Decision,
  decide,
  type Holding,
  leftOverDueMs,
  newHolding,
  receive,
} from "../../src/policy/holding.ts";
import { type Answer, lifeMsOf, wishOf } from "../../src/policy/lease.ts";

const T = 1_764_000_000_000;
const MINUTE = 60_000;
const BELIEF: Belief = { tier: "low", limit: 100, windowMs: MINUTE };

function answerTo(call: number, answer: Partial<Answer> = {}): Answer {
  return {
    call,
    granted: [],
    lent: 0,
    limit: 100,
    windowMs: MINUTE,
    remaining: 50,
    growsAfterMs: null,
    refusedCost: null,
    retryAfterMs: 0,
    othersEndMs: null,
    used: 0,
    ...answer,
  };
}

/** A record after a call that was sent at T and answered 20 ms later. */
function answered(answer: Partial<Answer>, costs: readonly number[] = [], belief = BELIEF): Holding {
  const holding = newHolding();
  compose(holding, 7, costs, belief, T);
  receive(holding, answerTo(7, answer), costs, T + 20);
  return holding;
}

const at = (holding: Holding, afterMs: number, cost = 1, belief = BELIEF): Decision["kind"] =>
  decide(holding, cost, belief, T + afterMs).kind;

describe("decide, by a lease", () => {
  it("grants from it without a call, and says what is left", () => {
    const holding = answered({ lent: 3, remaining: 10 });
    expect(decide(holding, 2, BELIEF, T + 30)).toEqual({ kind: "granted", remaining: 11 });
    expect(decide(holding, 1, BELIEF, T + 40)).toEqual({ kind: "granted", remaining: 10 });
    expect(at(holding, 50)).toBe("unknown");
  });

  it.each([
    { name: "at its sending", afterMs: 0, kind: "granted" },
    { name: "in the last ms of its life", afterMs: 4_999, kind: "granted" },
    { name: "not after its life, which began at the sending and not at the receipt", afterMs: 5_000, kind: "unknown" },
    { name: "not while the clock is before its sending", afterMs: -1, kind: "unknown" },
  ])("spends it $name", ({ afterMs, kind }) => {
    expect(at(answered({ lent: 3 }), afterMs)).toBe(kind);
  });

  it("counts the life of a late answer from the sending all the same", () => {
    const holding = newHolding();
    compose(holding, 1, [1], BELIEF, T);
    receive(holding, answerTo(1, { lent: 5, granted: [true] }), [1], T + 4_990);
    expect([at(holding, 4_999), at(holding, 5_000)]).toEqual(["granted", "unknown"]);
  });

  it("takes the life from the counter's window, not from its own", () => {
    expect(at(answered({ lent: 3, windowMs: 12_000 }), 999)).toBe("granted");
    expect(at(answered({ lent: 3, windowMs: 12_000 }), 1_000)).toBe("unknown");
  });

  it("grants no more than is left of it, but smaller takes still", () => {
    const holding = answered({ lent: 3 });
    expect([at(holding, 30, 4), at(holding, 30, 3), at(holding, 30, 1)]).toEqual(["unknown", "granted", "unknown"]);
  });

  it.each([
    { name: "limit", belief: { ...BELIEF, limit: 50 } },
    { name: "tier", belief: { ...BELIEF, tier: "high" } },
    { name: "window", belief: { ...BELIEF, windowMs: 10_000 } },
  ] as const)("does not spend it, nor refuse, under another $name than it was asked for under", ({ belief }) => {
    expect(at(answered({ lent: 3 }), 30, 1, belief)).toBe("unknown");
    expect(at(answered({ refusedCost: 1, retryAfterMs: 9_000 }), 30, 1, belief)).toBe("unknown");
  });

  it("knows nothing before the first answer, and nothing while a call is under way", () => {
    const holding = answered({ lent: 3 });
    compose(holding, 8, [1], BELIEF, T + 100);
    expect([at(newHolding(), 0), at(holding, 110)]).toEqual(["unknown", "unknown"]);
  });
});

describe("decide, by a refusal", () => {
  it("refuses that cost and higher ones, no lower one", () => {
    const holding = answered({ refusedCost: 3, retryAfterMs: 9_000 });
    expect([2, 3, 4].map((cost) => at(holding, 30, cost))).toEqual(["unknown", "refused", "refused"]);
  });

  it("tells the rest of the retry time, counted from the receipt", () => {
    const holding = answered({ refusedCost: 1, retryAfterMs: 9_000 });
    expect(decide(holding, 1, BELIEF, T + 20)).toEqual({ kind: "refused", retryAfterMs: 9_000 });
    expect(decide(holding, 1, BELIEF, T + 9_019)).toEqual({ kind: "refused", retryAfterMs: 1 });
    expect(at(holding, 9_020)).toBe("unknown");
  });

  it("asks again when others' leases may end, and tells the retry time until then", () => {
    const holding = answered({ refusedCost: 1, retryAfterMs: 9_000, othersEndMs: 3_000 });
    expect(decide(holding, 1, BELIEF, T + 3_019)).toEqual({ kind: "refused", retryAfterMs: 6_001 });
    expect(at(holding, 3_020)).toBe("unknown");
  });

  it("does not outlast the retry time where others' leases do", () => {
    expect(at(answered({ refusedCost: 1, retryAfterMs: 500, othersEndMs: 3_000 }), 520)).toBe("unknown");
  });

  it("does not refuse with units of its own in hand, though their life is over: they first go back", () => {
    const holding = answered({ lent: 2, remaining: 0, refusedCost: 1, retryAfterMs: 9_000 });
    expect([at(holding, 30, 1), at(holding, 30, 3)]).toEqual(["granted", "unknown"]);
    expect(at(holding, 6_000)).toBe("unknown");
  });

  it("refuses at once when the last unit of the lease is spent", () => {
    const holding = answered({ lent: 1, remaining: 0, refusedCost: 1, retryAfterMs: 9_000 });
    expect([at(holding, 30), at(holding, 30)]).toEqual(["granted", "refused"]);
  });

  it("is forgotten when the next call is sent: what that brings back may fit", () => {
    const holding = answered({ lent: 2, remaining: 0, refusedCost: 1, retryAfterMs: 9_000 });
    compose(holding, 8, [1], BELIEF, T + 6_000);
    expect(at(holding, 6_001)).toBe("unknown");
  });
});

describe("compose", () => {
  it("asks for no lease at first contact, and has nothing to settle", () => {
    expect(compose(newHolding(), 3, [1, 2], BELIEF, T)).toEqual({ call: 3, costs: [1, 2], wish: 0, settle: null });
  });

  it("settles the last call, whether it lent, refused or was never answered", () => {
    const holding = newHolding();
    compose(holding, 3, [1], BELIEF, T);
    expect(compose(holding, 5, [1], BELIEF, T + 10).settle).toEqual({ call: 3, uses: [] });
    receive(holding, answerTo(5, { refusedCost: 1, retryAfterMs: 100 }), [1], T + 20);
    expect(compose(holding, 9, [1], BELIEF, T + 30).settle).toEqual({ call: 5, uses: [] });
  });

  it("dates uses at the end of their half slice since the sending, at most at the end of the lease", () => {
    const holding = answered({ lent: 10 });
    for (const afterMs of [20, 499, 500, 2_700, 4_600, 4_999]) decide(holding, 1, BELIEF, T + afterMs);
    expect(compose(holding, 8, [], BELIEF, T + 5_000).settle).toEqual({
      call: 7,
      uses: [500, 2, 1_000, 1, 3_000, 1, 5_000, 2],
    });
  });

  it("cuts the last half slice where the life does not end with one", () => {
    const belief = { ...BELIEF, windowMs: 10_000 };
    const holding = answered({ lent: 2, windowMs: 10_000 }, [], belief);
    decide(holding, 2, belief, T + 832);
    expect(compose(holding, 8, [], belief, T + 900).settle).toEqual({ call: 7, uses: [833, 2] });
  });

  it("forgets the lease: it is settled and must not be spent as well", () => {
    const holding = answered({ lent: 10 });
    decide(holding, 1, BELIEF, T + 30);
    compose(holding, 8, [1], BELIEF, T + 100);
    expect(at(holding, 110)).toBe("unknown");
    expect(compose(holding, 9, [1], BELIEF, T + 200).settle).toEqual({ call: 8, uses: [] });
  });

  it.each([
    { name: "half as much again as the rate since the last call will use", afterMs: 5_000, spent: 9, wish: 15 },
    { name: "by a fifth of a life at least, so that a burst is not for ever", afterMs: 30, spent: 1, wish: 15 },
    { name: "little of a slow client", afterMs: 50_000, spent: 1, wish: 1 },
    { name: "nothing after a window's pause", afterMs: MINUTE, spent: 1, wish: 0 },
  ])("wishes for $name", ({ afterMs, spent, wish }) => {
    const holding = answered({ lent: 20 });
    for (let i = 0; i < spent; i++) decide(holding, 1, BELIEF, T + 25);
    expect(compose(holding, 8, [1], BELIEF, T + afterMs).wish).toBe(wish);
  });

  it("counts what the last call admitted, not what it refused", () => {
    const holding = answered({ granted: [true, false, true] }, [2, 5, 1]);
    expect(compose(holding, 8, [1], BELIEF, T + 5_000).wish).toBe(6);
  });

  it("wishes for nothing where it only settles", () => {
    expect(compose(answered({ lent: 9 }), 8, [], BELIEF, T + 5_000)).toMatchObject({ costs: [], wish: 0 });
  });

  it("wishes for a whole number of units >= 0, whatever its clock does", () => {
    fc.assert(
      fc.property(
        fc.nat(1_000),
        fc.integer(),
        fc.constantFrom(1, 1_000, MINUTE, 3_600_000),
        (units, sinceMs, windowMs) => {
          const wish = wishOf(units, sinceMs, windowMs);
          expect(
            Number.isSafeInteger(wish) && wish >= 0 && wish <= 1.5 * units * Math.max(5, lifeMsOf(windowMs)) + 1,
          ).toBe(true);
        },
      ),
    );
  });
});

describe("receive", () => {
  it("drops an answer that was overtaken: its lease has been settled as unused", () => {
    const holding = newHolding();
    compose(holding, 3, [1], BELIEF, T);
    compose(holding, 4, [1], BELIEF, T + 500);
    expect(receive(holding, answerTo(3, { lent: 9, granted: [true] }), [1], T + 510)).toBe(false);
    expect(at(holding, 520)).toBe("unknown");
    expect(receive(holding, answerTo(4, { lent: 2, granted: [true] }), [1], T + 530)).toBe(true);
    expect(holding).toMatchObject({ count: 1, lease: { left: 2, untilMs: T + 5_500 }, answeredMs: T + 530 });
  });

  it("drops an answer to a call of another record: this one was pushed out and begun anew", () => {
    expect(receive(newHolding(), answerTo(3, { lent: 9 }), [], T)).toBe(false);
  });
});

describe("leftOverDueMs", () => {
  it.each([
    {
      name: "most of a slice after its life, where a tenth of what was free is left",
      lent: 5,
      remaining: 50,
      dueMs: 5_800,
    },
    { name: "never where less is left: it comes back with the next call", lent: 4, remaining: 50, dueMs: null },
    { name: "where the rest is all there is", lent: 1, remaining: 0, dueMs: 5_800 },
    { name: "never where nothing was lent", lent: 0, remaining: 0, dueMs: null },
  ])("is due $name", ({ lent, remaining, dueMs }) => {
    const due = leftOverDueMs(answered({ lent, remaining }));
    expect(due === null ? null : due - T).toBe(dueMs);
  });

  it("is not due where all has been spent or a call has taken it along", () => {
    const spent = answered({ lent: 1 });
    decide(spent, 1, BELIEF, T + 30);
    const settled = answered({ lent: 9 });
    compose(settled, 8, [1], BELIEF, T + 40);
    expect([leftOverDueMs(spent), leftOverDueMs(settled), leftOverDueMs(newHolding())]).toEqual([null, null, null]);
  });

  it.each([
    { windowMs: 10_000, dueMs: 833 + 134 },
    { windowMs: 3_600_000, dueMs: 5_000 + 1_000 },
  ])("waits four fifths of a slice and at most a second: window of $windowMs", ({ windowMs, dueMs }) => {
    expect((leftOverDueMs(answered({ lent: 9, windowMs })) ?? 0) - T).toBe(dueMs);
  });
});

/** `[what, how far the clock moves, units]`. */
const aMove = fc.tuple(fc.nat(9), fc.integer({ min: 0, max: 3_000 }), fc.integer({ min: 1, max: 4 }));

describe("a record, over random takes, answers and clocks", () => {
  it("spends no more than was lent, only within the life of its last call, and tells all of it once", () => {
    fc.assert(
      fc.property(fc.constantFrom(1_000, 10_000, MINUTE), fc.array(aMove, { maxLength: 80 }), (windowMs, moves) => {
        const belief = { ...BELIEF, windowMs };
        const holding = newHolding();
        let nowMs = T;
        let call = 0;
        let sentMs = 0;
        let lent = 0;
        let spent = 0;
        const late: Answer[] = [];
        for (const [what, moveMs, units] of moves) {
          nowMs += Math.floor((moveMs * windowMs) / MINUTE);
          if (what < 6) {
            if (decide(holding, units, belief, nowMs).kind !== "granted") continue;
            spent += units;
            expect(spent).toBeLessThanOrEqual(lent);
            expect(nowMs - sentMs).toBeLessThan(lifeMsOf(windowMs));
          } else if (what < 8) {
            const { settle } = compose(holding, ++call, [], belief, nowMs);
            const uses = settle?.uses ?? [];
            expect(uses.reduce((sum, value, i) => (i % 2 === 1 ? sum + value : sum), 0)).toBe(spent);
            late.push(answerTo(call, { lent: 3 * units, windowMs }));
            [sentMs, lent, spent] = [nowMs, 0, 0];
          } else {
            // Any answer that is still on its way, the last one or one that was overtaken.
            const [answer] = late.splice(Math.min(late.length - 1, units - 1), 1);
            if (answer !== undefined && receive(holding, answer, [], nowMs)) lent = answer.lent;
          }
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
