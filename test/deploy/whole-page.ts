/** A page with every metric of the table, each with every set of labels it can have. */
import { type Family, renderExposition } from "../../src/operate/exposition.ts";
import { METRICS, RESPONSE_TIME_BOUNDS } from "../../src/operate/metric-table.ts";

/** @param step how often the gateway was looked at: counters grow with it, gauges do not. */
export function wholePage(step: number): string {
  return renderExposition(Object.entries(METRICS).map(([name, metric]) => familyOf(name, metric, step)));
}

type Labels = Readonly<Record<string, readonly string[] | null>>;

function familyOf(name: string, { type, help, labels }: (typeof METRICS)[keyof typeof METRICS], step: number): Family {
  const sets = labelSets(labels);
  switch (type) {
    case "histogram": {
      const counts = [...RESPONSE_TIME_BOUNDS.map(() => step), step];
      const samples = sets.map((set) => ({ labels: set, counts, sum: step * 2 }));
      return { name, type, help, bounds: RESPONSE_TIME_BOUNDS, samples };
    }
    case "counter":
      return { name, type, help, samples: sets.map((set, i) => ({ labels: set, value: (i + 1) * step })) };
    case "gauge":
      return { name, type, help, samples: sets.map((set, i) => ({ labels: set, value: i / sets.length })) };
  }
}

function labelSets(labels: Labels): readonly Readonly<Record<string, string>>[] {
  return Object.entries(labels).reduce<readonly Readonly<Record<string, string>>[]>(
    (sets, [label, values]) =>
      sets.flatMap((set) => (values ?? ["default", "ai-chat"]).map((value) => ({ ...set, [label]: value }))),
    [{}],
  );
}
