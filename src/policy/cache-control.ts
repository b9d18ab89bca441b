/**
 * Reads `Cache-Control` (RFC 9111 section 5.2).
 *
 * Names are compared without case, commas in quotes do not separate. Where a field is malformed the reading is on the
 * safe side: a directive that forbids is heard whatever follows its name, and a lifetime that cannot be read, or comes
 * twice with two values, is zero (section 4.2.1).
 *
 * Pure.
 */

/** Directives by lower-case name; null where one has no value. */
export type Directives = ReadonlyMap<string, string | null>;

const NONE: Directives = new Map();
/** A member: a token, and what follows it up to the next comma outside quotes. */
const MEMBER = /([!#$%&'*+.^_`|~\w-]+)((?:"(?:[^"\\]|\\.)*"|[^,"])*)(?:,|$)/g;
const VALUE = /^=(?:"((?:[^"\\]|\\.)*)"|([!#$%&'*+.^_`|~\w-]+))$/;
/** Stands for a value that cannot be used; no delta-seconds. */
const UNUSABLE = "?";
/** 68 years; section 1.2.2 asks for at least this. */
const SECONDS_MAX = 2_147_483_648;

/** The directives of a field; none where it is absent. */
export function directivesOf(field: string | null): Directives {
  if (field === null) return NONE;
  const directives = new Map<string, string | null>();
  // An odd quote would swallow what comes after it, and that may forbid something.
  const text = (field.replaceAll('\\"', "").match(/"/g)?.length ?? 0) % 2 === 0 ? field : field.replaceAll('"', "");
  for (const [, name = "", rest = ""] of text.matchAll(MEMBER)) {
    const key = name.toLowerCase();
    const value = readValue(rest.trimEnd());
    directives.set(key, directives.has(key) && directives.get(key) !== value ? UNUSABLE : value);
  }
  return directives;
}

/** The span a directive gives, ms; null where it is absent, 0 where it is no span. */
export function spanMsOf(directives: Directives, name: string): number | null {
  const value = directives.get(name);
  if (value === undefined) return null;
  return value !== null && /^\d+$/.test(value) ? Math.min(Number(value), SECONDS_MAX) * 1000 : 0;
}

function readValue(rest: string): string | null {
  if (rest === "") return null;
  const found = VALUE.exec(rest);
  return found === null ? UNUSABLE : (found[1] ?? found[2] ?? UNUSABLE);
}
