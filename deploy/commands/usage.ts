/**
 * What the commands share: a bad argument is one clear line and exit 1, and so is a tool that fails underneath.
 */

/** An argument that cannot be used; the message is one line. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

const UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Runs a command and prints what it returns. */
export async function runCommand(usage: string, command: () => Promise<string>): Promise<void> {
  try {
    console.log(await command());
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const isUsage = error instanceof UsageError || (error as NodeJS.ErrnoException).code?.startsWith("ERR_PARSE_ARGS");
    console.error(isUsage === true ? `${message}\nusage: ${usage}` : message);
    process.exitCode = 1;
  }
}

/** A number out of an argument. @throws UsageError outside `min..max`. */
export function number(name: string, text: string | undefined, min: number, max: number): number {
  const value = Number(text);
  if (text === undefined || text.trim() === "" || !(value >= min && value <= max))
    throw new UsageError(`${name}: expected a number ${min}..${max}, got ${text ?? "nothing"}`);
  return value;
}

/** ms out of `90s`, `10m`, `2h`, `1d`. @throws UsageError on anything else. */
export function durationMs(name: string, text: string): number {
  const [, amount, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const unitMs = UNITS_MS[unit ?? ""];
  if (amount === undefined || unitMs === undefined || Number(amount) === 0)
    throw new UsageError(`${name}: expected a duration such as 90s, 10m or 2h, got ${text}`);
  return Number(amount) * unitMs;
}
