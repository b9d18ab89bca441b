/**
 * Every metric the gateway shows: name, type, help, and the labels with the values they may have.
 *
 * Dashboards, rules and other people's scripts depend on these names, so they change only on purpose. Every label's
 * values are bounded: by a list, or, for `profile`, by the names in force (64) and those the meter remembers (129).
 *
 * Pure.
 */
import { BUCKETS_MS, OUTCOMES, STATUS_CLASSES } from "../policy/tally.ts";
import { TIERS } from "../policy/tier.ts";
import type { Distribution, Family } from "./exposition.ts";

/** Which requests a rate is of. */
export const RATE_KINDS = ["offered", "admitted"] as const;

/** Upper bounds of response times, seconds. */
export const RESPONSE_TIME_BOUNDS: readonly number[] = BUCKETS_MS.map((ms) => ms / 1000);

/** The values a label may have; null: the names of the profiles in force. */
type LabelValues = readonly string[] | null;

interface Metric {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels: Readonly<Record<string, LabelValues>>;
}

const PROFILE = { profile: null } as const;
const NONE = {} as const;

/** The table. */
export const METRICS = {
  levqor_requests_total: {
    type: "counter",
    help: "Requests by what became of them.",
    labels: { ...PROFILE, tier: TIERS, outcome: OUTCOMES },
  },
  levqor_responses_total: {
    type: "counter",
    help: "Answers of the origin and of the cache, by class of status.",
    labels: { ...PROFILE, status: STATUS_CLASSES },
  },
  levqor_response_time_seconds: {
    type: "histogram",
    help: "Time until the origin's response headers.",
    labels: PROFILE,
  },
  levqor_load_ratio: { type: "gauge", help: "Load, 0 to 1, that the tier follows.", labels: NONE },
  levqor_load_tier: { type: "gauge", help: "1 for the tier in force, 0 for the others.", labels: { tier: TIERS } },
  levqor_requests_per_minute: {
    type: "gauge",
    help: "Requests of the last minute: offered to the gateway, and admitted to the origin.",
    labels: { kind: RATE_KINDS },
  },
  levqor_capacity_requests_per_minute: {
    type: "gauge",
    help: "Requests per minute that the origin is taken to carry.",
    labels: NONE,
  },
  levqor_signal_age_seconds: { type: "gauge", help: "Age of the signal that load is taken from.", labels: NONE },
  levqor_uptime_seconds: { type: "gauge", help: "Time since the gateway began to keep figures.", labels: NONE },
  levqor_tier_changes_total: { type: "counter", help: "Changes of tier.", labels: NONE },
  levqor_config_rejected_total: { type: "counter", help: "Documents that were refused.", labels: NONE },
  levqor_counter_calls_total: { type: "counter", help: "Calls to counters.", labels: NONE },
  levqor_counter_rows_written_total: { type: "counter", help: "Rows that counters have written.", labels: NONE },
  levqor_counter_failures_total: { type: "counter", help: "Calls to counters that were not answered.", labels: NONE },
  levqor_denied_locally_total: {
    type: "counter",
    help: "Refusals that an isolate knew by itself, without a call to a counter.",
    labels: NONE,
  },
  levqor_requests_without_address_total: {
    type: "counter",
    help: "Requests whose client had no readable address; more than none means a misconfigured zone.",
    labels: NONE,
  },
  levqor_circuit_breaker_open: {
    type: "gauge",
    help: "Isolates whose circuit breaker is open or half-open.",
    labels: NONE,
  },
  levqor_circuit_breaker_moves_total: {
    type: "counter",
    help: "Moves of circuit breakers into each state.",
    labels: { to: ["open", "half-open", "closed"] },
  },
  levqor_requests_in_flight: { type: "gauge", help: "Requests that wait for the origin.", labels: NONE },
  levqor_recommended_instances: {
    type: "gauge",
    help: "Instances that the offered requests of the last hour need at their peak.",
    labels: NONE,
  },
  levqor_active_workflows: { type: "gauge", help: "Active workflows, as the origin reports them.", labels: NONE },
  levqor_approval_queue_pending: {
    type: "gauge",
    help: "Approvals that are pending, as the origin reports them.",
    labels: NONE,
  },
} as const satisfies Readonly<Record<string, Metric>>;

/** A metric by its name. */
export type MetricName = keyof typeof METRICS;

type Table = typeof METRICS;
type NamesOf<T extends Metric["type"]> = { [N in MetricName]: Table[N]["type"] extends T ? N : never }[MetricName];
type Unlabelled = { [N in MetricName]: keyof Table[N]["labels"] extends never ? N : never }[MetricName];

/** The labels a metric has, each with the values it may have. */
export type LabelsOf<N extends MetricName> = {
  readonly [L in keyof Table[N]["labels"]]: Table[N]["labels"][L] extends readonly (infer V extends string)[]
    ? V
    : string;
};

/** A counter or a gauge with its samples, ready to be rendered. */
export function family<N extends NamesOf<"counter" | "gauge">>(
  name: N,
  samples: readonly { readonly labels: LabelsOf<N>; readonly value: number }[],
): Family {
  const { type, help } = METRICS[name];
  return { name, type, help, samples };
}

/** A metric without labels. null: nobody knows its value, and it is left out. */
export function figure(name: Unlabelled, value: number | null): Family {
  const { type, help } = METRICS[name];
  return { name, type, help, samples: value === null ? [] : [{ labels: {}, value }] };
}

/** A histogram with its distributions, whose buckets are those of `RESPONSE_TIME_BOUNDS`. */
export function histogram<N extends NamesOf<"histogram">>(
  name: N,
  samples: readonly (Distribution & { readonly labels: LabelsOf<N> })[],
): Family {
  return { name, type: "histogram", help: METRICS[name].help, bounds: RESPONSE_TIME_BOUNDS, samples };
}
