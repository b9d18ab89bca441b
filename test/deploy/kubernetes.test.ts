import { ScaledObject, TriggerAuthentication } from "@kubernetes-models/keda/keda.sh/v1alpha1";
import { Deployment } from "kubernetes-models/apps/v1";
import { HorizontalPodAutoscaler } from "kubernetes-models/autoscaling/v2";
import { describe, expect, it } from "vitest";
import { endpointsOf, profileFor } from "../../src/policy/endpoint.ts";
import { BUILT_IN } from "../../src/policy/limits.ts";
import { SCALING, TRIGGERS } from "../../src/policy/scaling.ts";
import { RULE } from "../policy/closed-loop.ts";
import { textOf, yamlOf } from "./files.ts";
import { type Claim, faultsOf } from "./published-types.ts";

const FILES = ["kubernetes/hpa.yaml", "kubernetes/scaledobject.yaml", "kubernetes/deployment-probes.yaml"];

const K8S = "kubernetes-models";
const KEDA = "@kubernetes-models/keda/keda.sh/v1alpha1";

/** The model of each kind, and the interface that it implements. */
const KINDS = {
  HorizontalPodAutoscaler: { Model: HorizontalPodAutoscaler, from: `${K8S}/autoscaling/v2` },
  Deployment: { Model: Deployment, from: `${K8S}/apps/v1` },
  ScaledObject: { Model: ScaledObject, from: KEDA },
  TriggerAuthentication: { Model: TriggerAuthentication, from: KEDA },
} as const;

type Kind = keyof typeof KINDS;

/** What of each kind is looked at below; the schemas look at the whole. */
interface Behavior {
  readonly stabilizationWindowSeconds: number;
  readonly policies: readonly { readonly type: string; readonly value: number; readonly periodSeconds: number }[];
}
interface Behaviors {
  readonly scaleUp: Behavior;
  readonly scaleDown: Behavior;
}
interface Probe {
  readonly httpGet?: { readonly path: string };
  readonly periodSeconds: number;
}

function kindOf(document: unknown): Kind {
  const kind = typeof document === "object" && document !== null && "kind" in document ? document.kind : undefined;
  if (typeof kind !== "string" || !Object.hasOwn(KINDS, kind))
    throw new RangeError(`kind: expected one that is known, got ${String(kind)}`);
  return kind as Kind;
}

const DOCUMENTS = FILES.flatMap((file) => yamlOf(file).map((document) => ({ file, kind: kindOf(document), document })));

function specOf<S>(kind: Kind): S {
  const found = DOCUMENTS.find((each) => each.kind === kind);
  if (found === undefined) throw new RangeError(`expected a ${kind}`);
  return (found.document as { spec: S }).spec;
}

function claimOf({ file, kind, document }: { file: string; kind: Kind; document: unknown }): Claim {
  return { what: file, document, type: `I${kind}`, from: KINDS[kind].from };
}

function validate(kind: Kind, document: unknown): void {
  const { Model } = KINDS[kind] as { Model: new (data: unknown) => { validate(): void } };
  new Model(document).validate();
}

describe("deploy/kubernetes", () => {
  it.each(DOCUMENTS)("$file: the $kind passes the schema of its kind", ({ kind, document }) => {
    validate(kind, document);
  });

  it("has no member that its kinds do not have", async () => {
    expect(await faultsOf(DOCUMENTS.map(claimOf))).toEqual([]);
  });

  it("would be found out by both if it were wrong", async () => {
    const typos = DOCUMENTS.map((each) => {
      const document = each.document as { spec: object };
      return claimOf({ ...each, document: { ...document, spec: { ...document.spec, replica: 3 } } });
    });
    expect(await faultsOf(typos)).toHaveLength(DOCUMENTS.length);
    for (const { kind, document } of DOCUMENTS) {
      expect(() => validate(kind, { ...(document as object), spec: 3 })).toThrow("spec must be object");
      expect(() => validate(kind, { ...(document as object), apiVersion: "v0" })).toThrow("apiVersion");
    }
  });

  it("scales between the bounds of the advice, never to zero", () => {
    const { minInstances, maxInstances } = SCALING;
    expect(specOf("HorizontalPodAutoscaler")).toMatchObject({ minReplicas: minInstances, maxReplicas: maxInstances });
    const scaled = specOf<object>("ScaledObject");
    expect(scaled).toMatchObject({ minReplicaCount: minInstances, maxReplicaCount: maxInstances });
    expect(scaled).not.toHaveProperty("idleReplicaCount");
  });

  it("scales by CPU and memory at the thresholds of the triggers", () => {
    const { metrics } = specOf<{ metrics: readonly unknown[] }>("HorizontalPodAutoscaler");
    const utilization = (name: string, averageUtilization: number) => ({
      type: "Resource",
      resource: { name, target: { type: "Utilization", averageUtilization } },
    });
    expect(metrics).toEqual([
      utilization("cpu", TRIGGERS.cpu_percent.up.threshold),
      utilization("memory", TRIGGERS.memory_percent.up.threshold),
    ]);
    const { triggers } = specOf<{ triggers: readonly { type: string; metadata: { value?: string } }[] }>(
      "ScaledObject",
    );
    expect(triggers.map(({ type, metadata }) => [type, metadata.value])).toEqual([
      ["metrics-api", undefined],
      ["cpu", "70"],
      ["memory", "80"],
    ]);
  });

  it("reads the advice with the metrics token, and knows no other", () => {
    const { triggers } = specOf<{ triggers: readonly object[] }>("ScaledObject");
    expect(triggers[0]).toMatchObject({
      metricType: "AverageValue",
      metadata: { valueLocation: "recommended_instances", targetValue: "1", authMode: "bearer" },
      authenticationRef: { name: "levqor-edge-metrics" },
    });
    expect(triggers[0]).toHaveProperty("metadata.url", expect.stringMatching(/^https:.*\/_edge\/scaling$/));
    expect(specOf("TriggerAuthentication")).toEqual({
      secretTargetRef: [{ parameter: "token", name: "levqor-edge-metrics", key: "token" }],
    });
    for (const file of FILES) expect(textOf(file)).not.toContain("ADMIN_TOKEN");
  });

  it("follows the rule that the simulation of the closed loop shows", () => {
    const scaled = specOf<{ advanced: { horizontalPodAutoscalerConfig: { behavior: Behaviors } } }>("ScaledObject");
    const hpa = specOf<{ behavior: Behaviors }>("HorizontalPodAutoscaler");
    for (const { scaleUp, scaleDown } of [scaled.advanced.horizontalPodAutoscalerConfig.behavior, hpa.behavior]) {
      for (const [shipped, simulated] of [
        [scaleUp, RULE.scaleUp],
        [scaleDown, RULE.scaleDown],
      ] as const) {
        expect(shipped).toEqual({
          stabilizationWindowSeconds: simulated.stabilizationSeconds,
          policies: [{ type: "Pods", value: simulated.pods, periodSeconds: simulated.periodSeconds }],
        });
      }
    }
  });

  it("probes less often, all pods together, than the health limit at critical allows one client", () => {
    const { strategy, template } = specOf<{
      strategy: { rollingUpdate: { maxSurge: number } };
      template: {
        spec: { containers: readonly [{ livenessProbe: Probe; readinessProbe: Probe; startupProbe: Probe }] };
      };
    }>("Deployment");
    const [{ livenessProbe, readinessProbe, startupProbe }] = template.spec.containers;
    const endpoints = endpointsOf(BUILT_IN.profiles);
    for (const { httpGet } of [livenessProbe, readinessProbe])
      expect(profileFor(endpoints, "GET", httpGet?.path ?? "")).toBe("health");
    expect(startupProbe.httpGet).toBeUndefined();
    const pods = SCALING.maxInstances + strategy.rollingUpdate.maxSurge;
    const perMinute = pods * (60 / livenessProbe.periodSeconds + 60 / readinessProbe.periodSeconds);
    expect(perMinute).toBeLessThan(BUILT_IN.profiles["health"]?.limits.critical ?? 0);
  });
});
