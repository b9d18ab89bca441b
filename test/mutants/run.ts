/**
 * Takes each rule of the lease protocol away and sees whether anything turns red.
 *
 *     node test/mutants/run.ts [--first] [--runs=10000] [words of the rules to try]
 *
 * A copy of the policy, its unit tests and the simulation goes into a temporary folder, one mutant at a time; then the
 * unit tests and the seeded proofs run there. `--first` is content with whichever is red first. Exit 1 when a mutant
 * survives that should not, or when a text to replace is not there exactly once.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { MUTANTS, type Mutant } from "./mutants.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const UNIT_TESTS = ["account", "holding", "local"].map((name) => `test/policy/${name}.test.ts`);
/** A mutant that never ends is red, too. */
const PATIENCE_MS = 600_000;

const { values, positionals } = parseArgs({
  options: { first: { type: "boolean", default: false }, runs: { type: "string", default: "10000" } },
  allowPositionals: true,
});

interface Verdict {
  readonly unit: string | null;
  readonly proof: string | null;
}

/** The code with `mutant` in it, or as it is. */
function copyWith(mutant: Mutant | null): string {
  const folder = mkdtempSync(join(tmpdir(), "mutant-"));
  for (const path of [
    "src/policy",
    "test/simulation",
    "test/mutants",
    "tsconfig.json",
    "package.json",
    ...UNIT_TESTS,
  ]) {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    cpSync(join(root, path), join(folder, path), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  writeFileSync(
    join(folder, "vitest.config.mjs"),
    `export default { test: { include: ["test/policy/*.test.ts"] } };\n`,
  );
  for (const { file, find, replace } of mutant?.edits ?? []) {
    const path = join(folder, file);
    const [before, after, ...more] = readFileSync(path, "utf8").split(find);
    if (before === undefined || after === undefined || more.length > 0)
      throw new RangeError(`${file}: expected exactly once ${JSON.stringify(find)}`);
    writeFileSync(path, before + replace + after);
  }
  return folder;
}

function runIn(folder: string, ...args: readonly string[]): { readonly isGreen: boolean; readonly out: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: folder,
    encoding: "utf8",
    timeout: PATIENCE_MS,
    env: { ...process.env, CI: "true", NO_COLOR: "1" },
  });
  return { isGreen: status === 0, out: stdout + stderr };
}

/** The first unit test that is red. */
function redUnit(folder: string): string | null {
  const { isGreen, out } = runIn(folder, "node_modules/vitest/vitest.mjs", "run", "--reporter=dot");
  if (isGreen) return null;
  return /FAIL +test\/policy\/(?<name>.*)/.exec(out)?.groups?.["name"] ?? "never ends";
}

/** The first proof that is red. */
function redProof(folder: string): string | null {
  const { isGreen, out } = runIn(folder, "test/mutants/prove.ts", values.runs);
  return isGreen ? (JSON.parse(out.split("\n")[0] ?? "null") as string | null) : "never ends, or fails";
}

function judge(mutant: Mutant | null): Verdict {
  const folder = copyWith(mutant);
  try {
    const unit = redUnit(folder);
    const proof = unit !== null && values.first ? null : redProof(folder);
    return { unit, proof };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function main(): number {
  const asItIs = judge(null);
  if (asItIs.unit !== null || asItIs.proof !== null) {
    console.error("red without any mutant:", asItIs.unit ?? "", asItIs.proof ?? "");
    return 1;
  }
  let survivors = 0;
  const chosen = MUTANTS.filter(({ rule }) => positionals.every((word) => rule.includes(word)));
  for (const mutant of chosen) {
    const { unit, proof } = judge(mutant);
    const isKilled = unit !== null || proof !== null;
    const isMissed = !isKilled && mutant.harmless === undefined;
    if (isMissed) survivors++;
    const fate = isKilled ? "killed" : isMissed ? "SURVIVES" : "harmless";
    console.log(`${fate.padEnd(9)} ${mutant.rule}`);
    if (unit !== null) console.log(`            unit   ${unit}`);
    if (proof !== null) console.log(`            proof  ${proof}`);
    if (!isKilled && mutant.harmless !== undefined) console.log(`            ${mutant.harmless}`);
  }
  console.log(`${chosen.length} mutants, ${survivors} that nobody misses`);
  return survivors === 0 ? 0 : 1;
}

process.exitCode = main();
