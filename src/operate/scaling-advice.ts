/**
 * The advice as autoscalers read it, under `/_edge/scaling`.
 *
 * Pure.
 */
import { recommendInstances, type ScalingRules, type TriggerReport } from "../policy/scaling.ts";

/** The document; KEDA's metrics-api scaler and the AWS script read `recommended_instances`. */
export interface ScalingDocument {
  readonly recommended_instances: number;
  readonly peak_rps: number;
  readonly triggers: readonly {
    readonly name: string;
    readonly value: number | null;
    readonly latest: number | null;
    readonly threshold: number;
    readonly held_seconds: number;
    readonly for_seconds: number;
    readonly verdict: TriggerReport["verdict"];
  }[];
}

/**
 * The document of a peak and of what the triggers say.
 *
 * @param peakRps offered requests per second in the busiest minute of the last hour; see `peakRpsOf`.
 */
export function scalingDocument(
  peakRps: number,
  rules: ScalingRules,
  reports: readonly TriggerReport[],
): ScalingDocument {
  return {
    recommended_instances: recommendInstances(peakRps, rules),
    peak_rps: rounded(peakRps),
    triggers: reports.map(({ name, value, latest, threshold, heldMs, forMs, verdict }) => ({
      name,
      value: value === null ? null : rounded(value),
      latest: latest === null ? null : rounded(latest),
      threshold,
      held_seconds: Math.floor(heldMs / 1000),
      for_seconds: forMs / 1000,
      verdict,
    })),
  };
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
