/**
 * A strict reader of Prometheus' text format 0.0.4: what it does not understand, or what a scrape would refuse, throws.
 *
 * Stricter than a scrape in three things that the gateway keeps: every family has HELP and TYPE, no sample has a
 * timestamp, and a histogram is complete and adds up. Written from the format's description, not from the renderer.
 */

/** One line of figures. */
export interface ReadSample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

/** A metric as it was read. */
export interface ReadFamily {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly samples: readonly ReadSample[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*/;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"/;
const VALUE = /^(?:[+-]Inf|NaN|[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)$/;

/** Reads a whole page. */
export function readExposition(page: string): readonly ReadFamily[] {
  if (page !== "" && !page.endsWith("\n")) throw new SyntaxError("expected a line feed at the end");
  const lines = page === "" ? [] : page.slice(0, -1).split("\n");
  const families: ReadFamily[] = [];
  let next = 0;
  while (next < lines.length) {
    const [, helpName = "", help = ""] = matched(/^# HELP (\S+) (.*)$/s, lines[next++]);
    const [, typeName = "", type] = matched(/^# TYPE (\S+) (counter|gauge|histogram)$/, lines[next++]);
    const samples: ReadSample[] = [];
    while (next < lines.length && !lines[next]?.startsWith("#")) samples.push(readSample(lines[next++] ?? ""));
    if (helpName !== typeName) throw new SyntaxError(`HELP of ${helpName}, TYPE of ${typeName}`);
    families.push({ name: helpName, type: type as ReadFamily["type"], help: unescaped(help), samples });
  }
  requireDistinct(families.map(({ name }) => name));
  for (const family of families) checkFamily(family);
  return families;
}

function matched(pattern: RegExp, line: string | undefined): RegExpExecArray {
  const match = pattern.exec(line ?? "");
  if (match === null) throw new SyntaxError(`expected ${pattern}, got ${JSON.stringify(line)}`);
  return match;
}

function readSample(line: string): ReadSample {
  const [name] = matched(NAME, line);
  let rest = line.slice(name.length);
  const labels = new Map<string, string>();
  if (rest.startsWith("{")) {
    rest = rest.slice(1);
    while (!rest.startsWith("}")) {
      const [pair, label = "", text = ""] = matched(LABEL, rest);
      if (labels.has(label)) throw new SyntaxError(`${label} twice: ${line}`);
      labels.set(label, unescaped(text));
      rest = rest.slice(pair.length);
      if (rest.startsWith(",")) rest = rest.slice(1);
      else if (!rest.startsWith("}")) throw new SyntaxError(`expected , or }: ${line}`);
    }
    rest = rest.slice(1);
  }
  const [, text = ""] = matched(/^ (\S+)$/, rest);
  return { name, labels, value: readValue(text) };
}

function readValue(text: string): number {
  matched(VALUE, text);
  return Number(text.replace("Inf", "Infinity"));
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/g, (_, escaped: string) => (escaped === "n" ? "\n" : escaped));
}

function checkFamily({ name, type, samples }: ReadFamily): void {
  if (samples.length === 0) throw new SyntaxError(`${name} has no samples`);
  requireDistinct(samples.map(keyOf));
  if (type === "histogram") checkHistogram(name, samples);
  for (const sample of type === "histogram" ? [] : samples)
    if (sample.name !== name) throw new SyntaxError(`${sample.name} among the samples of ${name}`);
}

/** Buckets rise and end with `+Inf`, which is the count; there is one sum and one count for each set of labels. */
function checkHistogram(name: string, samples: readonly ReadSample[]): void {
  const bySeries = Map.groupBy(samples, ({ labels }) =>
    JSON.stringify([...labels].filter(([label]) => label !== "le")),
  );
  for (const [series, lines] of bySeries) {
    const suffixes = lines.map((sample) => sample.name.slice(name.length));
    const buckets = lines.slice(0, -2);
    const wanted = [...buckets.map(() => "_bucket"), "_sum", "_count"];
    if (suffixes.join() !== wanted.join() || lines.some((sample) => !sample.name.startsWith(name)))
      throw new SyntaxError(`${name}${series}: expected buckets, sum and count, got ${suffixes.join()}`);
    const bounds = buckets.map(({ labels }) => readValue(labels.get("le") ?? ""));
    if (bounds.at(-1) !== Number.POSITIVE_INFINITY || buckets.at(-1)?.value !== lines.at(-1)?.value)
      throw new SyntaxError(`${name}${series}: expected +Inf to be the count`);
    if (
      !isRising(bounds, true) ||
      !isRising(
        buckets.map(({ value }) => value),
        false,
      )
    )
      throw new SyntaxError(`${name}${series}: expected rising buckets`);
  }
}

function isRising(values: readonly number[], strictly: boolean): boolean {
  return values.every((value, i) => i === 0 || value > (values[i - 1] ?? 0) || (!strictly && value === values[i - 1]));
}

function requireDistinct(names: readonly string[]): void {
  if (new Set(names).size !== names.length) throw new SyntaxError(`expected no name twice: ${names.join(" ")}`);
}

function keyOf({ name, labels }: ReadSample): string {
  return JSON.stringify([name, [...labels].map(([label, text]) => `${label}=${text}`).sort()]);
}
