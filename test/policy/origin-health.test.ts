import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type CheckState,
  ORIGIN_UNASKED,
  ORIGIN_UNREACHABLE,
  type OriginMetrics,
  readOriginHealth,
} from "../../src/policy/origin-health.ts";

const NOTHING: OriginMetrics = { activeWorkflows: null, approvalQueue: null, cpuPercent: null, memoryPercent: null };

function read(summary: unknown, status = 200) {
  return readOriginHealth(status, JSON.stringify(summary));
}

describe("readOriginHealth", () => {
  it("reads a summary that names its checks", () => {
    const metrics = { active_workflows: 12, approval_queue: 3, cpu_percent: 41.5, memory_percent: 60 };
    expect(read({ status: "healthy", checks: { database: "ok", scheduler: "degraded" }, metrics })).toEqual({
      reach: "reached",
      database: "ok",
      scheduler: "degraded",
      metrics: { activeWorkflows: 12, approvalQueue: 3, cpuPercent: 41.5, memoryPercent: 60 },
    });
  });

  it("reads a flat summary", () => {
    expect(read({ db_ok: true, scheduler_ok: false })).toEqual({
      reach: "reached",
      database: "ok",
      scheduler: "down",
      metrics: NOTHING,
    });
  });

  it.each<{ name: string; summary: unknown; database: CheckState }>([
    {
      name: "a named check before a flat one",
      summary: { checks: { database: "down" }, db_ok: true },
      database: "down",
    },
    { name: "a flat one where the named is odd", summary: { checks: { database: 1 }, db_ok: true }, database: "ok" },
    { name: "a flat one where others are named", summary: { checks: { cache: "ok" }, db_ok: false }, database: "down" },
    { name: "unknown where it is said", summary: { checks: { database: "unknown" } }, database: "unknown" },
    { name: "a word of its own as unknown", summary: { checks: { database: "green" } }, database: "unknown" },
    { name: "other case as unknown", summary: { checks: { database: "OK" } }, database: "unknown" },
    { name: "a flag among named checks as unknown", summary: { checks: { database: true } }, database: "unknown" },
    { name: "a word for a flag as unknown", summary: { db_ok: "true" }, database: "unknown" },
    { name: "a number for a flag as unknown", summary: { db_ok: 1 }, database: "unknown" },
    { name: "null for all checks as unknown", summary: { checks: null }, database: "unknown" },
    { name: "a list of checks as unknown", summary: { checks: [{ database: "ok" }] }, database: "unknown" },
    { name: "nothing as unknown", summary: {}, database: "unknown" },
  ])("takes $name", ({ summary, database }) => {
    expect(read(summary)).toMatchObject({ reach: "reached", database });
  });

  it.each([
    { name: "figures without a unit as shares", metrics: { cpu: 0.57, memory: 1 }, cpu: 57, memory: 100 },
    { name: "a figure with its unit first", metrics: { cpu: 0.5, cpu_percent: 60 }, cpu: 60, memory: null },
    { name: "no share above 1", metrics: { cpu: 1.01, memory: 55 }, cpu: null, memory: null },
    { name: "more than 100 % of one processor", metrics: { cpu_percent: 180 }, cpu: 180, memory: null },
    { name: "no text", metrics: { cpu_percent: "60", memory: "0.5" }, cpu: null, memory: null },
    { name: "nothing negative", metrics: { cpu_percent: -1, memory: -0.5 }, cpu: null, memory: null },
  ])("takes for CPU and memory $name", ({ metrics, cpu, memory }) => {
    expect(read({ metrics }).metrics).toEqual({ ...NOTHING, cpuPercent: cpu, memoryPercent: memory });
  });

  it.each(["12", null, -1, true, [3], {}])("passes over %j for a number of workflows", (value) => {
    expect(read({ metrics: { active_workflows: value, approval_queue: 0 } }).metrics).toEqual({
      ...NOTHING,
      approvalQueue: 0,
    });
  });

  it("passes over a number too large to be held", () => {
    expect(readOriginHealth(200, '{"metrics":{"active_workflows":1e999}}').metrics).toEqual(NOTHING);
  });

  it("reads what a failing status comes with", () => {
    expect(read({ checks: { database: "down", scheduler: "ok" } }, 503)).toMatchObject({
      reach: "failing",
      database: "down",
      scheduler: "ok",
    });
  });

  it.each([
    { status: 404, reach: "reached" },
    { status: 401, reach: "reached" },
    { status: 302, reach: "reached" },
    { status: 500, reach: "failing" },
    { status: 503, reach: "failing" },
    ...[502, 504, 520, 521, 522, 523, 524, 525, 526, 527, 530].map((status) => ({ status, reach: "unreachable" })),
  ])("takes $status without a summary for $reach", ({ status, reach }) => {
    for (const text of ["", "<html>Bad Gateway</html>", "null", "[]", '"ok"', '{"checks":{"database":"o'])
      expect(readOriginHealth(status, text)).toEqual({ ...ORIGIN_UNASKED, reach });
  });

  it("takes a summary that a broken proxy passed on for the origin's own", () => {
    expect(read({ db_ok: true }, 502)).toMatchObject({ reach: "failing", database: "ok" });
  });

  it("never throws, and never makes up a check or a figure", () => {
    const text = fc.oneof(fc.json(), fc.string(), fc.constant("[".repeat(60_000)));
    const states: readonly CheckState[] = ["ok", "degraded", "down", "unknown"];
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 599 }), text, (status, body) => {
        const { database, scheduler, metrics } = readOriginHealth(status, body);
        expect(states).toContain(database);
        expect(states).toContain(scheduler);
        for (const figure of Object.values(metrics)) expect(figure === null || figure >= 0).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it("knows nothing of an origin that was not asked, or that did not answer", () => {
    const silent = { database: "unknown", scheduler: "unknown", metrics: NOTHING };
    expect(ORIGIN_UNASKED).toEqual({ reach: "unknown", ...silent });
    expect(ORIGIN_UNREACHABLE).toEqual({ reach: "unreachable", ...silent });
  });
});
