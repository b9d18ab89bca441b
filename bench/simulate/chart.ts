/**
 * A run as a picture (SVG): rates above, over the bands of the tier that was in force; load below, over the bands that
 * the thresholds make. A rate is a minute's count, and so a step; load is that of each minute's end. Reads on light and
 * on dark pages.
 *
 * Pure.
 */
import type { Thresholds, Tier } from "../../src/policy/tier.ts";
import type { Books } from "./books.ts";
import { type MinuteRow, rowsOf } from "./report.ts";

/** What to draw beside the run. */
export interface ChartOf {
  readonly title: string;
  readonly books: Books;
  readonly capacityRpm: number;
  readonly thresholds: Thresholds;
}

const WIDTH = 960;
const LEFT = 68;
const RIGHT = 92;
const PLOT = WIDTH - LEFT - RIGHT;
const TOP = 78;
const RATES = 240;
const GAP = 34;
const LOAD = 130;
const FOOT = 44;
const HEIGHT = TOP + RATES + GAP + LOAD + FOOT;

const BANDS: Readonly<Record<Tier, string>> = {
  low: "#2e7d32",
  medium: "#f9a825",
  high: "#ef6c00",
  critical: "#c62828",
};
const OFFERED = "#7a7f87";
const ADMITTED = "#1e88e5";
const INK = "#7a7f87";

/** The picture of a run. */
export function chartOf({ title, books, capacityRpm, thresholds }: ChartOf): string {
  const rows = rowsOf(books);
  const minutes = rows.length;
  const x = (minute: number) => LEFT + (PLOT * minute) / minutes;
  const offeredMost = Math.max(...rows.map(({ offered }) => offered));
  const admittedMost = Math.max(...rows.map(({ admitted }) => admitted));
  // Demand may be a hundred times what is admitted; what matters happens around the capacity.
  const top = rounded(Math.max(capacityRpm, admittedMost, Math.min(offeredMost, 3 * capacityRpm)) * 1.1);
  const yRate = (rpm: number) => TOP + RATES * (1 - Math.min(1, rpm / top));
  const loadTop = TOP + RATES + GAP;
  const yLoad = (load: number) => loadTop + LOAD * (1 - load);
  const steps = (rate: (row: MinuteRow) => number) =>
    rows.flatMap((row, minute) => [point(x(minute), yRate(rate(row))), point(x(minute + 1), yRate(rate(row)))]);
  const offered = steps((row) => row.offered);
  const corners = [point(x(0), yRate(0)), ...offered, point(x(minutes), yRate(0))];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" ` +
      `font-family="DejaVu Sans, Verdana, sans-serif" font-size="12" fill="${INK}">`,
    `<title>${escaped(title)}</title>`,
    `<text x="${LEFT}" y="22" font-size="15">${escaped(title)}</text>`,
    legend(),
    ...tierBands(books, minutes, x),
    ...grid(top, yRate),
    line(LEFT, yRate(capacityRpm), LEFT + PLOT, yRate(capacityRpm), `stroke-dasharray="6 4"`),
    text(LEFT + PLOT + 6, yRate(capacityRpm) + 4, "capacity"),
    `<polygon points="${corners.join(" ")}" fill="${OFFERED}" fill-opacity="0.25"/>`,
    polyline(offered, OFFERED, 1.5),
    polyline(
      steps((row) => row.admitted),
      ADMITTED,
      2.5,
    ),
    ...(offeredMost > top ? [text(LEFT + PLOT, TOP - 6, `offered: up to ${offeredMost}`, "end")] : []),
    ...thresholdBands(thresholds, yLoad),
    text(LEFT, loadTop - 6, "load"),
    polyline(
      rows.map(({ load }, minute) => point(x(minute + 1), yLoad(load))),
      ADMITTED,
      2,
    ),
    ...minuteMarks(minutes, x),
    "</svg>",
    "",
  ].join("\n");
}

function legend(): string {
  const y = 46;
  return [
    line(LEFT, y - 4, LEFT + 22, y - 4, `stroke-width="1.5"`, OFFERED),
    text(LEFT + 28, y, "offered a minute"),
    line(LEFT + 150, y - 4, LEFT + 172, y - 4, `stroke-width="2.5"`, ADMITTED),
    text(LEFT + 178, y, "admitted a minute"),
    text(LEFT + 336, y, "tier:"),
    ...Object.entries(BANDS).flatMap(([tier, color], index) => [
      `<rect x="${LEFT + 372 + index * 86}" y="${y - 12}" width="14" height="14" fill="${color}" fill-opacity="0.35"/>`,
      text(LEFT + 392 + index * 86, y, tier),
    ]),
  ].join("\n");
}

/** The tier in force, over time. */
function tierBands({ changes, startTier }: Books, minutes: number, x: (minute: number) => number): string[] {
  const starts = [{ second: 0, to: startTier }, ...changes];
  return starts.map(({ second, to }, index) => {
    const from = x(second / 60);
    const until = x((starts[index + 1]?.second ?? minutes * 60) / 60);
    return `<rect x="${from.toFixed(1)}" y="${TOP}" width="${(until - from).toFixed(1)}" height="${RATES}" fill="${BANDS[to]}" fill-opacity="0.22"/>`;
  });
}

/** The load at which each tier starts. */
function thresholdBands(thresholds: Thresholds, y: (load: number) => number): string[] {
  const bands = [
    { tier: "low", from: 0, to: thresholds.medium },
    { tier: "medium", from: thresholds.medium, to: thresholds.high },
    { tier: "high", from: thresholds.high, to: thresholds.critical },
    { tier: "critical", from: thresholds.critical, to: 1 },
  ] as const;
  return bands.flatMap(({ tier, from, to }) => [
    `<rect x="${LEFT}" y="${y(to).toFixed(1)}" width="${PLOT}" height="${(y(from) - y(to)).toFixed(1)}" fill="${BANDS[tier]}" fill-opacity="0.22"/>`,
    text(LEFT - 8, y(from) + 4, from.toFixed(2), "end"),
    text(LEFT + PLOT + 6, (y(from) + y(to)) / 2 + 4, tier),
  ]);
}

function grid(top: number, y: (rpm: number) => number): string[] {
  return [0, 0.25, 0.5, 0.75, 1].flatMap((share) => [
    line(LEFT, y(top * share), LEFT + PLOT, y(top * share), `stroke-opacity="0.25"`),
    text(LEFT - 8, y(top * share) + 4, String(Math.round(top * share)), "end"),
  ]);
}

function minuteMarks(minutes: number, x: (minute: number) => number): string[] {
  const step = [1, 2, 5, 10, 15, 30, 60, 120, 240].find((every) => minutes / every <= 16) ?? 480;
  const y = HEIGHT - FOOT + 18;
  const marks = Array.from({ length: Math.floor(minutes / step) + 1 }, (_, index) => index * step);
  return [
    ...marks.map((minute) => text(x(minute), y, String(minute), "middle")),
    text(x(minutes / 2), y + 18, "minute", "middle"),
  ];
}

/** A round number not below. */
function rounded(value: number): number {
  const unit = 10 ** Math.floor(Math.log10(value));
  return ([1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10].find((times) => times * unit >= value) ?? 10) * unit;
}

function line(x1: number, y1: number, x2: number, y2: number, more: string, stroke = INK): string {
  return `<line x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}" stroke="${stroke}" ${more}/>`;
}

function point(x: number, y: number): string {
  return `${x.toFixed(1)},${y.toFixed(1)}`;
}

function polyline(points: readonly string[], stroke: string, width: number): string {
  return `<polyline points="${points.join(" ")}" fill="none" stroke="${stroke}" stroke-width="${width}" stroke-linejoin="round"/>`;
}

function text(x: number, y: number, words: string, anchor = "start"): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${escaped(words)}</text>`;
}

function escaped(words: string): string {
  return words.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
