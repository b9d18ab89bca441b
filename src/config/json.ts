/**
 * JSON from outside, as far as every document shares it.
 */
import * as v from "valibot";

/** Octets of a document in KV, at most: far above any real one, far below what would hurt an isolate. */
export const DOCUMENT_BYTES_MAX = 65_536;

export const JSON_OBJECT = "an object";

/** Characters of a faulty value that are shown. */
const SHOWN_CHARACTERS = 200;

/** Member names that objects have already, or that change them: the schema library passes over them in records. */
const RESERVED = ["__proto__", "constructor", "prototype"];

/** What JSON calls an object: no array, and no member whose name JavaScript would take for something else. */
export const JsonObject = v.custom<Record<string, unknown>>(
  (value) =>
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !RESERVED.some((name) => Object.hasOwn(value, name)),
  ({ input }) =>
    typeof input === "object" && input !== null && !Array.isArray(input)
      ? `${JSON_OBJECT} without members named ${RESERVED.join(", ")}`
      : JSON_OBJECT,
);

/** JSON, or why it is none: too large, or the parser's own words. */
export function parseJson(text: string): { ok: true; value: unknown } | { ok: false; expected: string; got: string } {
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > DOCUMENT_BYTES_MAX)
    return { ok: false, expected: `at most ${DOCUMENT_BYTES_MAX} bytes`, got: `${bytes} bytes` };
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch (error) {
    return { ok: false, expected: "JSON", got: error instanceof Error ? error.message : String(error) };
  }
}

/** A value as a message shows it: JSON, cut short. */
export function shown(value: unknown): string {
  const text = jsonOf(value);
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}...` : text;
}

/** A value as a fault hands it back: itself where it is short, else how it starts. */
export function brief(value: unknown): unknown {
  return jsonOf(value).length > SHOWN_CHARACTERS ? shown(value) : value;
}

/** What is nested too deeply to be written is named at such length that nobody hands it on whole. */
function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? "nothing";
  } catch {
    return "a value nested too deeply".padEnd(SHOWN_CHARACTERS + 1);
  }
}
