import { describe, expect, it } from "vitest";
import { renderExposition } from "../../src/operate/exposition.ts";
import { METRICS } from "../../src/operate/metric-table.ts";
import { type MetricFacts, metricFamilies } from "../../src/operate/metrics-page.ts";
import { countAnswer, countEvent, countOutcome, newTally, type Tally } from "../../src/policy/tally.ts";
import { type ReadSample, readExposition } from "./read-exposition.ts";

const NOW = 1_764_000_000_000;

/** What was counted stands in for the meter's totals, which have its shape. */
function factsOf(tally: Tally, more: Partial<MetricFacts> = {}): MetricFacts {
  return {
    meter: { totals: tally.rows, events: tally.events, startedMs: NOW - 90_500 },
    profiles: ["default", "ai-chat"],
    nowMs: NOW,
    load: 0.45,
    tier: "medium",
    offeredPerMinute: 600,
    admittedPerMinute: 450,
    capacityRpm: 1000,
    signalAgeMs: 12_500,
    tierChanges: 3,
    openBreakers: 0,
    inFlight: 0,
    recommendedInstances: 2,
    activeWorkflows: 4,
    approvalQueue: 7,
    ...more,
  };
}

/** `name{label="value"}` of every sample, with its value. */
function samplesOf(facts: MetricFacts): ReadonlyMap<string, number> {
  const families = readExposition(renderExposition(metricFamilies(facts)));
  return new Map(families.flatMap(({ samples }) => samples.map((sample) => [keyOf(sample), sample.value] as const)));
}

function keyOf({ name, labels }: ReadSample): string {
  return `${name}{${[...labels].map(([label, value]) => `${label}=${value}`).join()}}`;
}

describe("metricFamilies", () => {
  it("shows every metric of the table, in its order", () => {
    expect(metricFamilies(factsOf(newTally())).map(({ name }) => name)).toEqual(Object.keys(METRICS));
  });

  it("shows every set of labels in force from the start, at 0", () => {
    const samples = samplesOf(factsOf(newTally()));
    const byProfile = [...samples].filter(([key]) => key.includes("profile="));
    expect(byProfile).toHaveLength(2 * (4 * 7 + 4 + 13));
    expect(byProfile.every(([, value]) => value === 0)).toBe(true);
  });

  it("shows what was counted, to the request", () => {
    const tally = newTally();
    for (let i = 0; i < 5; i++) countOutcome(tally, "ai-chat", "high", "refused", NOW);
    countOutcome(tally, "ai-chat", "low", "admitted", NOW);
    countOutcome(tally, "default", "critical", "exempt", NOW);
    for (const responseMs of [10, 11, 10_001]) countAnswer(tally, "ai-chat", 200, responseMs, NOW);
    countAnswer(tally, "ai-chat", 503, null, NOW);
    const samples = samplesOf(factsOf(tally));
    for (const [key, value] of [
      ["levqor_requests_total{profile=ai-chat,tier=high,outcome=refused}", 5],
      ["levqor_requests_total{profile=ai-chat,tier=low,outcome=admitted}", 1],
      ["levqor_requests_total{profile=default,tier=critical,outcome=exempt}", 1],
      ["levqor_requests_total{profile=default,tier=high,outcome=refused}", 0],
      ["levqor_responses_total{profile=ai-chat,status=2xx}", 3],
      ["levqor_responses_total{profile=ai-chat,status=5xx}", 1],
      ["levqor_response_time_seconds_bucket{profile=ai-chat,le=0.01}", 1],
      ["levqor_response_time_seconds_bucket{profile=ai-chat,le=0.025}", 2],
      ["levqor_response_time_seconds_bucket{profile=ai-chat,le=10}", 2],
      ["levqor_response_time_seconds_bucket{profile=ai-chat,le=+Inf}", 3],
      ["levqor_response_time_seconds_count{profile=ai-chat}", 3],
      ["levqor_response_time_seconds_sum{profile=ai-chat}", 10.022],
    ] as const)
      expect([key, samples.get(key)]).toEqual([key, value]);
  });

  it("shows each event under its own name", () => {
    const names = [
      ["counterCalls", "levqor_counter_calls_total"],
      ["counterRowsWritten", "levqor_counter_rows_written_total"],
      ["counterFailures", "levqor_counter_failures_total"],
      ["deniedLocally", "levqor_denied_locally_total"],
      ["withoutAddress", "levqor_requests_without_address_total"],
      ["documentsRefused", "levqor_config_rejected_total"],
    ] as const;
    const tally = newTally();
    for (const [i, [event]] of names.entries()) countEvent(tally, event, i + 1, NOW);
    const samples = samplesOf(factsOf(tally));
    for (const [i, [, name]] of names.entries()) expect([name, samples.get(`${name}{}`)]).toEqual([name, i + 1]);
  });

  it("shows what is in force", () => {
    const samples = samplesOf(factsOf(newTally(), { openBreakers: 2, recommendedInstances: 8 }));
    expect(Object.fromEntries([...samples].filter(([key]) => !key.includes("profile=")))).toMatchObject({
      "levqor_load_ratio{}": 0.45,
      "levqor_load_tier{tier=low}": 0,
      "levqor_load_tier{tier=medium}": 1,
      "levqor_load_tier{tier=high}": 0,
      "levqor_load_tier{tier=critical}": 0,
      "levqor_requests_per_minute{kind=offered}": 600,
      "levqor_requests_per_minute{kind=admitted}": 450,
      "levqor_capacity_requests_per_minute{}": 1000,
      "levqor_signal_age_seconds{}": 12.5,
      "levqor_uptime_seconds{}": 90.5,
      "levqor_tier_changes_total{}": 3,
      "levqor_circuit_breaker_open{}": 2,
      "levqor_recommended_instances{}": 8,
      "levqor_active_workflows{}": 4,
      "levqor_approval_queue_pending{}": 7,
    });
  });

  it("leaves out what nobody knows", () => {
    const unknown = { load: null, signalAgeMs: null, activeWorkflows: null, approvalQueue: null };
    const left = new Set(samplesOf(factsOf(newTally(), unknown)).keys());
    for (const name of ["load_ratio", "signal_age_seconds", "active_workflows", "approval_queue_pending"])
      expect(left).not.toContain(`levqor_${name}{}`);
    expect(left).toContain("levqor_uptime_seconds{}");
  });

  it("keeps a profile that is no longer in force", () => {
    const tally = newTally();
    countOutcome(tally, "uploads", "low", "admitted", NOW);
    const samples = samplesOf(factsOf(tally));
    expect(samples.get("levqor_requests_total{profile=uploads,tier=low,outcome=admitted}")).toBe(1);
    expect(samples.get("levqor_requests_total{profile=default,tier=low,outcome=admitted}")).toBe(0);
  });
});
