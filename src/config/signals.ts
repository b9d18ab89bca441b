/**
 * The door for what is published about load: `request-rate`, `request-rate:edge` and `load-pin`.
 *
 * A value that is no rate is still something published: it is handed on as unusable with the reason, so that load falls
 * to the tier configured for that and not to the loosest one.
 */
import * as v from "valibot";
import type { Pin, Signal, SignalSource, UnusableSignal } from "../policy/load.ts";
import type { EdgeSignal } from "../policy/publication.ts";
import { TIERS } from "../policy/tier.ts";
import { JSON_OBJECT, JsonObject, parseJson, shown } from "./json.ts";

const MOMENT = "a time (RFC 3339 or Unix ms)";
const RATE = "a finite number >= 0";
const CAPACITY = "a finite number > 0";

const Moment = v.union(
  [
    v.pipe(v.number(), v.finite(MOMENT), v.minValue(0, MOMENT)),
    v.pipe(v.string(), v.transform(parseRfc3339), v.number()),
  ],
  MOMENT,
);
const Rate = v.pipe(v.number(RATE), v.finite(RATE), v.minValue(0, RATE));
const RateDocument = v.pipe(
  JsonObject,
  v.object(
    {
      requests_per_minute: Rate,
      capacity: v.optional(v.pipe(v.number(CAPACITY), v.finite(CAPACITY), v.gtValue(0, CAPACITY))),
      published_at: v.optional(Moment),
    },
    JSON_OBJECT,
  ),
);
const Share = v.pipe(v.number("a number 0..1"), v.minValue(0, "a number 0..1"), v.maxValue(1, "a number 0..1"));
/** What the meter writes beside the rate. */
const EdgeMembers = v.object({
  tier: v.picklist(TIERS),
  offered_per_minute: v.optional(Rate),
  error_rate: v.optional(Share, 0),
  avg_response_ms: v.optional(Rate, 0),
});
const PinDocument = v.pipe(JsonObject, v.object({ load: Share, until: v.optional(Moment) }, JSON_OBJECT));

/** A published rate, or why it is none. Never throws. */
export function readRate(source: SignalSource, text: string): Signal | UnusableSignal {
  const parsed = parseJson(text);
  if (!parsed.ok) return { source, unusable: `expected ${parsed.expected}, got ${parsed.got}` };
  // A bare number is a document that says no more than its rate.
  const document = typeof parsed.value === "number" ? { requests_per_minute: parsed.value } : parsed.value;
  const checked = v.safeParse(RateDocument, document);
  if (!checked.success) return { source, unusable: reasonOf(checked.issues[0]) };
  const { requests_per_minute, capacity = null, published_at = null } = checked.output;
  return { source, requestsPerMinute: requests_per_minute, capacity, publishedAtMs: published_at };
}

/**
 * What stands under `request-rate:edge`: a rate, and the meter's whole word where it is one; a rate that somebody else
 * wrote there is a rate like any other. Never throws.
 */
export function readEdge(text: string): { readonly signal: Signal | UnusableSignal; readonly word: EdgeSignal | null } {
  const signal = readRate("edge", text);
  const parsed = parseJson(text);
  const members = v.safeParse(EdgeMembers, parsed.ok ? parsed.value : null);
  if ("unusable" in signal || signal.capacity === null || !members.success) return { signal, word: null };
  const { requestsPerMinute, capacity, publishedAtMs } = signal;
  const { tier, offered_per_minute = requestsPerMinute, error_rate, avg_response_ms } = members.output;
  const rates = { offeredPerMinute: offered_per_minute, errorRate: error_rate, avgResponseMs: avg_response_ms };
  const unsaid = { pin: null, documentsAsOfMs: 0, shed: {} };
  return { signal, word: { requestsPerMinute, capacity, publishedAtMs, tier, ...rates, ...unsaid } };
}

/** An operator's pin, or why it is none. Never throws. */
export function readPin(text: string): Pin | { readonly unusable: string } {
  const parsed = parseJson(text);
  if (!parsed.ok) return { unusable: `expected ${parsed.expected}, got ${parsed.got}` };
  const checked = v.safeParse(PinDocument, parsed.value);
  if (!checked.success) return { unusable: reasonOf(checked.issues[0]) };
  return { load: checked.output.load, untilMs: checked.output.until ?? null };
}

const RFC_3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(\.\d+)?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/**
 * Unix ms of an RFC 3339 time; null where it is none. `Date.parse` would read 30 February as 2 March, and no leap second
 * at all; here a leap second is the second after it.
 */
function parseRfc3339(text: string): number | null {
  const match = RFC_3339.exec(text);
  if (match === null) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number);
  const midnight = new Date(Date.UTC(year, month - 1, day));
  const isDate = midnight.getUTCMonth() === month - 1 && midnight.getUTCDate() === day;
  const offsetMinutes = Number(match[9] ?? 0) * 60 + Number(match[10] ?? 0);
  if (!isDate || hour > 23 || minute > 59 || second > 60 || offsetMinutes >= 1440) return null;
  const fractionMs = Math.floor(Number(`0${match[7] ?? ""}`) * 1000);
  const localMs = midnight.getTime() + ((hour * 60 + minute) * 60 + second) * 1000 + fractionMs;
  return localMs - (match[8] === "-" ? -1 : 1) * offsetMinutes * 60_000;
}

function reasonOf(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue);
  const expected = issue.received === "undefined" ? "a value" : issue.message;
  return `${path === null ? "" : `${path}: `}expected ${expected}, got ${shown(issue.input)}`;
}
