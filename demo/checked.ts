/**
 * A value from outside, checked against a schema, with a fault that says where and what was expected.
 *
 * The first fault is enough for a demo: a person mends it and tries again.
 */
import * as v from "valibot";

/** The value as the schema types it, or one line naming the member at fault. */
export type Checked<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: string };

/** The message of a schema of an object: a member that is missing, one that is not known, or no object at all. */
export function objectFault(issue: v.StrictObjectIssue | v.LooseObjectIssue): string {
  if (issue.path === undefined) return "expected a JSON object";
  return issue.expected === "never" ? "no such member" : "expected this member";
}

/** Checks `value`; `whole` is the word for the value itself when no member of it is at fault. */
export function checked<S extends v.GenericSchema>(
  schema: S,
  value: unknown,
  whole: string,
): Checked<v.InferOutput<S>> {
  if (Array.isArray(value)) return { ok: false, error: `${whole}: expected a JSON object` };
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return { ok: true, value: result.output };
  const issue = result.issues[0];
  return { ok: false, error: `${v.getDotPath(issue) ?? whole}: ${issue.message}` };
}

/** A whole number of `min..max`. */
export function wholeNumber(min: number, max: number) {
  return v.pipe(
    v.number(`expected a whole number ${min}..${max}`),
    v.check((n) => Number.isInteger(n) && n >= min && n <= max, `expected a whole number ${min}..${max}`),
  );
}
