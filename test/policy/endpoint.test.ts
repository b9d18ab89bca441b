import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { endpointsOf, isExempt, parsePattern, profileFor, readingsOf } from "../../src/policy/endpoint.ts";
import { BUILT_IN } from "../../src/policy/limits.ts";

/** Random cases take their time on a machine that does something else as well. */
vi.setConfig({ testTimeout: 60_000 });

const endpoints = endpointsOf(BUILT_IN.profiles);

/** Profiles with nothing but patterns and a low-load limit. */
function profiles(rows: Readonly<Record<string, readonly [low: number, ...match: string[]]>>) {
  return Object.fromEntries(
    Object.entries(rows).map(([name, [low, ...match]]) => [
      name,
      { match, limits: { low, medium: low, high: low, critical: low } },
    ]),
  );
}

describe("profileFor", () => {
  it.each([
    { name: "as written", path: "/api/ai/chat" },
    { name: "a trailing slash", path: "/api/ai/chat/" },
    { name: "case", path: "/API/AI/chat" },
    { name: "repeated slashes and an escape", path: "/api//ai/%63hat" },
    { name: "encoded slashes", path: "/api%2Fai%2Fchat" },
    { name: "the subtree's own root", path: "/api/ai" },
    { name: "the subtree's own root with a slash", path: "/api/ai/" },
    { name: "all case", path: "/aPi/Ai/CHAT" },
    { name: "an escape", path: "/%61pi/a%69/chat" },
    { name: "an escape in lower-case hex", path: "/api%2fai" },
    { name: "an escape twice", path: "/%2561pi/ai/chat" },
    { name: "an escape of which each character is escaped", path: "/%25%36%31pi/ai/chat" },
    { name: "an escape a thousand deep", path: `/%${"25".repeat(1_000)}61pi/ai/chat` },
    { name: "an escape that another completes", path: "/api/a%%36%39/chat" },
    { name: "an escape that ends within another", path: "/api/a%6%39/chat" },
    { name: "invalid escapes further on", path: "/api/ai/%zz%4" },
    { name: "a lone percent sign at the end", path: "/api/ai/%" },
    { name: "leading slashes", path: "///api/ai/chat" },
    { name: "slashes everywhere", path: "///api////ai///" },
    { name: "a dot segment", path: "/api/./ai/chat" },
    { name: "a dot segment at the end", path: "/api/ai/." },
    { name: "two dots", path: "/x/../api/ai/chat" },
    { name: "two dots above the root", path: "/../../api/ai/chat" },
    { name: "two dots twice", path: "/x/y/../../api/ai/chat" },
    { name: "two dots over an empty segment", path: "/x//../api/ai/chat" },
    { name: "encoded dots", path: "/x/%2e%2e/api/ai/chat" },
    { name: "half-encoded dots", path: "/x/%2E./api/ai/chat" },
    { name: "dots encoded twice", path: "/x/%252e%252e/api/ai/chat" },
    { name: "dots between encoded slashes", path: "/x%2f..%2fapi%2fai" },
    { name: "two dots with an empty parameter", path: "/x/..;/api/ai/chat" },
    { name: "two dots with a parameter", path: "/x/..;a=b/api/ai/chat" },
    { name: "two dots with an encoded semicolon", path: "/x/..%3b/api/ai/chat" },
    { name: "encoded dots with a parameter", path: "/x/%2e%2e;/api/ai/chat" },
    { name: "parameters", path: "/api;v=1/ai;x/chat;y" },
    { name: "a session parameter", path: "/api/ai;jsessionid=1" },
    { name: "a segment of nothing but a parameter", path: "/api/;x/ai" },
    { name: "backslashes", path: "/api\\ai\\chat" },
    { name: "a backslash first", path: "\\api\\ai" },
    { name: "encoded backslashes", path: "/api%5cai%5Cchat" },
    { name: "two dots between backslashes", path: "/x\\..\\api\\ai" },
    { name: "an encoded backslash after two dots", path: "/x/..%5c/api/ai" },
    { name: "a dotless i", path: "/api/a\u0131/chat" },
    { name: "a dotted I", path: "/api/a\u0130/chat" },
    { name: "an encoded dotless i", path: "/api/a%c4%b1/chat" },
    { name: "a dotted I encoded twice", path: "/api/a%25C4%25B0/chat" },
    { name: "a NUL further on", path: "/api/ai/chat\0" },
    { name: "an encoded NUL further on", path: "/api/ai/chat%00" },
    { name: "text outside ASCII further on", path: "/api/ai/\u65e5\u672c/\u{1f600}" },
    { name: "a lone surrogate further on", path: "/api/ai/\ud800" },
    { name: "a segment that begins with a dot", path: "/api/ai/.well-known" },
    { name: "100,000 characters further on", path: `/api/ai/${"a".repeat(100_000)}` },
  ])("reads $name as ai-chat", ({ path }) => {
    expect(profileFor(endpoints, "POST", path)).toBe("ai-chat");
  });

  it.each([
    { name: "a Kelvin sign", path: "/api/wor\u212aflows/1", profile: "workflows" },
    { name: "a long s", path: "/api/workflow\u017f/1", profile: "workflows" },
    { name: "an encoded Kelvin sign", path: "/api/wor%E2%84%AAflow", profile: "workflows" },
    { name: "all folds at once", path: "/api/WOR%e2%84%aaFLOW\u017f", profile: "workflows" },
    { name: "i in both foreign cases", path: "/api/b\u0131ll\u0130ng/x", profile: "billing" },
    { name: "a webhook that is not exempt", path: "/api/billing/webhook/x", profile: "billing" },
    { name: "an exact pattern", path: "/health", profile: "health" },
    { name: "an exact pattern with a slash", path: "/health/", profile: "health" },
  ])("reads $name as $profile", ({ path, profile }) => {
    expect(profileFor(endpoints, "GET", path)).toBe(profile);
  });

  it.each([
    { name: "the root", path: "/" },
    { name: "nothing", path: "" },
    { name: "the server itself", path: "*" },
    { name: "a longer last segment", path: "/api/aix" },
    { name: "a hyphen after it", path: "/api/ai-chat" },
    { name: "a dot after it", path: "/api/ai." },
    { name: "an encoded space after it", path: "/api/ai%20" },
    { name: "an encoded NUL after it", path: "/api/ai%00" },
    { name: "an invalid escape after it", path: "/api/ai%2" },
    { name: "a shorter path", path: "/api/a" },
    { name: "the same further down", path: "/x/api/ai/chat" },
    { name: "no slash between", path: "/apiai/chat" },
    { name: "under an exact pattern", path: "/health/live" },
    { name: "beside an exact pattern", path: "/healthz" },
    { name: "a fold of a letter that has none", path: "/api/\u0430i/chat" },
    { name: "lone surrogates", path: "/\udc00\ud800" },
    { name: "escapes of no text", path: "/%ff%fe%c4" },
  ])("leaves $name to default", ({ path }) => {
    expect(profileFor(endpoints, "GET", path)).toBe("default");
  });

  it.each([
    { name: "dots out of ai-chat into billing", path: "/api/ai/../billing/x", profile: "billing" },
    { name: "dots out of billing into ai-chat", path: "/api/billing/../ai/x", profile: "billing" },
    { name: "dots out of health into ai-chat", path: "/api/health/../ai/chat", profile: "ai-chat" },
    { name: "dots out of billing to nowhere", path: "/api/billing/../../x", profile: "billing" },
    { name: "dots out of billing, encoded", path: "/api/billing%2f..%2f..%2fx", profile: "billing" },
    { name: "an escape only some decode", path: "/api/ai/..%252fbilling/x", profile: "billing" },
    { name: "a slash that dots count or not", path: "/api/billing//../../ai/x", profile: "billing" },
  ])("takes the strictest reading: $name", ({ path, profile }) => {
    expect(profileFor(endpoints, "GET", path)).toBe(profile);
  });

  it("takes the strictest reading whichever profile is named first", () => {
    const rows = { a: [9, "/a/*"], b: [3, "/b/*"], c: [6, "/c/*"] } as const;
    for (const order of ["a b c", "a c b", "b a c", "b c a", "c a b", "c b a"]) {
      const names = order.split(" ") as (keyof typeof rows)[];
      const tables = endpointsOf(profiles(Object.fromEntries(names.map((name) => [name, rows[name]]))));
      expect(profileFor(tables, "GET", "/a/../b/x")).toBe("b");
      expect(profileFor(tables, "GET", "/b/../a/x")).toBe("b");
      expect(profileFor(tables, "GET", "/a/../c/x")).toBe("c");
    }
  });

  const patterned = endpointsOf(
    profiles({
      default: [100],
      root: [90, "/"],
      x: [80, "/x/*"],
      "x-itself": [70, "/x"],
      deep: [60, "/X/Y/z/*"],
      post: [50, "POST /x/*", "POST /post-only"],
      slash: [40, "/slash/"],
      long: [30, "/x/y/*"],
    }),
  );

  it.each([
    { method: "GET", path: "/", profile: "root" },
    { method: "GET", path: "//", profile: "root" },
    { method: "GET", path: "", profile: "root" },
    { method: "GET", path: "/x", profile: "x-itself" },
    { method: "GET", path: "/x/", profile: "x-itself" },
    { method: "GET", path: "/x/a", profile: "x" },
    { method: "GET", path: "/x/a/b", profile: "x" },
    { method: "GET", path: "/xy", profile: "default" },
    { method: "GET", path: "/x.a", profile: "default" },
    { method: "GET", path: "/x/y", profile: "long" },
    { method: "GET", path: "/x/y/b", profile: "long" },
    { method: "GET", path: "/x/yz", profile: "x" },
    { method: "GET", path: "/x/y/z", profile: "deep" },
    { method: "GET", path: "/x/y/z/q", profile: "deep" },
    { method: "POST", path: "/x/a", profile: "post" },
    { method: "POST", path: "/x", profile: "x-itself" },
    { method: "POST", path: "/x/y/b", profile: "long" },
    { method: "post", path: "/x/a", profile: "x" },
    { method: "POST", path: "/post-only", profile: "post" },
    { method: "PUT", path: "/post-only", profile: "default" },
    { method: "GET", path: "/slash", profile: "slash" },
    { method: "GET", path: "/slash/", profile: "slash" },
    { method: "GET", path: "/slash/a", profile: "default" },
  ])("lets the longest pattern win: $method $path is $profile", ({ method, path, profile }) => {
    expect(profileFor(patterned, method, path)).toBe(profile);
  });

  it.each(["/", "", "/a", "/a/b/", "/%zz", "/..", "/\\"])("matches %j with /*", (path) => {
    expect(profileFor(endpointsOf(profiles({ all: [1, "/*"], default: [9] })), "GET", path)).toBe("all");
  });

  it("compiles the patterns of one set of tables once", () => {
    expect(endpointsOf(BUILT_IN.profiles)).toBe(endpoints);
    expect(endpointsOf({ ...BUILT_IN.profiles })).not.toBe(endpoints);
  });
});

describe("parsePattern", () => {
  it.each([
    { name: "case", a: "/Api/AI/*", b: "/api/ai/*" },
    { name: "a trailing slash", a: "/health/", b: "/health" },
    { name: "a method, case apart", a: "POST /A", b: "POST /a" },
  ])("gives two texts one form: $name", ({ a, b }) => {
    expect(parsePattern(a, "p")).toEqual(parsePattern(b, "p"));
  });

  it.each([
    { name: "a subtree and its root", a: "/a/*", b: "/a" },
    { name: "two methods", a: "POST /a", b: "PUT /a" },
    { name: "a method and any", a: "POST /a", b: "/a" },
    { name: "everything and the root", a: "/*", b: "/" },
  ])("keeps two patterns apart: $name", ({ a, b }) => {
    expect(parsePattern(a, "p")).not.toEqual(parsePattern(b, "p"));
  });
});

describe("isExempt", () => {
  it.each([
    { path: "/api/billing/webhook", exempt: true },
    { path: "/api/billing/webhook-event", exempt: true },
    { path: "/api/billing/webhook/", exempt: false },
    { path: "/api/billing/Webhook", exempt: false },
    { path: "/api/billing/webhoo%6b", exempt: false },
    { path: "/api/billing//webhook", exempt: false },
    { path: "/api/billing/./webhook", exempt: false },
    { path: "/api/billing/webhook;a", exempt: false },
    { path: "/api\\billing\\webhook", exempt: false },
    { path: "/api/billing/webhook-events", exempt: false },
    { path: "/api/billing/webhook/x", exempt: false },
    { path: "/api/billing/webhoo\u212a", exempt: false },
    { path: "", exempt: false },
  ])("holds only for a path as its pattern is written: $path is $exempt", ({ path, exempt }) => {
    expect(isExempt(BUILT_IN.exempt, "POST", path)).toBe(exempt);
  });

  it.each([
    { path: "/hooks/a", exempt: true },
    { path: "/hooks/a/b", exempt: true },
    { path: "/hooksa", exempt: false },
    { path: "/Hooks/a", exempt: false },
    { path: "/hooks/../api/ai/chat", exempt: false },
    { path: "/hooks/%2e%2e/api/ai/chat", exempt: false },
    { path: "/hooks/..;/api/ai/chat", exempt: false },
    { path: "/hooks/..\\api\\ai", exempt: false },
    { path: "/hooks//a", exempt: false },
    { path: "/hooks/a;b", exempt: false },
    { path: "/hooks/a%2fb", exempt: false },
    { path: "/hooks/\u65e5", exempt: false },
  ])("leaves nothing to interpret under a subtree: $path is $exempt", ({ path, exempt }) => {
    expect(isExempt(["/hooks/*"], "POST", path)).toBe(exempt);
  });

  it.each([
    { method: "POST", exempt: true },
    { method: "GET", exempt: false },
    { method: "post", exempt: false },
  ])("holds for the pattern's method alone: $method is $exempt", ({ method, exempt }) => {
    expect(isExempt(["POST /hook"], method, "/hook")).toBe(exempt);
    expect(isExempt(["POST /hooks/*"], method, "/hooks/a")).toBe(exempt);
  });

  it("never holds for another spelling", () => {
    fc.assert(
      fc.property(aSpelling("/api/billing/webhook"), (path) => {
        fc.pre(!BUILT_IN.exempt.includes(path));
        return !isExempt([...BUILT_IN.exempt, "/hooks/*"], "GET", path);
      }),
      { numRuns: 2_000 },
    );
  });
});

/** One way to write a path differently, given two numbers to choose with, such that an origin may read the same. */
type Disguise = (path: string, a: number, b: number) => string;

const JUNK = ["q", "api", "ai", "tight", "billing"];
const FOLDS: Readonly<Record<string, string>> = { k: "\u212a", s: "\u017f", i: "\u0131", I: "\u0130" };

function replacedAt(text: string, index: number, by: string): string {
  return text.slice(0, index) + by + text.slice(index + 1);
}

/** The index of one of the slashes in a path; -1 where there is none. */
function slashAt(path: string, a: number): number {
  const found = [...path.matchAll(/[/\\]/g)];
  return found[a % found.length]?.index ?? -1;
}

function afterSlash(path: string, a: number, insert: string): string {
  const at = slashAt(path, a);
  return at < 0 ? path : path.slice(0, at + 1) + insert + path.slice(at + 1);
}

const DISGUISES: Readonly<Record<string, Disguise>> = {
  encodesOne(path, a, b) {
    const index = a % path.length;
    const character = path[index] ?? "";
    const octets = [...new TextEncoder().encode(character)].map((octet) => octet.toString(16).padStart(2, "0"));
    const escaped = octets.map((hex) => `%${b % 2 === 0 ? hex : hex.toUpperCase()}`).join("");
    return replacedAt(path, index, escaped);
  },
  encodesAgain: (path) => path.replaceAll("%", "%25"),
  repeatsSlash: (path, a, b) => afterSlash(path, a, "/".repeat(1 + (b % 3))),
  turnsSlash: (path, a) => (slashAt(path, a) < 0 ? path : replacedAt(path, slashAt(path, a), "\\")),
  addsDot: (path, a) => afterSlash(path, a, "./"),
  addsDots: (path, a, b) => afterSlash(path, a, `${JUNK[b % JUNK.length]}/../`),
  addsRootDots: (path, _, b) => (path.startsWith("/") ? "/..".repeat(1 + (b % 3)) + path : path),
  addsParameter(path, a, b) {
    const at = Math.max(0, slashAt(path, a));
    const parameter = [";", ";a", ";a=b", ";tight"][b % 4] ?? ";";
    return at === 0 ? path + parameter : path.slice(0, at) + parameter + path.slice(at);
  },
  addsTrailingSlash: (path) => `${path}/`,
  turnsCase(path, a) {
    const index = a % path.length;
    const character = path[index] ?? "";
    if (/[A-Z]/.test(character)) return replacedAt(path, index, character.toLowerCase());
    return /[a-z]/.test(character) ? replacedAt(path, index, character.toUpperCase()) : path;
  },
  foldsOne(path, a) {
    const index = a % path.length;
    return replacedAt(path, index, FOLDS[path[index] ?? ""] ?? path[index] ?? "");
  },
};

function aSpelling(path: string): fc.Arbitrary<string> {
  const aDisguise = fc.tuple(fc.constantFrom(...Object.keys(DISGUISES)), fc.nat(1_000), fc.nat(1_000));
  return fc
    .array(aDisguise, { maxLength: 14, size: "max" })
    .map((steps) => steps.reduce((text, [name, a, b]) => DISGUISES[name]?.(text, a, b) ?? text, path));
}

/** Any sequence of UTF-16 units, lone surrogates among them. */
const anyText = fc
  .array(fc.oneof(fc.nat(0x7f), fc.nat(0xffff)), { maxLength: 60 })
  .map((units) => String.fromCharCode(...units));

describe("profileFor, over random spellings", () => {
  const tables = profiles({
    default: [200],
    "ai-chat": [50, "/api/ai/*"],
    billing: [30, "/api/billing/*"],
    tight: [5, "/tight/*"],
  });

  it("never lets a spelling of a billing path out of billing but into something stricter", () => {
    fc.assert(
      fc.property(aSpelling("/api/billing/x"), (path) => {
        const profile = profileFor(endpointsOf(tables), "GET", path);
        return profile === "billing" || profile === "tight";
      }),
      { numRuns: 20_000 },
    );
  });

  it("never lets a spelling of an exact pattern with all folds out of its profile", () => {
    const kiss = endpointsOf(profiles({ default: [200], kiss: [3, "/kiss/is"] }));
    fc.assert(
      fc.property(aSpelling("/kiss/is"), (path) => profileFor(kiss, "GET", path) === "kiss"),
      { numRuns: 5_000 },
    );
  });

  it("gives every text a profile of the tables", () => {
    fc.assert(
      fc.property(anyText, fc.string({ maxLength: 8 }), (path, method) =>
        Object.hasOwn(BUILT_IN.profiles, profileFor(endpoints, method, path)),
      ),
      { numRuns: 1_000 },
    );
  });
});

describe("readingsOf", () => {
  /** Each reading once more, in the plainest words there are. */
  const once = (path: string) =>
    path.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  const fully = (path: string): string => (once(path) === path ? path : fully(once(path)));
  const folded = (path: string) => path.toLowerCase().replace(/\/+$/, "");
  function normal(path: string): string {
    const segments = path.replaceAll("\\", "/").split("/");
    const out: string[] = [];
    for (const [segment = ""] of segments.map((text) => text.split(";"))) {
      if (segment === "..") out.pop();
      else if (segment !== "" && segment !== ".") out.push(segment);
    }
    return out.map((segment) => `/${segment}`).join("");
  }

  it("holds a path as written, decoded once and decoded out, each as it is and in normal form", () => {
    const piece = fc.constantFrom("/", "/", ".", "..", "%", "%25", "2e", "2f", "%2F", "5c", "\\", ";", "a", "B", "3b");
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 16, size: "max" }), (pieces) => {
        const path = `/${pieces.join("")}`;
        const readings = readingsOf(path);
        expect(readings.size).toBeLessThanOrEqual(256);
        for (const text of [path, once(path), fully(path)]) {
          expect(readings).toContain(folded(text));
          expect(readings).toContain(folded(normal(text)));
        }
      }),
      { numRuns: 3_000 },
    );
  });

  it("has one reading of a plain path, which is why plain paths need none", () => {
    const segment = fc.stringMatching(/^[A-Za-z0-9_~-][A-Za-z0-9_.~-]{0,6}$/);
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 5 }), fc.constantFrom("", "/"), (segments, end) => {
        const path = `/${segments.join("/")}${end}`;
        expect([...readingsOf(path)]).toEqual([folded(path)]);
      }),
      { numRuns: 1_000 },
    );
  });

  it.each([
    { name: "escapes a level each", of: (n: number) => `/%${"25".repeat(n)}41` },
    { name: "escapes side by side", of: (n: number) => "/%2541".repeat(n) },
    { name: "percent signs", of: (n: number) => `/${"%".repeat(n)}` },
    { name: "slashes", of: (n: number) => `/a${"/".repeat(n)}b` },
    { name: "encoded slashes", of: (n: number) => `/a${"%2f".repeat(n)}b` },
    { name: "backslashes", of: (n: number) => `/a${"\\".repeat(n)}b` },
    { name: "dot segments", of: (n: number) => `/a${"/..".repeat(n)}/b` },
    { name: "segments and dots", of: (n: number) => `${"/a".repeat(n)}${"/..".repeat(n)}` },
    { name: "parameters", of: (n: number) => `/a${";".repeat(n)}/b` },
    { name: "text outside ASCII", of: (n: number) => `/${"\u212a".repeat(n)}` },
  ])("costs its length and not its square: $name", ({ of }) => {
    const [short, long] = [workOf(() => readingsOf(of(1_000))), workOf(() => readingsOf(of(4_000)))];
    expect(short).toBeGreaterThan(1_000);
    expect(long / short).toBeLessThan(4.5);
    // What happens inside one regular expression is not counted; a square of this would not come to an end.
    expect(readingsOf(of(100_000)).size).toBeLessThanOrEqual(256);
  });
});

/** Characters handed to string methods and elements moved in arrays while `run` runs. */
function workOf(run: () => void): number {
  let work = 0;
  const undo: (() => void)[] = [];
  const count = (prototype: object, name: PropertyKey, cost: (self: string | unknown[], args: unknown[]) => number) => {
    const original = Reflect.get(prototype, name) as (...args: unknown[]) => unknown;
    undo.push(() => Reflect.set(prototype, name, original));
    Reflect.set(prototype, name, function counted(this: string | unknown[], ...args: unknown[]) {
      work += cost(this, args);
      return Reflect.apply(original, this, args);
    });
  };
  for (const name of ["replace", "replaceAll", "split", "toLowerCase", "includes", "slice", Symbol.iterator])
    count(String.prototype, name, ({ length }) => length);
  for (const name of ["slice", "join", "shift", "unshift"]) count(Array.prototype, name, ({ length }) => length);
  count(Array.prototype, "splice", ({ length }, [start]) =>
    Number(start) < 0 ? -Number(start) : length - Number(start),
  );
  count(RegExp.prototype, "test", (_, [text]) => String(text).length);
  try {
    run();
  } finally {
    for (const restore of undo) restore();
  }
  return work;
}

describe("profileFor, between readings", () => {
  it.each(["/api/h%65alth/summary", "/api//health/summary", "/health;x", "/x/..//HEALTH"])(
    "counts %s as health: where low-load limits are the same, the next tiers decide",
    (path) => {
      expect(profileFor(endpointsOf(BUILT_IN.profiles), "GET", path)).toBe("health");
    },
  );

  it.each(["/api;%2fq/b%69lling/x", "/api;p%2fq/b%69lling/x", "/q%2fr/..;/api/b%69lling/x"])(
    "counts %s as billing: parameters are dropped and dots resolved before decoding, too",
    (path) => {
      expect(profileFor(endpointsOf(BUILT_IN.profiles), "GET", path)).toBe("billing");
    },
  );

  it("exempts the root of a subtree with and without a slash", () => {
    expect(["/hooks", "/hooks/", "/hooks/x", "/hooksx"].map((path) => isExempt(["/hooks/*"], "GET", path))).toEqual([
      true,
      true,
      true,
      false,
    ]);
  });
});
