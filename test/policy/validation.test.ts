import { describe, expect, it } from "vitest";
import { confirms, isUnchanged, isUpdatable, validatorsOf } from "../../src/policy/validation.ts";

const fieldsOf = (sent: Readonly<Record<string, string>>) => ({ get: (name: string) => sent[name] ?? null });
const MON = "Mon, 23 Nov 2026 15:00:00 GMT";
const SUN = "Sun, 22 Nov 2026 15:00:00 GMT";

describe("a client that asks conditionally", () => {
  it.each([
    { name: "has the same strong tag", asked: { "if-none-match": '"1"' }, kept: { etag: '"1"' }, unchanged: true },
    { name: "has another tag", asked: { "if-none-match": '"2"' }, kept: { etag: '"1"' }, unchanged: false },
    {
      name: "has it among others",
      asked: { "if-none-match": '"0", W/"1", "2"' },
      kept: { etag: '"1"' },
      unchanged: true,
    },
    { name: "compares weakly", asked: { "if-none-match": '"1"' }, kept: { etag: 'W/"1"' }, unchanged: true },
    { name: "takes anything", asked: { "if-none-match": "*" }, kept: {}, unchanged: true },
    { name: "has a tag with a comma", asked: { "if-none-match": '"a,b"' }, kept: { etag: '"a,b"' }, unchanged: true },
    {
      name: "is not helped by half a tag",
      asked: { "if-none-match": '"a,b"' },
      kept: { etag: '"a' },
      unchanged: false,
    },
    { name: "has the date", asked: { "if-modified-since": MON }, kept: { "last-modified": MON }, unchanged: true },
    { name: "has a later date", asked: { "if-modified-since": MON }, kept: { "last-modified": SUN }, unchanged: true },
    {
      name: "has an earlier date",
      asked: { "if-modified-since": SUN },
      kept: { "last-modified": MON },
      unchanged: false,
    },
    {
      name: "has a date, the answer only Date",
      asked: { "if-modified-since": MON },
      kept: { date: SUN },
      unchanged: true,
    },
    {
      name: "has no date at all",
      asked: { "if-modified-since": "today" },
      kept: { "last-modified": SUN },
      unchanged: false,
    },
    {
      name: "has a tag that wins over its date",
      asked: { "if-none-match": '"2"', "if-modified-since": MON },
      kept: { etag: '"1"', "last-modified": SUN },
      unchanged: false,
    },
    { name: "asks nothing", asked: {}, kept: { etag: '"1"' }, unchanged: false },
  ])("$name", ({ asked, kept, unchanged }) => {
    expect(isUnchanged(fieldsOf(asked), fieldsOf(kept))).toBe(unchanged);
  });
});

describe("asking the origin", () => {
  it("uses both validators where there are both", () => {
    expect(validatorsOf(fieldsOf({ etag: 'W/"1"', "last-modified": MON }))).toEqual([
      ["if-none-match", 'W/"1"'],
      ["if-modified-since", MON],
    ]);
  });

  it("asks unconditionally where there is none", () => expect(validatorsOf(fieldsOf({}))).toEqual([]));
});

describe("a 304", () => {
  it.each([
    ['"1"', '"1"', true],
    ['W/"1"', '"1"', true],
    ['"2"', '"1"', false],
    [null, '"1"', true],
  ] as const)("with tag %s confirms what is kept under %s: %s", (etag, keptEtag, expected) => {
    expect(confirms(fieldsOf(etag === null ? {} : { etag }), fieldsOf({ etag: keptEtag }))).toBe(expected);
  });

  it("updates everything but what frames the body, and sets nobody's cookie", () => {
    const names = ["cache-control", "etag", "content-type", "content-length", "content-encoding", "set-cookie"];
    expect(names.filter(isUpdatable)).toEqual(["cache-control", "etag", "content-type"]);
  });
});
