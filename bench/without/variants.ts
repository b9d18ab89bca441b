/**
 * The gateway without one of its parts, so that the part's cost can be measured: its sources, copied, with one module
 * replaced.
 */
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** What may be left out, with the module that is replaced. */
export const VARIANTS = {
  "without-cache": { module: "src/edge/serve.ts", by: "bench/without/cache.ts" },
  "without-observation": { module: "src/edge/reports.ts", by: "bench/without/observation.ts" },
} as const;

/** A gateway without something. */
export type Variant = keyof typeof VARIANTS;

/** Makes the variant in a directory of its own under `directory`. @returns the path of its `wrangler.toml`. */
export function makeVariant(variant: Variant, directory: string): string {
  const { module, by } = VARIANTS[variant];
  const root = join(directory, `${variant}-sources`);
  mkdirSync(root, { recursive: true });
  for (const name of ["src", "bench/without", "wrangler.toml", "package.json", "tsconfig.json"])
    cpSync(join(ROOT, name), join(root, name), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(root, "node_modules"));
  writeFileSync(join(root, module), `export * from "../../${by}";\n`);
  return join(root, "wrangler.toml");
}
