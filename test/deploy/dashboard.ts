/** The dashboard, as far as tests look at it: its panels, and the queries they send. */
import { jsonOf } from "./files.ts";

/** A panel of the current schema. */
export interface Panel {
  readonly title: string;
  readonly data: {
    readonly spec: {
      readonly queries: readonly {
        readonly spec: {
          readonly query: {
            readonly group: string;
            readonly datasource: { readonly name: string };
            readonly spec: { readonly expr: string; readonly legendFormat: string; readonly range: boolean };
          };
        };
      }[];
    };
  };
  readonly vizConfig: {
    readonly group: string;
    readonly spec: {
      readonly options: object;
      readonly fieldConfig: {
        readonly defaults: {
          readonly unit: string;
          readonly max?: number;
          readonly custom: { readonly thresholdsStyle?: { readonly mode: string } };
          readonly thresholds?: {
            readonly steps: readonly { readonly value: number | null; readonly color: string }[];
          };
        };
      };
    };
  };
}

/** Rows of the dashboard, each with its panels in order. */
export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

interface Item {
  readonly spec: { readonly element: { readonly name: string } };
}
interface Dashboard {
  readonly spec: {
    readonly elements: Readonly<Record<string, { readonly spec: Panel }>>;
    readonly layout: {
      readonly spec: {
        readonly rows: readonly {
          readonly spec: {
            readonly title: string;
            readonly layout: { readonly spec: { readonly items: readonly Item[] } };
          };
        }[];
      };
    };
  };
}

/** The dashboard's file, under `deploy/`. */
export const DASHBOARD = "grafana/levqor-edge.json";

/** What is on the dashboard; throws where the layout shows an element that is not there. */
export function rows(): readonly Row[] {
  const { elements, layout } = (jsonOf(DASHBOARD) as Dashboard).spec;
  return layout.spec.rows.map(({ spec }) => ({
    title: spec.title,
    panels: spec.layout.spec.items.map(({ spec: { element } }) => {
      const panel = elements[element.name]?.spec;
      if (panel === undefined) throw new RangeError(`element: expected one of elements, got ${element.name}`);
      return panel;
    }),
  }));
}

/**
 * Every query of the dashboard as Prometheus gets it.
 *
 * @param rateInterval what Grafana would put in place of `$__rate_interval`, at least four scrapes long: `"2m"`.
 */
export function queries(rateInterval: string): readonly { readonly panel: string; readonly expr: string }[] {
  return rows().flatMap(({ panels }) =>
    panels.flatMap(({ title, data }) =>
      data.spec.queries.map(({ spec }) => ({
        panel: title,
        expr: spec.query.spec.expr.replaceAll("$__rate_interval", rateInterval),
      })),
    ),
  );
}
