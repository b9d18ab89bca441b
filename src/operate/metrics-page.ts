/**
 * What a scrape shows, out of what the meter has stored and what is in force.
 *
 * Every set of labels in force is there from the start, at 0: a counter that appears with its first event has no rate
 * before the second. A profile that was renamed stays as long as the meter remembers it, since counters never go back.
 *
 * Pure.
 */
import {
  BUCKET_COUNT,
  BUCKETS_AT,
  EVENTS,
  type MeterEvent,
  OUTCOMES,
  outcomeAt,
  RESPONSE_MS_AT,
  STATUS_AT,
  STATUS_CLASSES,
} from "../policy/tally.ts";
import { TIERS, type Tier } from "../policy/tier.ts";
import type { Family } from "./exposition.ts";
import { family, figure, histogram } from "./metric-table.ts";

/** All that is shown; null: nobody knows it, and it is left out. */
export interface MetricFacts {
  readonly meter: {
    readonly totals: ReadonlyMap<string, readonly number[]>;
    readonly events: readonly number[];
    readonly startedMs: number;
  };
  /** Names of the profiles in force. */
  readonly profiles: readonly string[];
  readonly nowMs: number;
  /** 0..1. */
  readonly load: number | null;
  readonly tier: Tier;
  readonly offeredPerMinute: number;
  readonly admittedPerMinute: number;
  readonly capacityRpm: number;
  readonly signalAgeMs: number | null;
  readonly tierChanges: number;
  /** Isolates whose breaker is not closed. */
  readonly openBreakers: number;
  /** Requests at the origin. */
  readonly inFlight: number;
  readonly recommendedInstances: number;
  readonly activeWorkflows: number | null;
  readonly approvalQueue: number | null;
}

/** Every metric of the table, in its order. */
export function metricFamilies(facts: MetricFacts): readonly Family[] {
  const { totals } = facts.meter;
  const rows = [...new Set([...facts.profiles, ...totals.keys()])].map((profile) => ({
    profile,
    at: (column: number) => totals.get(profile)?.[column] ?? 0,
  }));
  const event = (name: MeterEvent) => facts.meter.events[EVENTS.indexOf(name)] ?? 0;
  const inSeconds = (ms: number | null) => (ms === null ? null : ms / 1000);
  return [
    family(
      "levqor_requests_total",
      rows.flatMap(({ profile, at }) =>
        TIERS.flatMap((tier) =>
          OUTCOMES.map((outcome) => ({ labels: { profile, tier, outcome }, value: at(outcomeAt(tier, outcome)) })),
        ),
      ),
    ),
    family(
      "levqor_responses_total",
      rows.flatMap(({ profile, at }) =>
        STATUS_CLASSES.map((status, i) => ({ labels: { profile, status }, value: at(STATUS_AT + i) })),
      ),
    ),
    histogram(
      "levqor_response_time_seconds",
      rows.map(({ profile, at }) => ({
        labels: { profile },
        counts: Array.from({ length: BUCKET_COUNT }, (_, i) => at(BUCKETS_AT + i)),
        sum: at(RESPONSE_MS_AT) / 1000,
      })),
    ),
    figure("levqor_load_ratio", facts.load),
    family(
      "levqor_load_tier",
      TIERS.map((tier) => ({ labels: { tier }, value: tier === facts.tier ? 1 : 0 })),
    ),
    family("levqor_requests_per_minute", [
      { labels: { kind: "offered" }, value: facts.offeredPerMinute },
      { labels: { kind: "admitted" }, value: facts.admittedPerMinute },
    ]),
    figure("levqor_capacity_requests_per_minute", facts.capacityRpm),
    figure("levqor_signal_age_seconds", inSeconds(facts.signalAgeMs)),
    figure("levqor_uptime_seconds", inSeconds(facts.nowMs - facts.meter.startedMs)),
    figure("levqor_tier_changes_total", facts.tierChanges),
    figure("levqor_config_rejected_total", event("documentsRefused")),
    figure("levqor_counter_calls_total", event("counterCalls")),
    figure("levqor_counter_rows_written_total", event("counterRowsWritten")),
    figure("levqor_counter_failures_total", event("counterFailures")),
    figure("levqor_denied_locally_total", event("deniedLocally")),
    figure("levqor_requests_without_address_total", event("withoutAddress")),
    figure("levqor_circuit_breaker_open", facts.openBreakers),
    family("levqor_circuit_breaker_moves_total", [
      { labels: { to: "open" }, value: event("circuitOpened") },
      { labels: { to: "half-open" }, value: event("circuitHalfOpened") },
      { labels: { to: "closed" }, value: event("circuitClosed") },
    ]),
    figure("levqor_requests_in_flight", facts.inFlight),
    figure("levqor_recommended_instances", facts.recommendedInstances),
    figure("levqor_active_workflows", facts.activeWorkflows),
    figure("levqor_approval_queue_pending", facts.approvalQueue),
  ];
}
