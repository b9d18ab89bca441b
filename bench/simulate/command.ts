/**
 * What `npm run simulate` does with its orders, apart from the files and the terminal.
 */

import type { TierTables } from "../../src/policy/limits.ts";
import type { Books } from "./books.ts";
import { chartOf } from "./chart.ts";
import { Faulty } from "./faulty.ts";
import { changesOf, comparisonOf, reportOf, rowsOf, tableOf } from "./report.ts";
import { run } from "./run.ts";
import { readScenario, type Scenario } from "./scenario.ts";
import { readTables } from "./tables.ts";
import { missedIn } from "./verdict.ts";

/** A file that was given by name. */
export interface GivenFile {
  readonly named: string;
  readonly text: string;
}

/** What a person asked for. */
export interface Orders {
  readonly scenario: GivenFile;
  /** Tables to try: one beside the scenario's own, or two beside each other. */
  readonly tables: readonly GivenFile[];
  readonly isJson: boolean;
  readonly wantsChart: boolean;
  /** Isolates learn from KV alone. */
  readonly isKvOnly: boolean;
}

/** What they get. */
export interface Outcome {
  readonly printed: string;
  /** SVG; null where none was asked for. */
  readonly chart: string | null;
  readonly isOk: boolean;
}

/** Tables to play under, and what to call them. */
interface Side {
  readonly named: string;
  readonly tables: TierTables;
}

/**
 * Plays a scenario. The verdict is on the last of the tables.
 *
 * @throws Faulty on orders that cannot be carried out.
 */
export function simulate({ scenario: given, tables, isJson, wantsChart, isKvOnly }: Orders): Outcome {
  const scenario = readScenario(given.text, given.named);
  const { left, right } = sidesOf(scenario, tables, given.named);
  const play = { isTelling: !isKvOnly };
  const books = run(scenario, right.tables, play);
  const missed = missedIn(scenario, books);
  const before = left === null || isJson ? null : { named: left.named, books: run(scenario, left.tables, play) };
  const { capacityRpm, thresholds } = right.tables;
  return {
    printed: isJson
      ? JSON.stringify(reportOf(books, missed), null, 2)
      : inWords(scenario, before, { named: right.named, books }, missed),
    chart: wantsChart ? chartOf({ title: scenario.name, books, capacityRpm, thresholds }) : null,
    isOk: missed.length === 0,
  };
}

interface Played {
  readonly named: string;
  readonly books: Books;
}

function inWords(scenario: Scenario, left: Played | null, right: Played, missed: readonly string[]): string {
  const { name, minutes, capacity_rpm, comment } = scenario;
  const rows = rowsOf(right.books);
  return [
    `${name}: ${minutes} minutes, capacity ${capacity_rpm} a minute`,
    ...(comment === undefined ? [] : ["", comment]),
    "",
    ...(left === null
      ? [tableOf(rows), ""]
      : [
          comparisonOf({ named: left.named, rows: rowsOf(left.books) }, { named: right.named, rows }),
          "",
          "left:",
          changesOf(left.books.changes),
          "",
          "right:",
        ]),
    changesOf(right.books.changes),
    "",
    missed.length === 0 ? "verdict: ok" : "verdict: missed",
    ...missed.map((line) => `  ${line}`),
  ].join("\n");
}

function sidesOf(
  scenario: Scenario,
  tables: readonly GivenFile[],
  from: string,
): { readonly left: Side | null; readonly right: Side } {
  if (tables.length > 2) throw new Faulty(`--tables: expected two at most, got ${tables.length}`);
  const [first, second] = tables.map((file) => sideOf(file, scenario));
  if (first !== undefined && second !== undefined) return { left: first, right: second };
  const named = scenario.tables === undefined ? "the built-in tables" : "the scenario's tables";
  const own = { named, tables: readTables(scenario.tables ?? {}, scenario.capacity_rpm, `${from}: tables`) };
  return first === undefined ? { left: null, right: own } : { left: own, right: first };
}

function sideOf({ named, text }: GivenFile, scenario: Scenario): Side {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw new Faulty(`${named}: expected JSON, got ${error instanceof Error ? error.message : String(error)}`);
  }
  return { named, tables: readTables(document, scenario.capacity_rpm, named) };
}
