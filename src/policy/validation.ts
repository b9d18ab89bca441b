/**
 * Validators: asking the origin whether a kept answer still holds, and telling a client that its own still does
 * (RFC 9111 section 4.3, RFC 9110 section 13).
 *
 * Pure.
 */
import type { Fields } from "./freshness.ts";
import { httpDateMs } from "./http-date.ts";

/** Fields that make a request conditional or ask for a part. */
export const CONDITIONS = [
  "if-match",
  "if-none-match",
  "if-modified-since",
  "if-unmodified-since",
  "if-range",
  "range",
] as const;

/** Names and values of the conditions a request is sent with; empty: without any. */
export type Validators = readonly (readonly [name: string, value: string])[];

/** What asks whether a kept answer still holds. */
export function validatorsOf(kept: Fields): Validators {
  const etag = kept.get("etag");
  const modified = kept.get("last-modified");
  return [
    ...(etag === null ? [] : [["if-none-match", etag] as const]),
    ...(modified === null ? [] : [["if-modified-since", modified] as const]),
  ];
}

/** Whether a client that asks conditionally already has what is kept, so that 304 answers it (section 4.3.2). */
export function isUnchanged(asked: Fields, kept: Fields): boolean {
  const noneMatch = asked.get("if-none-match");
  if (noneMatch !== null) {
    if (noneMatch.trim() === "*") return true;
    const etag = kept.get("etag");
    return etag !== null && tagsIn(noneMatch).includes(opaque(etag));
  }
  const sinceMs = httpDateMs(asked.get("if-modified-since"));
  const modifiedMs = httpDateMs(kept.get("last-modified") ?? kept.get("date"));
  return sinceMs !== null && modifiedMs !== null && modifiedMs <= sinceMs;
}

/** Whether a 304 speaks of what is kept: it names the same entity, or none (section 4.3.4). */
export function confirms(notModified: Fields, kept: Fields): boolean {
  const etag = notModified.get("etag");
  const keptEtag = kept.get("etag");
  return etag === null || keptEtag === null || opaque(etag) === opaque(keptEtag);
}

/** Whether a field of a 304 replaces the kept one: all do but those that say how the body is framed (section 3.2). */
export function isUpdatable(name: string): boolean {
  return !/^(?:content-(?:length|encoding|range)|set-cookie)$/.test(name);
}

/** Conditions that only the origin can judge (RFC 9111 section 4.3.2). */
export function isForOrigin(asked: Fields): boolean {
  return asked.get("if-match") !== null || asked.get("if-unmodified-since") !== null;
}

function tagsIn(list: string): readonly string[] {
  return [...list.matchAll(/(?:W\/)?("[^"]*")/g)].map(([, tag = ""]) => tag);
}

/** Weak comparison: RFC 9110 section 8.8.3.2. */
function opaque(etag: string): string {
  return etag.trim().replace(/^W\//, "");
}
