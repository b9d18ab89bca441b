/**
 * CPU per request of every subject on every path, as a bar chart (SVG) that reads on light and on dark pages.
 *
 * Pure.
 */
import { type Results, type Row, rowsOf } from "./results.ts";

const TITLES: Readonly<Record<Row["path"], string>> = {
  busy: "One busy client, admitted",
  new: "Every request a new client",
  zipf: "1,000 clients by Zipf, admitted",
  flood: "One client far over its limit, refused",
};

const LABELS: Readonly<Record<Row["subject"], string>> = {
  bare: "bare Hono proxy",
  fields: "Hono proxy, same header fields",
  constant: "constant 429, same fields",
  naive: "naive: one call per request",
  "naive-in-memory": "naive, in memory",
  "hono-rate-limiter": "hono-rate-limiter 0.4.2",
  gateway: "levqor-edge",
  "without-cache": "without the edge cache",
  "without-observation": "without observation",
};

const WIDTH = 860;
const LEFT = 236;
const RIGHT = 96;
const BAR = 16;
const STEP = 22;
const TITLE = 34;
const TOP = 52;

/** The chart. */
export function chartOf(results: Results): string {
  const rows = rowsOf(results);
  const groups = Map.groupBy(rows, (row) => row.path);
  const widest = Math.max(...rows.map((row) => row.cpu_us));
  const scale = (us: number) => (us / widest) * (WIDTH - LEFT - RIGHT);
  const parts: string[] = [];
  let y = TOP;
  for (const [path, group] of groups) {
    parts.push(`<text x="16" y="${y + 20}" class="title">${TITLES[path]}</text>`);
    y += TITLE;
    for (const row of group.toSorted((a, b) => a.cpu_us - b.cpu_us)) {
      parts.push(bar(row, y, scale(row.cpu_us)));
      y += STEP;
    }
  }
  const height = y + 36;
  const note = `${escaped(results.machine)}, ${results.date.slice(0, 10)}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="CPU per request, microseconds">
<style>
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
  .head { font-size: 16px; font-weight: 600; }
  .title { font-weight: 600; }
  .faint { fill: #59636e; font-size: 12px; }
  .us { font-variant-numeric: tabular-nums; }
  .other { fill: #9aa4af; }
  .own { fill: #0b7a75; }
  .strong { font-weight: 600; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .faint { fill: #9198a1; }
    .other { fill: #5b6570; }
    .own { fill: #2bb5ae; }
  }
</style>
<text x="16" y="26" class="head">CPU per request in bare workerd, microseconds (less is better)</text>
<text x="16" y="44" class="faint">each alone on its processor, median of the rounds</text>
${parts.join("\n")}
<text x="16" y="${height - 14}" class="faint">${note}</text>
</svg>
`;
}

function bar({ subject, cpu_us }: Row, y: number, width: number): string {
  const isOwn = subject === "gateway";
  const emphasis = isOwn ? ' class="strong"' : "";
  return `<text x="${LEFT - 10}" y="${y + 13}" text-anchor="end"${emphasis}>${LABELS[subject]}</text><rect x="${LEFT}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="2" class="${isOwn ? "own" : "other"}"/><text x="${(LEFT + width + 8).toFixed(1)}" y="${y + 13}" class="us${isOwn ? " strong" : ""}">${cpu_us.toFixed(0)} &#181;s</text>`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
