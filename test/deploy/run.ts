/** Runs a program to its end, as a test looks at it; what the test itself serves meanwhile goes on being served. */
import { execFile } from "node:child_process";

/** How it ended and what it said. */
export interface Ended {
  /** null: a signal ended it. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What it is run with. */
export interface RunOptions {
  readonly cwd?: string;
  readonly input?: string;
  /** On top of the test's own. */
  readonly env?: Readonly<Record<string, string>>;
}

/** No program that a test runs to its end takes longer. */
const TIMEOUT_MS = 60_000;

/** Runs it, and resolves however it ended. */
export function run(program: string, args: readonly string[], { cwd, input, env }: RunOptions = {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const options = { timeout: TIMEOUT_MS, env: { ...process.env, ...env }, ...(cwd === undefined ? {} : { cwd }) };
    const child = execFile(program, [...args], options, (error, stdout, stderr) => {
      if (error === null) resolve({ status: 0, stdout, stderr });
      else if (typeof error.code === "string") reject(error);
      else resolve({ status: error.code ?? null, stdout, stderr });
    });
    child.stdin?.end(input ?? "");
  });
}
