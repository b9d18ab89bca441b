import { beforeAll, describe, expect, it } from "vitest";
import { type CrowdOptions, type CrowdResult, runCrowd } from "./crowd.ts";
import { decilesOf, totalOf } from "./curve.ts";
import { CORNER, CROWD, CROWD_SIZES } from "./rows.ts";

const isLong = process.env["FLEET"] === "long";
const SIZES = isLong ? CROWD_SIZES : [1, 30, 1_000];
const OPTIONS: Omit<CrowdOptions, "isolates"> = isLong ? CROWD : { ...CROWD, clients: 100_000, perSecond: 1_500 };
/** Neighbours on the curve may differ by chance, and a client just over its limit costs a little more than one just under. */
const NOISE = 1.1;

describe("a crowd of clients", () => {
  const results: CrowdResult[] = [];

  beforeAll(() => {
    for (const isolates of SIZES) results.push(runCrowd({ ...OPTIONS, isolates }));
  });

  it("has nobody over the limit in any window, at any number of isolates", () => {
    for (const result of results) expect(totalOf(result).worstShare).toBe(1);
  });

  it("has nobody needlessly refused", () => {
    for (const result of results) {
      const { efficiency, lowest } = totalOf(result);
      expect(efficiency).toBeGreaterThanOrEqual(0.99);
      expect(lowest).toBeGreaterThanOrEqual(0.95);
    }
  });

  it("costs less for each request, the more popular a client is", () => {
    for (const result of results) {
      const asks = decilesOf(result).map((decile) => decile.asks);
      expect(asks).toHaveLength(10);
      for (const [i, cost] of asks.entries()) expect(cost).toBeLessThan(NOISE * (asks[i + 1] ?? cost + 1));
    }
  });

  it("costs more, the more isolates share the same traffic, and hardly more than a call for each request", () => {
    const asks = results.map((result) => totalOf(result).asks);
    expect(asks).toEqual(asks.toSorted((a, b) => a - b));
    expect(asks.at(-1)).toBeLessThan(1_010);
  });
});

describe("a limit of 10,000 at ten times its load over eight isolates", () => {
  const total = totalOf(runCrowd(CORNER));

  it("is reached and never passed", () => {
    expect(total.worstShare).toBe(1);
    expect(total.efficiency).toBeGreaterThanOrEqual(0.95);
  });

  it("costs hardly a call", () => {
    expect(total.asks).toBeLessThan(10);
  });
});
