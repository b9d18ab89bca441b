/** Reads what `deploy/` ships. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";

/** The repository. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The text of a file, by its path under `deploy/`. */
export function textOf(path: string): string {
  return readFileSync(`${ROOT}/deploy/${path}`, "utf8");
}

/** The documents of a YAML file. A warning counts as a fault: it is a value that means something else than it says. */
export function yamlOf(path: string): readonly unknown[] {
  return parseAllDocuments(textOf(path)).map((document) => {
    const [fault] = [...document.errors, ...document.warnings];
    if (fault !== undefined) throw fault;
    return document.toJS() as unknown;
  });
}

/** The document of a JSON file. */
export function jsonOf(path: string): unknown {
  return JSON.parse(textOf(path));
}
