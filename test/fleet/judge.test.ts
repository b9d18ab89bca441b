import { describe, expect, it } from "vitest";
import { accountKey, balance } from "./books.ts";
import { admittedByLog, mostCertain, type Unit, worstStretch } from "./judge.ts";
import { createWatch } from "./watch.ts";
import type { Truth } from "./workers/truth.ts";

const WINDOW_MS = 1000;

function units(...moments: readonly number[]): Unit[] {
  return moments.map((atMs, grant) => ({ atMs, grant, limit: 3 }));
}

describe("worstStretch", () => {
  it.each<{ name: string; of: readonly Unit[]; share: number; units: number }>([
    { name: "finds nothing in nothing", of: [], share: 0, units: 0 },
    { name: "counts what lies together", of: units(0, 1, 2, 999, 5000), share: 4 / 3, units: 4 },
    { name: "leaves out what is a whole window older", of: units(0, 1, 2, 1000), share: 1, units: 3 },
    { name: "counts what is a millisecond less than a window older", of: units(1, 2, 3, 1000), share: 4 / 3, units: 4 },
    { name: "does not mind the order of the log", of: units(999, 2, 0, 1), share: 4 / 3, units: 4 },
    {
      name: "judges by the limit of the latest grant in the stretch",
      of: [...units(0, 1, 2), { atMs: 3, grant: 9, limit: 2 }],
      share: 2,
      units: 4,
    },
    {
      name: "lets a lease from before a fall of the limit be spent where no later grant is",
      of: [{ atMs: 0, grant: 1, limit: 2 }, ...units(1500, 1501, 1502)],
      share: 1,
      units: 3,
    },
    {
      name: "judges by an older limit once the later grant has left the stretch",
      of: [
        { atMs: 0, grant: 5, limit: 10 },
        { atMs: 900, grant: 1, limit: 1 },
        { atMs: 901, grant: 1, limit: 1 },
      ],
      share: 2,
      units: 2,
    },
  ])("$name", ({ of, share, units: count }) => {
    expect(worstStretch(of, WINDOW_MS)).toMatchObject({ share, units: count });
  });
});

describe("admittedByLog", () => {
  it("admits the limit and, as units leave the window, as many again", () => {
    expect(admittedByLog([0, 1, 2, 3, 999, 1000, 1001, 1002, 1003], 3, WINDOW_MS)).toBe(6);
  });
});

describe("mostCertain", () => {
  it("counts only what lies whole within a stretch", () => {
    const all = [
      { fromMs: 0, toMs: 10 },
      { fromMs: 500, toMs: 510 },
      { fromMs: 995, toMs: 1005 },
    ];
    expect(mostCertain(all, WINDOW_MS)).toBe(2);
  });
});

describe("a watch", () => {
  it("sees a client that is given a unit too many, and no other", () => {
    const watch = createWatch(2, 3, WINDOW_MS);
    watch.admitted(0, 0, 3);
    watch.admitted(1, 500, 3);
    watch.admitted(0, 1000, 3);
    expect(watch.worstShare()).toBe(1);
    watch.admitted(1, 1499, 1);
    expect(watch.worstShare()).toBeCloseTo(4 / 3);
  });

  it("knows what an exact log admits", () => {
    const watch = createWatch(1, 3, WINDOW_MS);
    for (const atMs of [0, 1, 2, 3, 999, 1000, 1001, 1002, 1003]) watch.offered(0, atMs);
    expect(watch.exactBy[0]).toBe(6);
  });
});

describe("the books", () => {
  const nothing: Truth = { isolate: "a", calls: 0, uses: [], grants: [], asked: [], rows: 0, loads: [] };
  const asked = [{ isolate: "a", call: 7, profile: "p", client: "c" }];
  const grant = { isolate: "a", call: 7, atMs: 10, granted: 2, lent: 1, limit: 3, windowMs: WINDOW_MS };

  it("count takes granted by a call at its grant, and uses of its lease when they happen", () => {
    const isolate = { ...nothing, uses: [{ call: 7, atMs: 30, judgedMs: 29 }] };
    const { accounts, unfounded } = balance([isolate], { ...nothing, asked, grants: [grant] });
    expect(accounts.get(accountKey("p", "c"))?.units.map(({ atMs }) => atMs)).toEqual([10, 10, 30]);
    expect(unfounded).toBe(0);
  });

  it("name a use that no counter has granted", () => {
    const isolate = { ...nothing, uses: [{ call: 8, atMs: 30, judgedMs: 29 }] };
    expect(balance([isolate], { ...nothing, asked, grants: [grant] }).unfounded).toBe(1);
  });
});
