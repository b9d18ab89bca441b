/**
 * Prometheus' text format 0.0.4 from plain data: families in, one page out.
 *
 * A histogram is handed over as what fell into each bucket, not as running sums: cumulative counts, `+Inf`, `_sum` and
 * `_count` are made here and cannot contradict each other. A family without samples is left out whole, so that what
 * nobody reports is absent and not 0. The price: names and label names are not checked, since they come from a table of
 * our own; values and help texts are escaped, since they may not.
 *
 * Pure. Source: Prometheus' documentation, "Exposition formats", text format 0.0.4.
 */

/** The `Content-Type` of a page. */
export const EXPOSITION_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** In the order they are written; no two samples of a family have equal ones. */
export type Labels = Readonly<Record<string, string>>;

/** One value of a counter or a gauge. */
export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

/** What was observed under one set of labels. */
export interface Distribution {
  readonly labels: Labels;
  /** Observations in each bucket alone; one more than there are bounds, the last for all above. Whole numbers. */
  readonly counts: readonly number[];
  /** All observations added up. */
  readonly sum: number;
}

/** A metric with its samples. */
export type Family = { readonly name: string; readonly help: string } & (
  | { readonly type: "counter" | "gauge"; readonly samples: readonly Sample[] }
  | {
      readonly type: "histogram";
      /** Upper bounds, rising, without `+Inf`. */
      readonly bounds: readonly number[];
      readonly samples: readonly Distribution[];
    }
);

/**
 * The page that a scrape of these families gets.
 *
 * @throws RangeError on a distribution that does not fit its bounds.
 */
export function renderExposition(families: readonly Family[]): string {
  return families.map(renderFamily).join("");
}

function renderFamily(family: Family): string {
  if (family.samples.length === 0) return "";
  const { name, help, type } = family;
  return `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n${renderSamples(family)}`;
}

function renderSamples(family: Family): string {
  switch (family.type) {
    case "counter":
    case "gauge":
      return family.samples.map(({ labels, value }) => line(family.name, labels, value)).join("");
    case "histogram":
      return family.samples.map((sample) => renderDistribution(family.name, family.bounds, sample)).join("");
  }
}

function renderDistribution(name: string, bounds: readonly number[], { labels, counts, sum }: Distribution): string {
  if (counts.length !== bounds.length + 1)
    throw new RangeError(`counts: expected ${bounds.length + 1} buckets for ${name}, got ${counts.length}`);
  let total = 0;
  const buckets = counts.map((count, index) => {
    total += count;
    return line(`${name}_bucket`, { ...labels, le: number(bounds[index] ?? Number.POSITIVE_INFINITY) }, total);
  });
  return `${buckets.join("")}${line(`${name}_sum`, labels, sum)}${line(`${name}_count`, labels, total)}`;
}

function line(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
  return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${number(value)}\n`;
}

function number(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  if (value === Number.NEGATIVE_INFINITY) return "-Inf";
  return String(value);
}

function escapeHelp(text: string): string {
  return text.toWellFormed().replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}
