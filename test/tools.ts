/**
 * Tools that a test needs and npm does not bring: Debian's packages have them.
 *
 * Where a tool is missing, its suites are left out, by name and with the package to install; `EDGE_TEST_TOOLS=required`
 * (as CI sets it) makes them fail instead, so that nothing is left out unseen.
 */
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { describe, expect, it } from "vitest";

/** Debian's package of each tool. */
const PACKAGES = { promtool: "prometheus", prometheus: "prometheus", aws: "awscli" } as const;

/** A tool that a suite may need. */
export type Tool = keyof typeof PACKAGES;

/** Declares a suite, as `describe` does. */
export type Suite = (name: string, tests: () => void) => void;

/** What becomes of suites that need a tool. */
export type Standing = "run" | "left out" | "failed";

type Environment = Readonly<Record<string, string | undefined>>;

/** `describe` for suites that need a tool. */
export function needsTool(tool: Tool): Suite {
  const remedy = `needs ${tool}: apt-get install ${PACKAGES[tool]}`;
  switch (standingOf(tool, process.env)) {
    case "run":
      return (name, tests) => void describe(name, tests);
    case "left out":
      return (name, tests) => {
        console.warn(`left out: ${name} (${remedy})`);
        describe.skip(`${name} (left out: ${remedy})`, tests);
      };
    case "failed":
      return (name) => void describe(name, () => it(remedy, () => expect.unreachable(remedy)));
  }
}

/** Run with the tool, left out without it, failed where it is required. */
export function standingOf(tool: string, env: Environment): Standing {
  if (pathOf(tool, env["PATH"] ?? "") !== null) return "run";
  return env["EDGE_TEST_TOOLS"] === "required" ? "failed" : "left out";
}

/** Where a tool is; null: not on the path. */
export function pathOf(tool: string, path: string): string | null {
  for (const directory of path.split(delimiter).filter((entry) => entry !== "")) {
    const candidate = join(directory, tool);
    if (isProgram(candidate)) return candidate;
  }
  return null;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
