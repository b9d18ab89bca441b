/**
 * What a fleet and a crowd came to, as text for a terminal.
 *
 * Pure.
 */
import type { CrowdResult } from "../../test/fleet/crowd.ts";
import { type Cost, decilesOf, type Total, totalOf } from "../../test/fleet/curve.ts";
import type { Outcome, Run } from "../../test/fleet/matrix.ts";

const MATRIX_HEAD = ["limit", "x load", "window s", "clients", "offered", "admitted", "worst %", "of log %", "calls"];
const TIMES_HEAD = ["trip ms", "p99", "late p99"];

/** The matrix: rows that were lived through, and the one that was simulated. */
export function matrixReport(rows: readonly Outcome[], simulated: CrowdResult): string {
  const lived = rows.map(({ tripMs, lateMs, valid, ...row }) => [
    ...matrixLine(row),
    tripMs.median.toFixed(1),
    tripMs.p99.toFixed(1),
    lateMs.p99.toFixed(1),
    valid ? "" : "INVALID: not carried",
  ]);
  const { limit, windowMs, perSecond, clients, oneWayMs } = simulated.options;
  const { requests, admitted, worstShare, efficiency, asks } = totalOf(simulated);
  const load = Math.round((perSecond * windowMs) / (1000 * limit));
  const corner = [
    ...matrixLine({
      limit,
      windowMs,
      load,
      clients,
      offered: requests,
      admitted,
      worstShare,
      efficiency,
      asksPer1000: asks,
    }),
    (oneWayMs[0] + oneWayMs[1]).toFixed(1),
    "-",
    "-",
    "simulated",
  ];
  return table([[...MATRIX_HEAD, ...TIMES_HEAD, ""], ...lived, corner]);
}

function matrixLine(row: Omit<Outcome, "tripMs" | "lateMs" | "valid" | "lost" | "units">): string[] {
  return [
    String(row.limit),
    String(row.load),
    String(row.windowMs / 1000),
    String(row.clients),
    String(row.offered),
    String(row.admitted),
    percent(row.worstShare),
    percent(row.efficiency),
    row.asksPer1000.toFixed(0),
  ];
}

/** What the books of a run say beside its rows. */
export function booksReport({ outcomes, books }: Run): string {
  const offered = outcomes.reduce((sum, row) => sum + row.offered, 0);
  const per1000 = (count: number): string => ((1000 * count) / offered).toFixed(0);
  return `${offered} requests: ${per1000(books.calls)} calls and ${per1000(books.rows)} rows per 1,000; units that nobody granted: ${books.unfounded}; longest from an isolate's judgement to its spending: ${books.lateUseMs} ms`;
}

/** The same traffic over more and more isolates. */
export function totalsReport(results: readonly CrowdResult[]): string {
  const head = ["isolates", "requests", "calls", "asks", "rows", "worst %", "of log %", "lowest client %"];
  const line = (isolates: number, total: Total): string[] => [
    String(isolates),
    String(total.requests),
    total.calls.toFixed(0),
    total.asks.toFixed(0),
    total.rows.toFixed(0),
    percent(total.worstShare),
    percent(total.efficiency),
    percent(total.lowest),
  ];
  return table([head, ...results.map((result) => line(result.options.isolates, totalOf(result)))]);
}

/** Asks per 1,000 requests by popularity; one column for each number of isolates. */
export function decilesReport(results: readonly CrowdResult[]): string {
  const columns = results.map(decilesOf);
  const head = ["clients by rank", ...results.map(({ options }) => `${options.isolates} isolates`)];
  const [first = []] = columns;
  const cell = (cost: Cost | undefined): string =>
    cost === undefined ? "-" : `${cost.asks.toFixed(0)} (${significant(cost.perIsolate)})`;
  const lines = first.map(({ ranks }, tenth) => [
    `${ranks[0]}..${ranks[1]}`,
    ...columns.map((column) => cell(column[tenth])),
  ]);
  return table([head, ...lines]);
}

function percent(share: number): string {
  return (100 * share).toFixed(1);
}

function significant(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 0.01 ? value.toPrecision(2) : value.toExponential(0);
}

/** Columns of equal width, all but the first and last to the right. */
function table(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padStart(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
