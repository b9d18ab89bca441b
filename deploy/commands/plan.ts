/**
 * `npm run plan -- --peak-rps 500`: a capacity plan out of a peak.
 *
 * It asks nobody: what it plans with is the capacity table, the scaling rules and the tier tables.
 */
import { readFileSync } from "node:fs";
import { readTierTables } from "../../src/config/tables.ts";
import { planCapacity } from "../../src/policy/capacity-plan.ts";
import { BUILT_IN, type TierTables } from "../../src/policy/limits.ts";
import { ArgumentError, readArguments, rulesOf, USAGE } from "./plan-arguments.ts";
import { planJson, planText } from "./plan-text.ts";

/** What there is to print. */
function plan(args: readonly string[]): string {
  const request = readArguments(args);
  if (request === null) return USAGE;
  const { demand, tablesPath, json } = request;
  const tables = tablesPath === null ? BUILT_IN : tablesFrom(tablesPath);
  const rules = rulesOf(request.rules, tables.scaling);
  const planned = planCapacity(demand, rules, tables);
  return json ? planJson(planned, demand, rules) : planText(planned, demand, rules);
}

function tablesFrom(path: string): TierTables {
  const read = readTierTables(textOf(path));
  if (read.ok) return read.tables;
  const [fault] = read.faults;
  const where = fault?.path ? `${fault.path}: ` : "";
  throw new ArgumentError(
    `${path}: ${where}expected ${fault?.expected}, got ${JSON.stringify(fault?.got) ?? "nothing"}`,
  );
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const reason = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new ArgumentError(`--tables: expected a file that can be read, got ${JSON.stringify(path)} (${reason})`);
  }
}

try {
  process.stdout.write(plan(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof ArgumentError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
