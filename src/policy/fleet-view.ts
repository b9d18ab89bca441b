/**
 * What the meter knows, as plain data for whoever shows it: health, metrics, advice for scalers.
 *
 * Pure.
 */
import type { Load } from "./load.ts";
import { type LoadLoop, type LoopRules, signalAt } from "./load-loop.ts";
import { type MinuteSums, minutesOf, type Rates, ratesOf } from "./meter-rates.ts";
import { presentOf } from "./reported.ts";
import type { Tier } from "./tier.ts";

/** The fleet at one moment. */
export interface FleetView {
  /** Unix ms since when there are figures. */
  readonly startedMs: number;
  readonly tier: Tier;
  readonly tierChanges: number;
  /** 0..1, that the tier follows. */
  readonly load: number;
  readonly source: "pin" | "external" | "edge";
  /** Of what load is taken from; of the gateway's own: since KV last took it. null: it has no age. */
  readonly signalAgeMs: number | null;
  readonly capacityRpm: number;
  readonly rates: Rates;
  /** Requests at the origin. */
  readonly inFlight: number;
  /** Isolates that leave the origin alone. */
  readonly openCircuits: number;
  /** Since the beginning, by profile; columns as in `tally.ts`. */
  readonly totals: readonly (readonly [profile: string, row: readonly number[]])[];
  /** Since the beginning, one number for each of `EVENTS`. */
  readonly events: readonly number[];
  /** The last hour, oldest first. */
  readonly minutes: readonly MinuteSums[];
}

/**
 * The fleet at `nowMs`.
 *
 * @param said what others than the meter say of load: a pin, or the external signal.
 */
export function viewOf(loop: LoadLoop, rules: LoopRules, said: Load, nowMs: number): FleetView {
  signalAt(loop, rules, nowMs);
  const { meter, fleet } = loop;
  return {
    startedMs: meter.startedMs,
    tier: fleet.tier,
    tierChanges: fleet.changes,
    ...leading(loop, said, rules.tables.capacityRpm, nowMs),
    capacityRpm: rules.tables.capacityRpm,
    rates: ratesOf(meter, nowMs),
    ...presentOf(meter.isolates, nowMs),
    totals: [...meter.totals].map(([profile, row]) => [profile, [...row]] as const),
    events: [...meter.events],
    minutes: minutesOf(meter, nowMs),
  };
}

/** The load that counts, and whose it is. */
function leading({ publication, signal }: LoadLoop, said: Load, capacityRpm: number, nowMs: number) {
  if (said.kind === "pinned") return { load: said.load, source: "pin", signalAgeMs: null } as const;
  const measured = Math.min(1, (signal?.requestsPerMinute ?? 0) / capacityRpm);
  if (said.kind === "measured" && said.load >= measured && said.load > 0)
    return { load: said.load, source: "external", signalAgeMs: said.ageMs } as const;
  const { isOpen, takenMs } = publication;
  const signalAgeMs = isOpen && takenMs !== null ? Math.max(0, nowMs - takenMs) : null;
  return { load: measured, source: "edge", signalAgeMs } as const;
}
