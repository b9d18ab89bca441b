/**
 * A run for people and for programs: a table by minute, one or two side by side, and JSON.
 *
 * Pure.
 */
import type { Tier } from "../../src/policy/tier.ts";
import { type Books, sumTraffic, type TierChange } from "./books.ts";

/** One minute as it is reported. */
export interface MinuteRow {
  /** The first is 0. */
  readonly minute: number;
  readonly offered: number;
  readonly admitted: number;
  /** By a limit or by the ceiling for the sum: offered less admitted. */
  readonly refused: number;
  /** 0..1, at its end. */
  readonly load: number;
  /** In force at its end. */
  readonly tier: Tier;
}

/** What `--json` prints. */
export interface Report {
  readonly per_minute: readonly MinuteRow[];
  readonly tier_changes: readonly TierChange[];
  readonly verdict: "ok" | "missed";
  readonly missed: readonly string[];
}

/** The report of a run. */
export function reportOf(books: Books, missed: readonly string[]): Report {
  return {
    per_minute: rowsOf(books),
    tier_changes: books.changes,
    verdict: missed.length === 0 ? "ok" : "missed",
    missed,
  };
}

/** A row for each minute. */
export function rowsOf({ minutes }: Books): MinuteRow[] {
  return minutes.map(({ groups, load, tier }, minute) => {
    const { offered, admitted, refused, shed } = sumTraffic(groups);
    return { minute, offered, admitted, refused: refused + shed, load: Math.round(load * 1_000) / 1_000, tier };
  });
}

/** The table of one run. */
export function tableOf(rows: readonly MinuteRow[]): string {
  const heads = ["minute", "offered", "admitted", "refused", "load", "tier"];
  return columns([heads, ...rows.map((row) => [String(row.minute), ...cellsOf(row)])]);
}

/** The table of two runs of the same scenario; a mark where the tier differs. */
export function comparisonOf(
  left: { readonly named: string; readonly rows: readonly MinuteRow[] },
  right: { readonly named: string; readonly rows: readonly MinuteRow[] },
): string {
  const heads = [
    "minute",
    "offered",
    "admitted",
    "refused",
    "load",
    "tier",
    "|",
    "admitted",
    "refused",
    "load",
    "tier",
    "",
  ];
  const rows = left.rows.map((row, index) => {
    const other = right.rows[index] ?? row;
    const mark = other.tier === row.tier ? "" : "*";
    return [String(row.minute), ...cellsOf(row), "|", ...cellsOf(other).slice(1), mark];
  });
  return [`left: ${left.named}`, `right: ${right.named}`, "", columns([heads, ...rows])].join("\n");
}

/** Every change of tier, one line each. */
export function changesOf(changes: readonly TierChange[]): string {
  if (changes.length === 0) return "The tier did not change.";
  return changes.map(({ second, from, to }) => `${clock(second)}  ${from} -> ${to}`).join("\n");
}

function cellsOf({ offered, admitted, refused, load, tier }: MinuteRow): string[] {
  return [String(offered), String(admitted), String(refused), load.toFixed(2), tier];
}

function clock(second: number): string {
  const minutes = Math.floor(second / 60);
  return `${String(minutes).padStart(3)}:${(second - minutes * 60).toFixed(1).padStart(4, "0")}`;
}

/** Numbers to the right, words to the left. */
function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  const isNumber = (column: number) => /^[\d.]+$/.test(rows[1]?.[column] ?? "");
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          isNumber(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
        )
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
