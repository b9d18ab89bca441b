/**
 * RFC 9111 as a table: each row names the section it is from, says what an origin and a client sent, and what follows.
 * Where the gateway is stricter than the section, the row says so.
 */
import { describe, expect, it } from "vitest";
import {
  ageMsOf,
  invalidates,
  type Kept,
  keepingOf,
  mayStandIn,
  namesIn,
  type Reuse,
  reuseOf,
  type Unkept,
} from "../../src/policy/freshness.ts";

const NOW_MS = Date.UTC(2026, 10, 23, 15, 0, 0);
const HOUR_S = 3_600;
const at = (seconds: number) => new Date(NOW_MS + seconds * 1000).toUTCString();
type Sent = Readonly<Record<string, string>>;

/** Fields as `Headers` gives them. */
function fieldsOf(sent: Sent) {
  const fields = new Map(Object.entries(sent).map(([name, value]) => [name.toLowerCase(), value]));
  return { get: (name: string) => fields.get(name) ?? null };
}

function keep(response: Sent, request: Sent = {}, method = "GET", status = 200, delayMs = 0) {
  const answered = { status, fields: fieldsOf(response), requestedMs: NOW_MS - delayMs, receivedMs: NOW_MS };
  return keepingOf(method, fieldsOf(request), answered);
}

function kept(response: Sent, request?: Sent): Kept {
  const result = keep(response, request);
  if (typeof result === "string") throw new Error(`not kept: ${result}`);
  return result;
}

interface Row {
  readonly section: string;
  readonly name: string;
  readonly response: Sent;
  readonly request?: Sent;
  readonly method?: string;
  readonly status?: number;
  /** Seconds it is fresh for and kept for; or why it is not kept. */
  readonly keeps: readonly [freshS: number, keptS: number] | Unkept;
}

const TAG = { etag: '"1"' };
const cc = (value: string, more: Sent = {}) => ({ "cache-control": value, ...more });

const storing: readonly Row[] = [
  { section: "3", name: "a lifetime is stored", response: cc("max-age=60"), keeps: [60, 60] },
  { section: "3", name: "no lifetime, nothing stored", response: TAG, keeps: "unmarked" },
  { section: "3", name: "HEAD fills nothing", response: cc("max-age=60"), method: "HEAD", keeps: "method" },
  { section: "3", name: "POST fills nothing", response: cc("public, max-age=60"), method: "POST", keeps: "method" },
  { section: "3", name: "404 with a lifetime", response: cc("max-age=60"), status: 404, keeps: [60, 60] },
  { section: "3", name: "301 with a lifetime", response: cc("max-age=60"), status: 301, keeps: [60, 60] },
  { section: "3", name: "500, though a lifetime allows it", response: cc("max-age=60"), status: 500, keeps: "status" },
  { section: "3", name: "403, though a lifetime allows it", response: cc("max-age=60"), status: 403, keeps: "status" },
  {
    section: "3.1",
    name: "a field that only one client may see",
    response: cc("public, max-age=60", { "set-cookie": "a=b" }),
    keeps: "set-cookie",
  },
  {
    section: "3.3",
    name: "206 is never stored",
    response: cc("max-age=60", { "content-range": "bytes 0-1/9" }),
    status: 206,
    keeps: "status",
  },
  { section: "4.3.4", name: "304 is never stored as such", response: cc("max-age=60"), status: 304, keeps: "status" },
  {
    section: "3.5",
    name: "Authorization, max-age alone",
    response: cc("max-age=60"),
    request: { authorization: "x" },
    keeps: "credentials",
  },
  {
    section: "3.5",
    name: "Authorization, public",
    response: cc("public, max-age=60"),
    request: { authorization: "x" },
    keeps: [60, 60],
  },
  {
    section: "3.5",
    name: "Authorization, s-maxage",
    response: cc("s-maxage=60"),
    request: { authorization: "x" },
    keeps: [60, 60],
  },
  {
    section: "3.5",
    name: "Authorization, must-revalidate: allowed, not used",
    response: cc("max-age=60, must-revalidate"),
    request: { authorization: "x" },
    keeps: "credentials",
  },
  {
    section: "3.5",
    name: "Authorization, private wins over public",
    response: cc("public, private, max-age=60"),
    request: { authorization: "x" },
    keeps: "forbidden",
  },
  {
    section: "3",
    name: "Cookie, max-age alone: allowed, not used",
    response: cc("max-age=60"),
    request: { cookie: "a=b" },
    keeps: "credentials",
  },
  {
    section: "3",
    name: "Cookie, public",
    response: cc("public, max-age=60"),
    request: { cookie: "a=b" },
    keeps: [60, 60],
  },
  {
    section: "4.1",
    name: "Cookie, varied by it",
    response: cc("max-age=60", { vary: "Cookie" }),
    request: { cookie: "a=b" },
    keeps: [60, 60],
  },
  { section: "4.1", name: "Vary: *", response: cc("max-age=60", { vary: "*" }), keeps: "vary" },
  { section: "4.1", name: "Vary: * among names", response: cc("max-age=60", { vary: "Accept, *" }), keeps: "vary" },
  {
    section: "4.1",
    name: "Vary on what the gateway says itself",
    response: cc("max-age=60", { vary: "X-Levqor-Tier" }),
    keeps: "vary",
  },
  {
    section: "4.1",
    name: "Vary: Accept-Encoding",
    response: cc("max-age=60", { vary: "Accept-Encoding" }),
    keeps: [60, 60],
  },
  { section: "4.2.1", name: "s-maxage before max-age", response: cc("max-age=60, s-maxage=10"), keeps: [10, 10] },
  {
    section: "4.2.1",
    name: "max-age before Expires",
    response: cc("max-age=60", { expires: at(600), date: at(0) }),
    keeps: [60, 60],
  },
  { section: "4.2.1", name: "Expires minus Date", response: { expires: at(120), date: at(-10) }, keeps: [130, 120] },
  {
    section: "4.2.1",
    name: "Expires without Date counts from receipt",
    response: { expires: at(120) },
    keeps: [120, 120],
  },
  { section: "4.2.1", name: "max-age twice, differing", response: cc("max-age=0, max-age=600"), keeps: "expired" },
  { section: "4.2.1", name: "max-age twice, the same", response: cc("max-age=60, max-age=60"), keeps: [60, 60] },
  { section: "4.2.1", name: "max-age that is no number", response: cc("max-age=60x"), keeps: "expired" },
  { section: "4.2.1", name: "max-age below zero", response: cc("max-age=-1"), keeps: "expired" },
  { section: "4.2.1", name: "max-age of a fraction", response: cc("max-age=1.5"), keeps: "expired" },
  {
    section: "4.2.2",
    name: "no lifetime is guessed from Last-Modified",
    response: { "last-modified": at(-HOUR_S * 24) },
    keeps: "unmarked",
  },
  { section: "4.2.2", name: "public alone is no lifetime", response: cc("public", TAG), keeps: "unmarked" },
  {
    section: "4.2.3",
    name: "Age from a cache before us is taken off",
    response: cc("max-age=60", { age: "20" }),
    keeps: [60, 40],
  },
  { section: "4.2.3", name: "an old Date is age", response: cc("max-age=60", { date: at(-30) }), keeps: [60, 30] },
  { section: "4.2.3", name: "over on arrival", response: cc("max-age=60", { age: "60" }), keeps: "expired" },
  {
    section: "4.2.3",
    name: "over on arrival, with a validator",
    response: cc("max-age=60", { age: "60", ...TAG }),
    keeps: [60, HOUR_S],
  },
  {
    section: "4.2.4",
    name: "must-revalidate ends stale use",
    response: cc("max-age=60, must-revalidate, stale-if-error=600"),
    keeps: [60, 60],
  },
  {
    section: "4.3.1",
    name: "kept an hour longer for its ETag",
    response: cc("max-age=60", TAG),
    keeps: [60, HOUR_S + 60],
  },
  {
    section: "4.3.1",
    name: "kept an hour longer for Last-Modified",
    response: cc("max-age=60", { "last-modified": at(-99) }),
    keeps: [60, HOUR_S + 60],
  },
  {
    section: "5.1",
    name: "Age as a list: the first counts",
    response: cc("max-age=60", { age: "10, 20" }),
    keeps: [60, 50],
  },
  {
    section: "5.1",
    name: "Age that is no number is none",
    response: cc("max-age=60", { age: "abc" }),
    keeps: [60, 60],
  },
  { section: "5.1", name: "Age below zero is none", response: cc("max-age=60", { age: "-5" }), keeps: [60, 60] },
  { section: "5.2", name: "names are compared without case", response: cc("Max-Age=60, PUBLIC"), keeps: [60, 60] },
  { section: "5.2", name: "No-Store without case", response: cc("No-Store, max-age=60"), keeps: "forbidden" },
  { section: "5.2", name: "a value in quotes", response: cc('max-age="60"'), keeps: [60, 60] },
  {
    section: "5.2",
    name: "a comma in quotes separates nothing",
    response: cc('ext="a, max-age=5", max-age=60'),
    keeps: [60, 60],
  },
  {
    section: "5.2",
    name: "a quote that never ends hides nothing",
    response: cc('ext="a, max-age=0, max-age=60'),
    keeps: "expired",
  },
  { section: "5.2", name: "space before the value", response: cc("max-age =60"), keeps: "expired" },
  { section: "5.2", name: "no-store followed by rubbish", response: cc("max-age=60, no-store; x"), keeps: "forbidden" },
  { section: "5.2.2.1", name: "max-age=0", response: cc("max-age=0"), keeps: "expired" },
  {
    section: "5.2.2.1",
    name: "max-age=0 with a validator, not for shared caches",
    response: cc("max-age=0", TAG),
    keeps: "expired",
  },
  {
    section: "5.2.2.1",
    name: "max-age=0, public, with a validator",
    response: cc("public, max-age=0", TAG),
    keeps: [0, HOUR_S],
  },
  {
    section: "5.2.2.1",
    name: "a year and no longer",
    response: cc("max-age=99999999999"),
    keeps: [2_147_483_648, 31_536_000],
  },
  {
    section: "5.2.2.2",
    name: "must-revalidate alone is no lifetime",
    response: cc("must-revalidate", TAG),
    keeps: "unmarked",
  },
  {
    section: "5.2.2.3",
    name: "must-understand does not lift no-store",
    response: cc("must-understand, no-store, max-age=60"),
    keeps: "forbidden",
  },
  { section: "5.2.2.4", name: "no-cache alone", response: cc("no-cache", TAG), keeps: "unmarked" },
  {
    section: "5.2.2.4",
    name: "public, no-cache with a validator",
    response: cc("public, no-cache", TAG),
    keeps: [0, HOUR_S],
  },
  {
    section: "5.2.2.4",
    name: "no-cache wins over max-age",
    response: cc("public, no-cache, max-age=60", TAG),
    keeps: [0, HOUR_S],
  },
  {
    section: "5.2.2.4",
    name: 'no-cache="x" counts as no-cache',
    response: cc('no-cache="x", max-age=60'),
    keeps: "expired",
  },
  { section: "5.2.2.5", name: "no-store", response: cc("no-store"), keeps: "forbidden" },
  { section: "5.2.2.5", name: "no-store beside a lifetime", response: cc("max-age=60, no-store"), keeps: "forbidden" },
  { section: "5.2.2.7", name: "private", response: cc("private, max-age=60"), keeps: "forbidden" },
  {
    section: "5.2.2.7",
    name: 'private="x" counts as private',
    response: cc('max-age=60, private="x-user"'),
    keeps: "forbidden",
  },
  {
    section: "5.2.2.10",
    name: "s-maxage=0 wins over max-age",
    response: cc("s-maxage=0, max-age=60"),
    keeps: "expired",
  },
  {
    section: "5.2.1.5",
    name: "a request that forbids storing",
    response: cc("max-age=60"),
    request: cc("no-store"),
    keeps: "request-no-store",
  },
  { section: "5.3", name: "Expires: 0", response: { expires: "0" }, keeps: "expired" },
  { section: "5.3", name: "Expires that is a bare year", response: { expires: "2030" }, keeps: "expired" },
  { section: "5.3", name: "Expires twice", response: { expires: `${at(60)}, ${at(60)}` }, keeps: "expired" },
  { section: "5.3", name: "Expires in the past", response: { expires: at(-60), date: at(0) }, keeps: "expired" },
  {
    section: "5.3",
    name: "Expires as asctime",
    response: { expires: "Mon Nov 23 15:01:00 2026", date: at(0) },
    keeps: [60, 60],
  },
  {
    section: "5.3",
    name: "Expires as RFC 850",
    response: { expires: "Monday, 23-Nov-26 15:01:00 GMT", date: at(0) },
    keeps: [60, 60],
  },
  {
    section: "5.3",
    name: "Expires as RFC 850, in 2050",
    response: { expires: "Thursday, 18-Aug-50 02:01:18 GMT" },
    keeps: [748_954_878, 31_536_000],
  },
  {
    section: "7.1",
    name: "a request that overrides its method",
    response: cc("max-age=60"),
    request: { "x-http-method-override": "DELETE" },
    keeps: "unkeyed",
  },
  {
    section: "7.1",
    name: "a request that overrides its URL",
    response: cc("max-age=60"),
    request: { "x-original-url": "/admin" },
    keeps: "unkeyed",
  },
  {
    section: "RFC 5861 3",
    name: "kept while it may be used stale",
    response: cc("max-age=60, stale-while-revalidate=30"),
    keeps: [60, 90],
  },
  {
    section: "RFC 5861 4",
    name: "kept for the longer of the two",
    response: cc("max-age=60, stale-while-revalidate=30, stale-if-error=600"),
    keeps: [60, 660],
  },
  {
    section: "RFC 5861 4",
    name: "s-maxage does not end an explicit stale-if-error",
    response: cc("s-maxage=60, stale-if-error=600"),
    keeps: [60, 660],
  },
];

describe("what is kept", () => {
  it("has at least forty rows", () => expect(storing.length).toBeGreaterThanOrEqual(40));

  it.each(storing)("$section $name", ({ response, request, method, status, keeps }) => {
    const result = keep(response, request, method, status);
    expect(typeof result === "string" ? result : [result.freshMs / 1000, result.keepMs / 1000]).toEqual(keeps);
  });
});

interface UseRow {
  readonly section: string;
  readonly name: string;
  readonly response: Sent;
  readonly request?: Sent;
  /** What becomes of it at these ages, seconds since it was received. */
  readonly uses: Readonly<Record<number, Reuse>>;
  /** Seconds since it was received up to which it may stand in for an origin that fails. */
  readonly standsInS?: number;
}

const using: readonly UseRow[] = [
  {
    section: "4.2",
    name: "fresh to its last second",
    response: cc("max-age=60"),
    uses: { 0: "fresh", 59: "fresh", 60: "validate" },
    standsInS: 60,
  },
  {
    section: "4.2.3",
    name: "Age counts against it",
    response: cc("max-age=60", { age: "50" }),
    uses: { 9: "fresh", 10: "validate" },
    standsInS: 10,
  },
  {
    section: "4.2.3",
    name: "a clock that steps back makes nothing younger",
    response: cc("max-age=60", { age: "50" }),
    uses: { [-3600]: "fresh", 10: "validate" },
  },
  {
    section: "5.2.2.4",
    name: "no-cache is validated each time",
    response: cc("public, no-cache, stale-if-error=60", TAG),
    uses: { 0: "validate" },
    standsInS: 0,
  },
  {
    section: "5.2.2.2",
    name: "must-revalidate is used while fresh, and never stale",
    response: cc("max-age=60, must-revalidate, stale-while-revalidate=60, stale-if-error=60"),
    uses: { 59: "fresh", 60: "validate" },
    standsInS: 60,
  },
  {
    section: "5.2.2.8",
    name: "proxy-revalidate as must-revalidate",
    response: cc("max-age=60, proxy-revalidate, stale-if-error=60"),
    uses: { 59: "fresh", 60: "validate" },
    standsInS: 60,
  },
  {
    section: "RFC 5861 3",
    name: "stale-while-revalidate to its last second",
    response: cc("max-age=60, stale-while-revalidate=30"),
    uses: { 60: "stale-while-revalidate", 89: "stale-while-revalidate", 90: "validate" },
    standsInS: 90,
  },
  {
    section: "RFC 5861 4",
    name: "stale-if-error to its last second",
    response: cc("max-age=60, stale-if-error=600"),
    uses: { 60: "validate" },
    standsInS: 660,
  },
  {
    section: "5.2.1.4",
    name: "a client's no-cache",
    response: cc("max-age=60"),
    request: cc("no-cache"),
    uses: { 0: "validate" },
  },
  {
    section: "5.4",
    name: "a client's Pragma: no-cache",
    response: cc("max-age=60"),
    request: { pragma: "no-cache" },
    uses: { 0: "validate" },
  },
  {
    section: "5.4",
    name: "Pragma beside Cache-Control is not heard",
    response: cc("max-age=60"),
    request: cc("max-age=30", { pragma: "no-cache" }),
    uses: { 0: "fresh" },
  },
  {
    section: "5.2.1.1",
    name: "a client's max-age",
    response: cc("max-age=60"),
    request: cc("max-age=10"),
    uses: { 10: "fresh", 11: "validate" },
  },
  {
    section: "5.2.1.1",
    name: "a client's max-age also ends stale-while-revalidate",
    response: cc("max-age=5, stale-while-revalidate=60"),
    request: cc("max-age=10"),
    uses: { 8: "stale-while-revalidate", 11: "validate" },
  },
  {
    section: "5.2.1.1",
    name: "a client's max-age=0",
    response: cc("max-age=60"),
    request: cc("max-age=0"),
    uses: { 0: "fresh", 1: "validate" },
  },
  {
    section: "5.2.1.3",
    name: "a client's min-fresh",
    response: cc("max-age=60"),
    request: cc("min-fresh=20"),
    uses: { 40: "fresh", 41: "validate" },
  },
  {
    section: "5.2.1.2",
    name: "a client's max-stale gets nothing the origin does not allow",
    response: cc("max-age=60"),
    request: cc("max-stale=600"),
    uses: { 60: "validate" },
  },
  {
    section: "5.2.1.7",
    name: "only-if-cached is not heard",
    response: cc("max-age=60"),
    request: cc("only-if-cached"),
    uses: { 0: "fresh", 60: "validate" },
  },
  {
    section: "3.5",
    name: "Authorization is not given what is not marked shared",
    response: cc("max-age=60"),
    request: { authorization: "x" },
    uses: { 0: "never" },
  },
  {
    section: "3.5",
    name: "Authorization is given what is public",
    response: cc("public, max-age=60"),
    request: { authorization: "x" },
    uses: { 0: "fresh" },
  },
  {
    section: "3.5",
    name: "Cookie is not given what is not marked shared",
    response: cc("max-age=60"),
    request: { cookie: "a=b" },
    uses: { 0: "never" },
  },
  {
    section: "3.5",
    name: "Cookie is given what has s-maxage",
    response: cc("s-maxage=60"),
    request: { cookie: "a=b" },
    uses: { 0: "fresh" },
  },
];

describe("when it is used", () => {
  it.each(using)("$section $name", ({ response, request = {}, uses, standsInS }) => {
    const copy = kept(response);
    for (const [seconds, use] of Object.entries(uses)) {
      expect([seconds, reuseOf(copy, fieldsOf(request), NOW_MS + Number(seconds) * 1000)]).toEqual([seconds, use]);
    }
    if (standsInS === undefined) return;
    expect(mayStandIn(copy, NOW_MS + standsInS * 1000 - 1)).toBe(standsInS > 0);
    expect(mayStandIn(copy, NOW_MS + standsInS * 1000)).toBe(false);
  });
});

describe("Age (4.2.3)", () => {
  it.each([
    { name: "grows with the time it is kept", response: cc("max-age=60"), delayMs: 0, afterMs: 7_400, ageMs: 7_400 },
    {
      name: "starts at what came with it",
      response: cc("max-age=60", { age: "20" }),
      delayMs: 0,
      afterMs: 5_000,
      ageMs: 25_000,
    },
    {
      name: "counts the time the answer took",
      response: cc("max-age=60", { age: "20" }),
      delayMs: 3_000,
      afterMs: 0,
      ageMs: 23_000,
    },
    {
      name: "is at least the age of Date",
      response: cc("max-age=90", { age: "20", date: at(-40) }),
      delayMs: 3_000,
      afterMs: 0,
      ageMs: 40_000,
    },
    {
      name: "is not below zero for a Date ahead",
      response: cc("max-age=60", { date: at(40) }),
      delayMs: 0,
      afterMs: 0,
      ageMs: 0,
    },
  ])("$name", ({ response, delayMs, afterMs, ageMs }) => {
    const result = keep(response, {}, "GET", 200, delayMs);
    if (typeof result === "string") throw new Error(result);
    expect(ageMsOf(result, NOW_MS + afterMs)).toBe(ageMs);
  });
});

describe("invalidation (4.4)", () => {
  it.each([
    ["POST", 200, true],
    ["PUT", 204, true],
    ["DELETE", 303, true],
    ["PATCH", 201, true],
    ["M-SEARCH", 200, true],
    ["POST", 400, false],
    ["POST", 500, false],
    ["GET", 200, false],
    ["HEAD", 200, false],
    ["OPTIONS", 200, false],
    ["TRACE", 200, false],
  ] as const)("%s answered %i: %s", (method, status, expected) => {
    expect(invalidates(method, status)).toBe(expected);
  });
});

describe("names of a list field", () => {
  it("are read without case, order or repetition", () => {
    expect(namesIn(" Accept-Encoding,ORIGIN , accept-encoding,,")).toEqual(["accept-encoding", "origin"]);
  });
});
