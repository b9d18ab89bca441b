/**
 * A capacity plan: how many instances a peak needs, what they carry, what of it runs out first, and what the tier
 * tables let in at that size.
 *
 * Four things run out: requests, users, workflows, AI calls. Where more of the demand is known than the peak, the
 * bottleneck is what needs the most instances. Where only the peak is known, it is what the fewest clients exhaust that
 * use their whole limit at low load; limits hold for one client each, and know nothing of the sum.
 *
 * The price: an instance type is one row of a table. What a request really costs is for a load test to say.
 *
 * Pure.
 */
import { DEFAULT_PROFILE, type TierTables } from "./limits.ts";
import { neededInstances, type ScalingRules } from "./scaling.ts";
import { getLoadTier, TIERS, type Tier } from "./tier.ts";

/** What can run out, each in the unit it is planned in. */
export const RESOURCES = ["requests_per_second", "users", "workflows_per_minute", "ai_calls_per_minute"] as const;

/** One of the four. */
export type Resource = (typeof RESOURCES)[number];

/** What is asked of the origin at its peak; null: nobody knows. */
export type Demand = Readonly<Record<Resource, number | null>> & { readonly requests_per_second: number };

/** One row of the capacity table. */
export interface InstanceType {
  readonly memoryGb: number;
  /** From cheap requests to dear ones: at least, at most. */
  readonly requestsPerSecond: readonly [number, number];
  readonly users: number;
  readonly workflowsPerMinute: number;
  readonly aiCallsPerMinute: number;
}

/** The capacity table, smallest first. What one instance is planned to carry is that of the smallest. */
export const INSTANCE_TYPES: readonly [InstanceType, ...InstanceType[]] = [
  { memoryGb: 1, requestsPerSecond: [50, 100], users: 100, workflowsPerMinute: 20, aiCallsPerMinute: 10 },
  { memoryGb: 2, requestsPerSecond: [100, 200], users: 200, workflowsPerMinute: 40, aiCallsPerMinute: 20 },
  { memoryGb: 4, requestsPerSecond: [200, 400], users: 400, workflowsPerMinute: 80, aiCallsPerMinute: 40 },
];

/** A fleet of equal instances. */
export interface Fleet {
  readonly type: InstanceType;
  /** Within the rules. */
  readonly instances: number;
  /** Without bounds. */
  readonly wanted: number;
  /** What the whole fleet is planned to carry. */
  readonly carries: Readonly<Record<Resource, number>>;
  /** Of requests per second: at least, at most. */
  readonly requestsPerSecond: readonly [number, number];
}

/** What runs out first. */
export interface Bottleneck {
  readonly resource: Resource;
  /** Others that run out at the same moment. */
  readonly tiedWith: readonly Resource[];
  readonly basis: "demand" | "limits";
}

/** One tier at the planned size. */
export interface TierPlan {
  readonly tier: Tier;
  /** Requests per minute at which the tier begins, if load is taken against what the fleet carries. */
  readonly fromRequestsPerMinute: number;
  /** Units per window and client, by profile. */
  readonly limits: Readonly<Record<string, number>>;
  /** How many clients that use their whole limit the fleet carries; infinite where the limit is 0. */
  readonly clientsAtLimit: Readonly<Record<Resource, number>>;
}

/** Load at the peak, against one idea of capacity. */
export interface PeakLoad {
  readonly capacityRpm: number;
  /** Not clamped: above 1 is more than capacity. */
  readonly ratio: number;
  readonly tier: Tier;
}

/** The whole plan; everything but `fleets` is for the smallest type. */
export interface CapacityPlan {
  readonly fleets: readonly Fleet[];
  readonly bottleneck: Bottleneck;
  readonly tiers: readonly TierPlan[];
  /** Against what the fleet carries, and against the `capacityRpm` of the tables. */
  readonly peakLoad: { readonly fleet: PeakLoad; readonly tables: PeakLoad };
}

/** The plan for a demand. */
export function planCapacity(demand: Demand, rules: ScalingRules, tables: TierTables): CapacityPlan {
  const [smallest] = INSTANCE_TYPES;
  const fleet = fleetOf(smallest, demand, rules);
  const tiers = TIERS.map((tier) => tierPlan(tier, fleet, tables));
  return {
    fleets: INSTANCE_TYPES.map((type) => fleetOf(type, demand, rules)),
    bottleneck: bottleneckOf(demand, fleet, tiers),
    tiers,
    peakLoad: {
      fleet: peakLoad(demand, fleet.carries.requests_per_second * 60, tables),
      tables: peakLoad(demand, tables.capacityRpm, tables),
    },
  };
}

function fleetOf(type: InstanceType, demand: Demand, rules: ScalingRules): Fleet {
  const one = carriedByOne(type, rules);
  const wanted = Math.max(...RESOURCES.map((resource) => neededInstances(demand[resource] ?? 0, one[resource])));
  const instances = Math.min(rules.maxInstances, Math.max(rules.minInstances, wanted));
  const [atLeast, atMost] = type.requestsPerSecond;
  return {
    type,
    instances,
    wanted,
    carries: byResource((resource) => one[resource] * instances),
    requestsPerSecond: [atLeast * instances, atMost * instances],
  };
}

function carriedByOne(type: InstanceType, { rpsPerInstance }: ScalingRules): Readonly<Record<Resource, number>> {
  return {
    requests_per_second: (rpsPerInstance * type.memoryGb) / INSTANCE_TYPES[0].memoryGb,
    users: type.users,
    workflows_per_minute: type.workflowsPerMinute,
    ai_calls_per_minute: type.aiCallsPerMinute,
  };
}

function tierPlan(tier: Tier, { carries }: Fleet, { profiles, thresholds }: TierTables): TierPlan {
  const perMinute = (name: string): number => {
    const profile = profiles[name];
    if (profile === undefined) throw new RangeError(`profiles: expected one named ${name}`);
    return (profile.limits[tier] * 60_000) / profile.windowMs;
  };
  return {
    tier,
    fromRequestsPerMinute: carries.requests_per_second * 60 * (tier === "low" ? 0 : thresholds[tier]),
    limits: Object.fromEntries(Object.entries(profiles).map(([name, { limits }]) => [name, limits[tier]])),
    clientsAtLimit: {
      requests_per_second: (carries.requests_per_second * 60) / perMinute(DEFAULT_PROFILE),
      users: carries.users,
      workflows_per_minute: carries.workflows_per_minute / perMinute("workflows"),
      ai_calls_per_minute: carries.ai_calls_per_minute / perMinute("ai-chat"),
    },
  };
}

/** The scarcest, and what is equally scarce; of equals the one that an instance carries the least of comes first. */
function bottleneckOf(demand: Demand, { carries }: Fleet, [low]: readonly TierPlan[]): Bottleneck {
  const known = RESOURCES.filter((resource) => demand[resource] !== null);
  const byDemand = known.length > 1 || low === undefined;
  const room = (resource: Resource) =>
    byDemand ? carries[resource] / (demand[resource] ?? 0) : low.clientsAtLimit[resource];
  const candidates = (byDemand ? known : [...RESOURCES]).sort((a, b) => room(a) - room(b) || carries[a] - carries[b]);
  const [resource = "requests_per_second", ...others] = candidates;
  const tiedWith = others.filter((other) => room(other) === room(resource));
  return { resource, tiedWith, basis: byDemand ? "demand" : "limits" };
}

function peakLoad(demand: Demand, capacityRpm: number, { thresholds }: TierTables): PeakLoad {
  const ratio = (demand.requests_per_second * 60) / capacityRpm;
  return { capacityRpm, ratio, tier: getLoadTier(ratio, thresholds) };
}

function byResource(value: (resource: Resource) => number): Readonly<Record<Resource, number>> {
  return {
    requests_per_second: value("requests_per_second"),
    users: value("users"),
    workflows_per_minute: value("workflows_per_minute"),
    ai_calls_per_minute: value("ai_calls_per_minute"),
  };
}
