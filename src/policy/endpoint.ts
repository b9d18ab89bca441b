/**
 * Which profile a path belongs to, in whatever spelling the path arrives.
 *
 * An origin may decode, fold and resolve a path before it routes it, and origins differ. So a path is read in every way
 * one may read it, each reading is matched, and where they name different profiles the strictest one counts (lowest
 * low-load limit; where that is the same, the lowest in the next tier). A spelling can then never buy a looser limit; the price is that a request whose odd spelling this
 * origin would not serve at all may be counted under the stricter profile.
 *
 * Plain paths, which is nearly all of them, take one regular expression and no reading.
 *
 * Pure. Readings: RFC 3986 sections 2.1, 3.3 (parameters), 5.2.4 (dot segments).
 */
import type { Limits } from "./limits.ts";
import { TIERS } from "./tier.ts";

/** What this module needs to know of a profile. */
interface Matched {
  readonly match: readonly string[];
  readonly limits: Limits;
}

interface Pattern {
  /** null: any method. */
  readonly method: string | null;
  /** Lower case, no trailing slash; of `/x/*` it is `/x`. */
  readonly path: string;
  readonly subtree: boolean;
  readonly profile: string;
}

/** Patterns of one set of tables, ready to match: longest first, those with a method before those without. */
export interface Endpoints {
  readonly patterns: readonly Pattern[];
  /** Place of each profile when all are ordered from strictest to loosest; decides between readings. */
  readonly strictness: ReadonlyMap<string, number>;
}

/** Nothing an origin could read in two ways, but for case and a trailing slash. No segment starts with a dot. */
const PLAIN_PATH = /^(?:\/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)*\/?$/;
const FALL_BACK = "default";

const compiled = new WeakMap<object, Endpoints>();

/** The patterns of `profiles`, compiled once for each set of tables. */
export function endpointsOf(profiles: Readonly<Record<string, Matched>>): Endpoints {
  let endpoints = compiled.get(profiles);
  if (endpoints === undefined) {
    endpoints = compile(profiles);
    compiled.set(profiles, endpoints);
  }
  return endpoints;
}

function compile(profiles: Readonly<Record<string, Matched>>): Endpoints {
  const patterns = Object.entries(profiles).flatMap(([name, { match }]) =>
    match.map((text) => parsePattern(text, name)),
  );
  patterns.sort((a, b) => b.path.length - a.path.length || Number(a.subtree) - Number(b.subtree) || rank(b) - rank(a));
  const ordered = Object.keys(profiles).sort((a, b) => compareStrictness(profiles, a, b));
  return { patterns, strictness: new Map(ordered.map((name, place) => [name, place])) };
}

/** Between two profiles with the same limits, the one that was named by a pattern comes first. */
function compareStrictness(profiles: Readonly<Record<string, Matched>>, a: string, b: string): number {
  for (const tier of TIERS) {
    const difference = (profiles[a]?.limits[tier] ?? 0) - (profiles[b]?.limits[tier] ?? 0);
    if (difference !== 0) return difference;
  }
  return Number(a === FALL_BACK) - Number(b === FALL_BACK);
}

function rank(pattern: Pattern): number {
  return pattern.method === null ? 0 : 1;
}

/** A pattern in the form that is matched; two texts with one form are the same pattern. */
export function parsePattern(text: string, profile: string): Pattern {
  const space = text.indexOf(" ");
  const method = space < 0 ? null : text.slice(0, space);
  const path = text.slice(space + 1);
  const subtree = path.endsWith("/*");
  return { method, path: folded(octetsOf(subtree ? path.slice(0, -2) : path)), subtree, profile };
}

/**
 * The profile of a request.
 *
 * @param method as sent; methods are case-sensitive.
 * @param path as sent, without query.
 * @returns the name of the profile whose longest pattern matches; `default` where none does.
 */
export function profileFor(endpoints: Endpoints, method: string, path: string): string {
  if (PLAIN_PATH.test(path)) return match(endpoints.patterns, method, withoutTrailingSlash(path.toLowerCase()));
  let strictest: string | null = null;
  for (const reading of readingsOf(path)) {
    const name = match(endpoints.patterns, method, reading);
    if (strictest === null || placeOf(endpoints, name) < placeOf(endpoints, strictest)) strictest = name;
  }
  return strictest ?? FALL_BACK;
}

function placeOf(endpoints: Endpoints, profile: string): number {
  return endpoints.strictness.get(profile) ?? Number.POSITIVE_INFINITY;
}

function match(patterns: readonly Pattern[], method: string, path: string): string {
  for (const pattern of patterns) {
    if (pattern.method !== null && pattern.method !== method) continue;
    if (isUnder(path, pattern)) return pattern.profile;
  }
  return FALL_BACK;
}

function isUnder(path: string, pattern: Pattern): boolean {
  if (!path.startsWith(pattern.path)) return false;
  if (path.length === pattern.path.length) return true;
  return pattern.subtree && path.charCodeAt(pattern.path.length) === 0x2f;
}

/**
 * Whether a path is written exactly as one of `patterns`. Any other spelling of it is not: what costs no units must
 * leave no room for interpretation.
 */
export function isExempt(patterns: readonly string[], method: string, path: string): boolean {
  for (const text of patterns) {
    const space = text.indexOf(" ");
    if (space >= 0 && text.slice(0, space) !== method) continue;
    const pattern = text.slice(space + 1);
    if (path === pattern) return true;
    const isSubtree = pattern.endsWith("/*") && PLAIN_PATH.test(path);
    if (isSubtree && (path === pattern.slice(0, -2) || path.startsWith(pattern.slice(0, -1)))) return true;
  }
  return false;
}

/**
 * Every way an origin may read `path`: as written, percent-decoded once, decoded until nothing is left to decode; each
 * with and without `\` as `/`, `;parameters` dropped, repeated slashes merged, dot segments resolved, the second and the
 * last also before decoding. Case folded, without trailing slash, each reading once. A reading is a string of octets: one character for each.
 */
export function readingsOf(path: string): ReadonlySet<string> {
  const written = octetsOf(path);
  const undecoded = [written, withoutParameters(written)].flatMap((text) => [text, withResolvedDots(text)]);
  let readings = new Set(undecoded.flatMap((text) => [text, decoded(text, false), decoded(text, true)]));
  for (const step of [backslashesAsSlashes, withoutParameters, withMergedSlashes, withResolvedDots, withMergedSlashes])
    readings = new Set([...readings].flatMap((reading) => [reading, step(reading)]));
  return new Set([...readings].map(folded));
}

function backslashesAsSlashes(path: string): string {
  return path.replaceAll("\\", "/");
}

function withoutParameters(path: string): string {
  return path.replace(/;[^/]*/g, "");
}

function withMergedSlashes(path: string): string {
  return path.replace(/\/{2,}/g, "/");
}

/** A loop: the regular expression for this takes quadratic time on a long run of slashes that does not end the path. */
function withoutTrailingSlash(path: string): string {
  let end = path.length;
  while (end > 0 && path.charCodeAt(end - 1) === SLASH) end--;
  return path.slice(0, end);
}

function withResolvedDots(path: string): string {
  if (!path.includes("/.")) return path;
  const kept: string[] = [];
  for (const segment of path.split("/").slice(1)) {
    if (segment === "..") kept.pop();
    else if (segment !== ".") kept.push(segment);
  }
  return `/${kept.join("/")}`;
}

/**
 * Case and trailing slashes ignored. Four characters outside ASCII have an ASCII letter as their other case (Kelvin
 * sign, long s, dotless and dotted i), and an origin that folds by Unicode serves them as that letter.
 */
function folded(octets: string): string {
  const ascii = octets.replace(/\xe2\x84\xaa|\xc5\xbf|\xc4\xb0|\xc4\xb1/g, (character) => FOLDS_TO[character] ?? "");
  return withoutTrailingSlash(ascii.toLowerCase());
}

const FOLDS_TO: Readonly<Record<string, string>> = {
  "\xe2\x84\xaa": "k",
  "\xc5\xbf": "s",
  "\xc4\xb0": "i",
  "\xc4\xb1": "i",
};

/** Text as its UTF-8 octets, one character each; lone surrogates become U+FFFD. */
function octetsOf(text: string): string {
  return text.replace(/[^\0-\x7f]+/g, (run) => decoded(encodeURIComponent(run.toWellFormed()), false));
}

const SLASH = 0x2f;
const ESCAPE = /^[0-9a-f]{2}$/i;

/**
 * Percent-decoded: once, or (`fully`) until it no longer changes. Both in one pass: an escape that a decoded octet
 * completes is decoded where it arises. Escapes cannot overlap, so the order makes no difference, and `%25252541` costs
 * its length, not its square. What is no valid escape stays as it is.
 */
function decoded(octets: string, fully: boolean): string {
  if (!octets.includes("%")) return octets;
  if (!fully) return octets.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => octet(hex));
  const out: string[] = [];
  for (const character of octets) {
    out.push(character);
    for (let hex = escapeAtEnd(out); hex !== null; hex = escapeAtEnd(out)) out.splice(-3, 3, octet(hex));
  }
  return out.join("");
}

function escapeAtEnd(out: readonly string[]): string | null {
  if (out.at(-3) !== "%") return null;
  const hex = `${out.at(-2)}${out.at(-1)}`;
  return ESCAPE.test(hex) ? hex : null;
}

function octet(hex: string): string {
  return String.fromCharCode(Number.parseInt(hex, 16));
}
