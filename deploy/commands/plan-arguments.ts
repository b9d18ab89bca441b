/**
 * What `npm run plan` is asked, checked whole before anything is planned.
 *
 * Pure: arguments in, a request or one clear line out.
 */
import { parseArgs } from "node:util";
import type { Demand } from "../../src/policy/capacity-plan.ts";
import { SCALING, type ScalingRules } from "../../src/policy/scaling.ts";

/** How to ask. */
export const USAGE = `npm run plan -- --peak-rps N [option...]

  --peak-rps N              requests per second at the peak
  --users N                 users at the peak, where known
  --workflows-per-minute N  workflows at the peak, where known
  --ai-calls-per-minute N   AI calls at the peak, where known
  --rps-per-instance N      what one 1 GB instance is planned to carry, instead of the tables' (${SCALING.rpsPerInstance})
  --min-instances N         never fewer, instead of the tables' (${SCALING.minInstances})
  --max-instances N         never more, instead of the tables' (${SCALING.maxInstances})
  --tables FILE             a tier-tables document to plan with, instead of the built-in one
  --json                    the plan as JSON
`;

/** An argument that cannot be used; the message is one line and enough to mend it. */
export class ArgumentError extends Error {
  override readonly name = "ArgumentError";
}

/** What was asked. */
export interface PlanRequest {
  readonly demand: Demand;
  /** Instead of those in the tables. */
  readonly rules: Partial<ScalingRules>;
  /** Of a tier-tables document; null: the built-in tables. */
  readonly tablesPath: string | null;
  readonly json: boolean;
}

/** Far above any fleet, and far below where sums would lose whole numbers. */
const AMOUNT_MAX = 1_000_000_000;

const OPTIONS = {
  "peak-rps": { type: "string" },
  users: { type: "string" },
  "workflows-per-minute": { type: "string" },
  "ai-calls-per-minute": { type: "string" },
  "rps-per-instance": { type: "string" },
  "min-instances": { type: "string" },
  "max-instances": { type: "string" },
  tables: { type: "string" },
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>["values"];
type NumberOption = Exclude<keyof typeof OPTIONS, "tables" | "json" | "help">;

/**
 * Reads the arguments after the command's name; null: help is wanted.
 *
 * @throws ArgumentError on the first that cannot be used.
 */
export function readArguments(args: readonly string[]): PlanRequest | null {
  const values = parse(args);
  if (values.help === true) return null;
  const rpsPerInstance = amount(values, "rps-per-instance", 0.001);
  const minInstances = whole(values, "min-instances", 1);
  const maxInstances = whole(values, "max-instances", 1);
  const peak = amount(values, "peak-rps", 0);
  if (peak === null) throw new ArgumentError("--peak-rps: expected requests per second, got nothing");
  return {
    demand: {
      requests_per_second: peak,
      users: amount(values, "users", 0),
      workflows_per_minute: amount(values, "workflows-per-minute", 0),
      ai_calls_per_minute: amount(values, "ai-calls-per-minute", 0),
    },
    rules: {
      ...(rpsPerInstance === null ? {} : { rpsPerInstance }),
      ...(minInstances === null ? {} : { minInstances }),
      ...(maxInstances === null ? {} : { maxInstances }),
    },
    tablesPath: values.tables ?? null,
    json: values.json ?? false,
  };
}

/**
 * The rules to plan with: the tables', except what was given instead.
 *
 * @throws ArgumentError when the two do not fit each other.
 */
export function rulesOf(given: Partial<ScalingRules>, tables: ScalingRules): ScalingRules {
  const rules = { ...tables, ...given };
  if (rules.maxInstances >= rules.minInstances) return rules;
  throw new ArgumentError(
    `--max-instances: expected at least --min-instances, which is ${rules.minInstances}, got ${rules.maxInstances}`,
  );
}

function parse(args: readonly string[]): Values {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new ArgumentError(faultOf(error));
  }
}

/** The library's further lines and sentences explain shells; the first says what is wrong. */
function faultOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const withoutValue = /^Option '(--[\w-]+).*(?:ambiguous|missing)/.exec(message);
  return withoutValue === null ? (message.split(/\n|\. /)[0] ?? message) : `${withoutValue[1]}: expected a value`;
}

function amount(values: Values, option: NumberOption, min: number): number | null {
  const text = values[option];
  if (text === undefined) return null;
  const value = Number(text);
  if (!/^\d{1,10}(?:\.\d{1,9})?$/.test(text) || value < min || value > AMOUNT_MAX)
    throw new ArgumentError(`--${option}: expected a number ${min}..${AMOUNT_MAX}, got ${JSON.stringify(text)}`);
  return value;
}

function whole(values: Values, option: NumberOption, min: number): number | null {
  const value = amount(values, option, min);
  if (value !== null && !Number.isInteger(value))
    throw new ArgumentError(`--${option}: expected a whole number ${min}..${AMOUNT_MAX}, got "${values[option]}"`);
  return value;
}
