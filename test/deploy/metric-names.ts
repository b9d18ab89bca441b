/** Looks in queries for what the gateway does not have: a name misspelt there is an empty panel, or an alert that never fires. */
import { METRICS } from "../../src/operate/metric-table.ts";

type Labels = Readonly<Record<string, readonly string[] | null>>;

/** Metrics, labels and label values in `expr` that no metric of the gateway has; recorded series are passed over. */
export function strangersIn(expr: string): readonly string[] {
  return [...expr.matchAll(/\b(levqor_\w+)(?:\{([^}]*)\})?/g)].flatMap(([, name = "", matchers = ""]) => {
    const metric = name.replace(/_(?:bucket|sum|count)$/, "");
    const labels: Labels | undefined = Object.hasOwn(METRICS, metric)
      ? METRICS[metric as keyof typeof METRICS].labels
      : undefined;
    if (labels === undefined) return [name];
    return [...matchers.matchAll(/(\w+)(?:=~|!=|!~|=)"([^"]*)"/g)].flatMap(([, label = "", values = ""]) => {
      const possible = labels[label];
      if (possible === undefined) return [`${name}{${label}}`];
      return possible === null
        ? []
        : values.split("|").flatMap((value) => (possible.includes(value) ? [] : [`${name}{${label}="${value}"}`]));
    });
  });
}
