/**
 * The cost curve as a chart (SVG) that reads on light and on dark pages: how often a counter is asked, against how many
 * requests of one client an isolate sees in a window.
 *
 * Pure.
 */
import type { CrowdResult } from "../../test/fleet/crowd.ts";
import { type Cost, pointsOf } from "../../test/fleet/curve.ts";

const WIDTH = 860;
const HEIGHT = 420;
const LEFT = 64;
const RIGHT = 24;
const TOP = 64;
const BOTTOM = 64;
const ASKS_MAX = 1000;
/** Rarer than this, every request costs a call. */
const PER_ISOLATE_MIN = 0.01;
const COLOURS = ["#0b7a75", "#3b6fb6", "#8a5fb0", "#c2604f", "#a0803a"];

/** The chart of crowds that differ only in the number of isolates. */
export function curveOf(results: readonly CrowdResult[]): string {
  const curves = results.map((result) => ({
    isolates: result.options.isolates,
    points: pointsOf(result).filter(({ perIsolate }) => perIsolate >= PER_ISOLATE_MIN),
  }));
  const decades = curves.flatMap(({ points }) => points.map(({ perIsolate }) => Math.log10(perIsolate)));
  const [from, to] = [Math.floor(Math.min(...decades)), Math.ceil(Math.max(...decades))];
  const x = (perIsolate: number): number =>
    LEFT + ((Math.log10(perIsolate) - from) / (to - from)) * (WIDTH - LEFT - RIGHT);
  const y = (asks: number): number => HEIGHT - BOTTOM - (Math.min(asks, ASKS_MAX) / ASKS_MAX) * (HEIGHT - TOP - BOTTOM);
  const place = ({ perIsolate, asks }: Cost): string => `${x(perIsolate).toFixed(1)},${y(asks).toFixed(1)}`;
  const lines = curves.map(
    ({ points }, i) =>
      `<polyline points="${points.map(place).join(" ")}" fill="none" stroke="${colour(i)}" stroke-width="2"/>`,
  );
  const names = curves.map(
    ({ isolates }, i) =>
      `<text x="${WIDTH - RIGHT}" y="${TOP + 14 + 18 * i}" text-anchor="end" style="fill:${colour(i)}">${isolates.toLocaleString("en")} isolate${isolates === 1 ? "" : "s"}</text>`,
  );
  const marks = Array.from({ length: to - from + 1 }, (_, i) => from + i).map(
    (decade) =>
      `<text x="${x(10 ** decade)}" y="${HEIGHT - BOTTOM + 20}" text-anchor="middle">${nameOf(decade)}</text>`,
  );
  const levels = [0, 250, 500, 750, 1000].map(
    (asks) =>
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(asks)}" y2="${y(asks)}" class="grid"/><text x="${LEFT - 10}" y="${y(asks) + 4}" text-anchor="end">${asks}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-label="Counter calls against requests per client and isolate">
<style>
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
  .head { font-size: 16px; font-weight: 600; }
  .faint { fill: #59636e; font-size: 12px; }
  .grid { stroke: #9aa4af; stroke-opacity: 0.4; }
  @media (prefers-color-scheme: dark) { text { fill: #f0f6fc; } .faint { fill: #9198a1; } }
</style>
<text x="16" y="26" class="head">Times a counter is asked, per 1,000 requests</text>
<text x="16" y="46" class="faint">simulated: 1,000,000 clients by Zipf, a limit of 200 a minute; one point for each halving of popularity</text>
${[...levels, ...marks, ...lines, ...names].join("\n")}
<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 16}" text-anchor="middle" class="faint">requests of one client that one isolate sees in a minute</text>
</svg>
`;
}

function colour(index: number): string {
  return COLOURS[index % COLOURS.length] ?? "#59636e";
}

function nameOf(decade: number): string {
  return decade < 0 ? `1/${(10 ** -decade).toLocaleString("en")}` : (10 ** decade).toLocaleString("en");
}
