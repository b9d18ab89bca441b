/**
 * JSON from outside, as far as every document shares it.
 */
import * as v from "valibot";

/** Octets of a document in KV, at most: far above any real one, far below what would hurt an isolate. */
export const DOCUMENT_BYTES_MAX = 65_536;

export const JSON_OBJECT = "an object";

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
