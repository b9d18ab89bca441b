/**
 * A capacity plan as a person reads it, and as a program does.
 *
 * Pure.
 */
import {
  type Bottleneck,
  type CapacityPlan,
  type Demand,
  type Fleet,
  type PeakLoad,
  RESOURCES,
  type Resource,
} from "../../src/policy/capacity-plan.ts";
import type { ScalingRules } from "../../src/policy/scaling.ts";

const SAID: Readonly<Record<Resource, string>> = {
  requests_per_second: "requests",
  users: "users",
  workflows_per_minute: "workflows",
  ai_calls_per_minute: "AI calls",
};

/** The plan as JSON, with the names of the wire. */
export function planJson(plan: CapacityPlan, demand: Demand, rules: ScalingRules): string {
  const [fleet] = plan.fleets;
  const { resource, tiedWith, basis } = plan.bottleneck;
  const document = {
    peak_rps: demand.requests_per_second,
    instances: fleet?.instances,
    demand,
    scaling: {
      rps_per_instance: rules.rpsPerInstance,
      min_instances: rules.minInstances,
      max_instances: rules.maxInstances,
    },
    instance_types: plan.fleets.map(({ type, instances, wanted, carries, requestsPerSecond }) => ({
      memory_gb: type.memoryGb,
      instances,
      wanted,
      one_carries: {
        requests_per_second: type.requestsPerSecond,
        users: type.users,
        workflows_per_minute: type.workflowsPerMinute,
        ai_calls_per_minute: type.aiCallsPerMinute,
      },
      fleet_carries: { ...carries, requests_per_second: requestsPerSecond },
      planned_requests_per_second: carries.requests_per_second,
    })),
    bottleneck: { resource, tied_with: tiedWith, basis },
    load_at_peak: { of_the_fleet: loadJson(plan.peakLoad.fleet), of_the_tables: loadJson(plan.peakLoad.tables) },
    tiers: plan.tiers.map(({ tier, fromRequestsPerMinute, limits, clientsAtLimit }) => ({
      tier,
      from_requests_per_minute: rounded(fromRequestsPerMinute),
      limits,
      // JSON has no infinity: null is a limit of 0, which no number of clients exhausts.
      clients_at_limit: Object.fromEntries(
        RESOURCES.map((name) => [name, Number.isFinite(clientsAtLimit[name]) ? rounded(clientsAtLimit[name]) : null]),
      ),
    })),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** The plan as text of at most 120 columns, for up to five profiles with short names. */
export function planText(plan: CapacityPlan, demand: Demand, rules: ScalingRules): string {
  const [smallest] = plan.fleets;
  if (smallest === undefined) throw new RangeError("fleets: expected at least one");
  return [
    headline(smallest, demand, rules),
    "",
    table([
      ["type", "instances", "requests/s", "users", "workflows/min", "AI calls/min"],
      ...plan.fleets.map(fleetRow),
    ]),
    "",
    `Bottleneck: ${bottleneckText(plan.bottleneck, plan, demand)}`,
    "",
    tiersText(plan, smallest),
    "",
    loadText(plan.peakLoad, demand),
    "",
  ].join("\n");
}

function headline({ instances, wanted }: Fleet, demand: Demand, rules: ScalingRules): string {
  const { minInstances, maxInstances, rpsPerInstance } = rules;
  const peak = figure(demand.requests_per_second);
  const bounds = `between ${minInstances} and ${maxInstances}`;
  const rule = `one for every ${figure(rpsPerInstance)} a second and one to spare, ${bounds}`;
  const short = wanted > maxInstances ? `\nToo few: the peak needs ${figure(wanted)}.` : "";
  return `${peak} requests a second at the peak: ${instances} instances of 1 GB (${rule}).${short}`;
}

function fleetRow({ type, instances, carries, requestsPerSecond: [atLeast, atMost] }: Fleet): readonly string[] {
  return [
    `${type.memoryGb} GB`,
    figure(instances),
    `${figure(atLeast)}-${figure(atMost)}`,
    ...[carries.users, carries.workflows_per_minute, carries.ai_calls_per_minute].map(figure),
  ];
}

function bottleneckText({ resource, tiedWith, basis }: Bottleneck, { tiers }: CapacityPlan, demand: Demand): string {
  const names = [resource, ...tiedWith].map((name) => SAID[name]).join(" and ");
  switch (basis) {
    case "demand":
      return `${names}. Of the demand given, ${figure(demand[resource] ?? 0)} needs the most instances.`;
    case "limits": {
      const clients = figure(tiers[0]?.clientsAtLimit[resource] ?? 0);
      return `${names}. At low load, ${clients} clients that use their whole limit use up what the fleet carries.`;
    }
  }
}

function tiersText({ tiers }: CapacityPlan, { instances, type }: Fleet): string {
  const profiles = Object.keys(tiers[0]?.limits ?? {});
  const rows = tiers.map(({ tier, fromRequestsPerMinute, limits }) => [
    tier,
    figure(fromRequestsPerMinute),
    ...profiles.map((profile) => figure(limits[profile] ?? 0)),
  ]);
  const clients = tiers.map(({ tier, clientsAtLimit }) => [
    tier,
    ...RESOURCES.map((resource) => figure(clientsAtLimit[resource])),
  ]);
  return [
    `Tiers of ${instances} x ${type.memoryGb} GB, and each profile's limit for one client:`,
    table([["tier", "from req/min", ...profiles], ...rows]),
    "",
    "Clients that use their whole limit, until the fleet is full:",
    table([["tier", ...RESOURCES.map((resource) => SAID[resource])], ...clients]),
  ].join("\n");
}

function loadText({ fleet, tables }: { fleet: PeakLoad; tables: PeakLoad }, demand: Demand): string {
  const perMinute = figure(demand.requests_per_second * 60);
  const said = ({ capacityRpm, ratio, tier }: PeakLoad) =>
    `${figure(capacityRpm)} is load ${ratio.toFixed(2)}, ${tier}`;
  return [
    `Load at the peak, ${perMinute} requests a minute, if all are let in:`,
    `  of what the fleet carries, ${said(fleet)}`,
    `  of capacity_rpm in the tables, ${said(tables)}`,
    fleet.capacityRpm === tables.capacityRpm
      ? "Both agree."
      : `Publish a capacity of ${figure(fleet.capacityRpm)} with the request rate, or set capacity_rpm to it.`,
  ].join("\n");
}

function loadJson({ capacityRpm, ratio, tier }: PeakLoad) {
  return { capacity_rpm: rounded(capacityRpm), ratio: rounded(ratio), tier };
}

/** Columns as wide as their widest cell; the first to the left, figures to the right. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const cell = (text: string, column: number) =>
    column === 0 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0);
  return rows.map((row) => `  ${row.map(cell).join("  ")}`).join("\n");
}

function figure(value: number): string {
  return Number.isFinite(value) ? String(Math.round(value * 10) / 10) : "any";
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
