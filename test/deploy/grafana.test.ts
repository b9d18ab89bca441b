import { describe, expect, it } from "vitest";
import { BUILT_IN } from "../../src/policy/limits.ts";
import { TRIGGERS } from "../../src/policy/scaling.ts";
import { DASHBOARD, queries, rows } from "./dashboard.ts";
import { jsonOf } from "./files.ts";
import { strangersIn } from "./metric-names.ts";
import { type Claim, faultsOf } from "./published-types.ts";

const DASHBOARD_API = "@grafana/schema/apis/dashboard.grafana.app/v2";
const TIME_SERIES = "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

const PANELS = rows().flatMap(({ panels }) => panels);

/** The whole as a resource, and each panel's own options, which the resource leaves open. */
function claims(dashboard: unknown): readonly Claim[] {
  const resource: Claim = {
    what: DASHBOARD,
    document: dashboard,
    type: "Spec",
    from: DASHBOARD_API,
    as: '{ apiVersion: "dashboard.grafana.app/v2"; kind: "Dashboard"; metadata: { name: string }; spec: T }',
  };
  const options = PANELS.flatMap(({ title, vizConfig: { spec } }): readonly Claim[] => [
    { what: `${title}: options`, document: spec.options, type: "Options", from: TIME_SERIES },
    { what: `${title}: custom`, document: spec.fieldConfig.defaults.custom, type: "FieldConfig", from: TIME_SERIES },
  ]);
  return [resource, ...options];
}

describe(`deploy/${DASHBOARD}`, () => {
  it("is a dashboard of Grafana's current schema, down to each panel's own options", async () => {
    expect(await faultsOf(claims(jsonOf(DASHBOARD)))).toEqual([]);
  });

  it("would be found out if it were wrong", async () => {
    const text = JSON.stringify(jsonOf(DASHBOARD));
    for (const [from, to] of [
      ['"cursorSync"', '"cursorsync"'],
      ['"hide":"dontHide"', '"hide":"no"'],
      ['"refId"', '"refID"'],
    ] as const)
      expect(await faultsOf(claims(JSON.parse(text.replace(from, to))).slice(0, 1))).not.toEqual([]);
    const custom = { what: "custom", type: "FieldConfig", from: TIME_SERIES };
    expect(await faultsOf([{ ...custom, document: { drawStyle: "lines" } }])).toHaveLength(1);
    expect(await faultsOf([{ ...custom, document: { thresholdStyle: { mode: "area" } } }])).toHaveLength(1);
  });

  it("has the six panels, and a row for the limiter", () => {
    expect(rows().map(({ title, panels }) => [title, panels.map((panel) => panel.title)])).toEqual([
      [
        "Traffic, load and work",
        ["Request Rate", "Response Time", "Error Rate", "Load Level", "Active Workflows", "Approval Queue"],
      ],
      ["The limiter", ["Refusals by Profile", "Counter Calls per Request", "Signal Age", "Recommended Instances"]],
    ]);
  });

  it("asks the Prometheus that its variable names, whichever that is", () => {
    const { variables } = (jsonOf(DASHBOARD) as { spec: { variables: readonly { spec: object }[] } }).spec;
    expect(variables).toMatchObject([
      { kind: "DatasourceVariable", spec: { name: "datasource", pluginId: "prometheus" } },
    ]);
    for (const { data } of PANELS)
      for (const { spec } of data.spec.queries)
        expect(spec.query).toMatchObject({
          group: "prometheus",
          datasource: { name: expect.stringMatching(/^\$\{datasource\}$/) },
        });
  });

  it("draws the bands of the built-in tiers behind load, and the lines of what is too much", () => {
    const defaultsOf = (title: string) =>
      PANELS.find((panel) => panel.title === title)?.vizConfig.spec.fieldConfig.defaults;
    const { medium, high, critical } = BUILT_IN.thresholds;
    const load = defaultsOf("Load Level");
    expect(load).toMatchObject({ unit: "percentunit", max: 1, custom: { thresholdsStyle: { mode: "area" } } });
    expect(load?.thresholds?.steps.map(({ value }) => value)).toEqual([null, medium, high, critical]);
    const lineOf = (title: string) => defaultsOf(title)?.thresholds?.steps.map(({ value }) => value);
    expect(lineOf("Approval Queue")).toEqual([null, TRIGGERS.queue_pending.up.threshold]);
    expect(lineOf("Response Time")).toEqual([null, TRIGGERS.response_time_p95_ms.up.threshold / 1000]);
    expect(lineOf("Signal Age")).toEqual([null, BUILT_IN.signal.maxAgeMs / 1000]);
  });

  it("asks only for metrics and labels that the gateway has, with values they can have", () => {
    expect(queries("2m").flatMap(({ panel, expr }) => strangersIn(expr).map((name) => `${panel}: ${name}`))).toEqual(
      [],
    );
    expect(queries("2m").every(({ expr }) => expr.includes("levqor_"))).toBe(true);
  });

  it("gives every panel an element of its own and an identifier of its own", () => {
    const { elements } = (jsonOf(DASHBOARD) as { spec: { elements: Record<string, { spec: { id: number } }> } }).spec;
    expect(Object.keys(elements)).toHaveLength(PANELS.length);
    expect(new Set(Object.values(elements).map(({ spec }) => spec.id)).size).toBe(PANELS.length);
  });
});
