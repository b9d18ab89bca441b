/**
 * What a run came to, as text for a terminal.
 *
 * Pure.
 */
import { type Results, type Row, rowsOf, type Verdict, verdictsOf } from "./results.ts";
import type { Summary } from "./statistics.ts";

const PAIR_NOTES = `null: two of the same; how far it is from 1 is how far any other figure may be off.
low: as many clients as keep each at 60 % of a limit of 50 a second, which is 0.5 a second under 50 a minute.
new-in-memory: workerd makes a file for every object, also for the naive limiter's, which stores nothing; here it does not.`;

/** The whole report. */
export function reportOf(results: Results): string {
  const { machine, date, isQuick, generator, shares } = results;
  const sections = [
    `${machine}\n${date}, load by ${generator}${isQuick ? "\nQUICK: few and short rounds, good for orientation only" : ""}`,
    ...(results.alone.length === 0 ? [] : [`Subjects, each alone on its processor\n${subjectTable(results)}`]),
    `Side by side on one processor, CPU per request\n${pairTable(results)}\n${PAIR_NOTES}`,
    `Counter calls and rows written per 1,000 requests\n${costTable(results)}`,
    `Budgets\n${budgetTable(verdictsOf(results))}`,
    `The load generator used at most ${percent(shares.generator)} of a processor, the origin at most ${percent(shares.origin)}; the subjects had ${percent(shares.subjects)} of theirs (median).${quietness(shares.subjects)}`,
  ];
  return sections.join("\n\n");
}

function quietness(subjects: number): string {
  return subjects < 0.9 ? " Below 90 % the machine was not quiet: others took part of it, and figures scatter." : "";
}

function subjectTable(results: Results): string {
  const head = [
    "path",
    "subject",
    "requests/s",
    "p50 ms",
    "p99 ms",
    "CPU us",
    "ratio",
    "to",
    "spread",
    "calls",
    "rows",
  ];
  const line = (row: Row) => [
    row.path,
    row.subject,
    String(row.rps),
    row.p50_ms.toFixed(2),
    row.p99_ms.toFixed(2),
    row.cpu_us.toFixed(0),
    row.cpu_ratio.toFixed(2),
    row.baseline,
    spreadOf({ min: row.spread[0], max: row.spread[1] }),
    row.counter_calls_per_1000?.toFixed(1) ?? "-",
    row.rows_written_per_1000?.toFixed(1) ?? "-",
  ];
  return table([head, ...rowsOf(results).map(line)]);
}

function pairTable({ pairs }: Results): string {
  const head = [
    "pair",
    "fields",
    "connections",
    "clients",
    "CPU us",
    "baseline us",
    "ratio",
    "spread",
    "rounds",
    "refused",
  ];
  const lines = pairs.map(({ plan, ratio, subjectUs, baselineUs, refused, clients, requests }) => [
    `${plan.id}: ${plan.subject} / ${plan.baseline}`,
    String(plan.load.headers),
    String(plan.load.connections),
    plan.load.crowd.kind === "new" ? String(requests) : String(clients ?? 1),
    subjectUs.median.toFixed(0),
    baselineUs.median.toFixed(0),
    ratio.median.toFixed(3),
    spreadOf(ratio),
    String(ratio.rounds),
    percent(refused),
  ]);
  return table([head, ...lines]);
}

function costTable({ costs, paced, simulated }: Results): string {
  const head = ["run", "calls", "clients asked about", "rows", "of requests"];
  const all = [
    ...[...costs].map(([id, cost]) => [`${id}, at full speed`, cost] as const),
    ...[...paced].map(([id, cost]) => [`${id}, a minute scaled down`, cost] as const),
    ...[...simulated].map(([id, cost]) => [`${id}, simulated at full scale`, cost] as const),
  ];
  const lines = all.map(([id, { calls, asks, rows, requests }]) => [
    id,
    calls.toFixed(1),
    asks.toFixed(1),
    rows.toFixed(1),
    requests.toFixed(0),
  ]);
  return table([head, ...lines]);
}

function budgetTable(verdicts: readonly Verdict[]): string {
  const head = ["path", "against", "budget", "measured", "spread", "verdict"];
  const lines = verdicts.map(({ budget: { path, against, bound }, measured, met }) => [
    path,
    against,
    "atMost" in bound ? `<= ${bound.atMost}` : `>= ${bound.atLeast}`,
    measured === null ? "-" : figure(measured.median),
    measured === null || measured.rounds === 1 ? "-" : spreadOf(measured),
    met === null ? "not in this run" : met ? "met" : "MISSED",
  ]);
  return table([head, ...lines]);
}

function spreadOf({ min, max }: Pick<Summary, "min" | "max">): string {
  return `${min.toFixed(2)}-${max.toFixed(2)}`;
}

function figure(value: number): string {
  return value.toFixed(value < 10 ? 3 : 1);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}

/** Columns as wide as their widest cell; figures to the right. */
function table(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const isFigure = (cell: string) => /^[-<>=]* ?\d[\d.,-]*(?: %)?$|^-$/.test(cell);
  const render = (line: readonly string[]) =>
    line.map((cell, i) => (isFigure(cell) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0))).join("  ");
  const [head = [], ...body] = lines;
  return [render(head), widths.map((width) => "-".repeat(width)).join("  "), ...body.map(render)]
    .map((line) => line.trimEnd())
    .join("\n");
}
