/**
 * Checks documents against types that their makers publish on npm, with the compiler itself.
 *
 * A literal with a member that its type does not have does not compile, nor does one with a value that it does not
 * allow; so a typing error in a name, which validators of open schemas let pass, is found. The price: types know no
 * ranges or formats; where a maker ships a validator too, run both.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./files.ts";
import { run } from "./run.ts";

/** A document, and what it has to be. */
export interface Claim {
  /** For messages: where the document is from. */
  readonly what: string;
  readonly document: unknown;
  /** A type's name, and the module that exports it. */
  readonly type: string;
  readonly from: string;
  /** A type around it, with `T` for it. */
  readonly as?: string;
}

/**
 * The type with enumerations opened to the values they stand for on the wire, and all members of `Partial`s kept.
 */
const PLAIN = `type Plain<T> = T extends string ? \`\${T}\` : T extends readonly (infer U)[] ? Plain<U>[]
  : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;`;

const OPTIONS = {
  strict: true,
  noEmit: true,
  target: "esnext",
  module: "esnext",
  moduleResolution: "bundler",
  lib: ["esnext", "dom"],
  skipLibCheck: true,
  types: [],
};

/** What the compiler finds wrong, one line for each fault, with the claim's `what`; empty if nothing. */
export async function faultsOf(claims: readonly Claim[]): Promise<readonly string[]> {
  // Under node_modules, so that packages are found from there.
  const cache = join(ROOT, "node_modules/.cache");
  mkdirSync(cache, { recursive: true });
  const directory = mkdtempSync(join(cache, "published-types-"));
  try {
    for (const [index, claim] of claims.entries()) writeFileSync(join(directory, `${index}.ts`), moduleOf(claim));
    writeFileSync(join(directory, "tsconfig.json"), JSON.stringify({ compilerOptions: OPTIONS, include: ["*.ts"] }));
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    const { stdout } = await run(process.execPath, [tsc, "-p", ".", "--pretty", "false"], { cwd: directory });
    return stdout
      .split("\n")
      .filter((line) => line.includes("error TS"))
      .map((line) => line.replace(/^(\d+)\.ts/, (_, index: string) => claims[Number(index)]?.what ?? index));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function moduleOf({ document, type, from, as = "T" }: Claim): string {
  return [
    `import type { ${type} as Published } from ${JSON.stringify(from)};`,
    PLAIN,
    "type T = Plain<Published>;",
    `export const document: ${as} = ${JSON.stringify(document, null, 1)};`,
  ].join("\n");
}
