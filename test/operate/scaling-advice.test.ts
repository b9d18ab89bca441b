import { describe, expect, it } from "vitest";
import { scalingDocument } from "../../src/operate/scaling-advice.ts";
import { SCALING, UNWATCHED, watchTriggers } from "../../src/policy/scaling.ts";

const START = 1_764_000_000_000;
const READINGS = { response_time_p95_ms: 612.3456, queue_pending: 40, cpu_percent: 12, memory_percent: null };

/** What the triggers say after the same reading every 30 s for so many minutes. */
function reportsAfter(minutes: number) {
  let { states, reports } = watchTriggers(UNWATCHED, READINGS, START);
  for (let second = 30; second <= minutes * 60; second += 30)
    ({ states, reports } = watchTriggers(states, READINGS, START + second * 1000));
  return reports;
}

describe("scalingDocument", () => {
  it("says how many, at what peak, and of each trigger its value, threshold, time and verdict", () => {
    expect(scalingDocument(500, SCALING, reportsAfter(7))).toEqual({
      recommended_instances: 8,
      peak_rps: 500,
      triggers: [
        trigger("response_time_p95_ms", 612.35, 500, 420, 300, "up"),
        trigger("queue_pending", 40, 100, 0, 300, "hold"),
        trigger("cpu_percent", 12, 30, 420, 600, "hold"),
        trigger("memory_percent", null, 80, 0, 300, "unknown"),
      ],
    });
  });

  it("follows the rules it is given, and rounds the peak alone", () => {
    const rules = { minInstances: 1, maxInstances: 3, rpsPerInstance: 10 };
    expect(scalingDocument(10.004, rules, [])).toEqual({ recommended_instances: 3, peak_rps: 10, triggers: [] });
    expect(scalingDocument(0, rules, [])).toMatchObject({ recommended_instances: 1, peak_rps: 0 });
    expect(scalingDocument(900, rules, [])).toMatchObject({ recommended_instances: 3 });
  });

  function trigger(
    name: string,
    value: number | null,
    threshold: number,
    held_seconds: number,
    for_seconds: number,
    verdict: string,
  ) {
    return { name, value, latest: value, threshold, held_seconds, for_seconds, verdict };
  }
});
