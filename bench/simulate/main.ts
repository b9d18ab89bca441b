/**
 * `npm run simulate -- SCENARIO`: plays a load shape through the gateway's own policy code before anybody meets it.
 *
 * Exit 0: the verdict is ok. Exit 1: an expectation was missed, or the input is no good; then one line says why.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type GivenFile, simulate } from "./command.ts";
import { Faulty } from "./faulty.ts";

const USAGE =
  "npm run simulate -- SCENARIO [--tables FILE [--tables FILE]] [--svg FILE] [--json] [--kv-only], " +
  "where SCENARIO is a file or the name of one in test/scenarios";
const SCENARIOS = fileURLToPath(new URL("../../test/scenarios/", import.meta.url));

function main(words: readonly string[]): number {
  const { values, positionals } = parse(words);
  const [named] = positionals;
  if (named === undefined || positionals.length > 1)
    throw new Faulty(`expected one scenario, got ${positionals.length}; usage: ${USAGE}`);
  const { printed, chart, isOk } = simulate({
    scenario: given(existsSync(named) ? named : ownOr(named)),
    tables: (values.tables ?? []).map(given),
    isJson: values.json === true,
    wantsChart: values.svg !== undefined,
    isKvOnly: values["kv-only"] === true,
  });
  if (values.svg !== undefined && chart !== null) keep(values.svg, chart);
  console.log(printed);
  return isOk ? 0 : 1;
}

function parse(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      allowPositionals: true,
      options: {
        tables: { type: "string", multiple: true },
        svg: { type: "string" },
        json: { type: "boolean" },
        "kv-only": { type: "boolean" },
      },
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message.split(/[.\n]/)[0] : String(error);
    throw new Faulty(`${reason}; usage: ${USAGE}`);
  }
}

/** A bare word may be one of our own scenarios. */
function ownOr(named: string): string {
  const own = `${SCENARIOS}${named}.json`;
  return /^[\w-]+$/.test(named) && existsSync(own) ? own : named;
}

function given(path: string): GivenFile {
  try {
    return { named: path, text: readFileSync(path, "utf8") };
  } catch (error) {
    throw new Faulty(`${path}: cannot be read (${reasonOf(error)})`);
  }
}

function keep(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw new Faulty(`${path}: cannot be written (${reasonOf(error)})`);
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}

try {
  process.exitCode = main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Faulty)) throw error;
  console.error(`simulate: ${error.message}`);
  process.exitCode = 1;
}
