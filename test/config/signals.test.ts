import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { readEdge, readPin, readRate } from "../../src/config/signals.ts";

/** Random cases take their time on a machine that does something else as well. */
vi.setConfig({ testTimeout: 60_000 });

const MOMENT_MS = Date.UTC(2026, 10, 23, 15, 0, 0);

const NOT_A_MOMENT = "expected a time (RFC 3339 or Unix ms)";
const NOT_A_RATE = "expected a finite number >= 0";

describe("readRate", () => {
  it.each([
    { name: "a bare number", text: "450", rate: 450 },
    { name: "a bare 0", text: "0", rate: 0 },
    { name: "a bare fraction", text: "0.5", rate: 0.5 },
    { name: "a bare power of ten", text: "4.5e2", rate: 450 },
    { name: "a bare number in white space", text: " 450\n", rate: 450 },
    { name: "the largest number", text: String(Number.MAX_VALUE), rate: Number.MAX_VALUE },
    { name: "a document of nothing but the rate", text: '{"requests_per_minute":450}', rate: 450 },
  ])("reads $name, which never goes stale", ({ text, rate }) => {
    const signal = { source: "external", requestsPerMinute: rate, capacity: null, publishedAtMs: null };
    expect(readRate("external", text)).toEqual(signal);
  });

  it("reads the whole document", () => {
    const text = '{"requests_per_minute":450,"capacity":1000,"published_at":"2026-11-23T15:00:00Z"}';
    expect(readRate("external", text)).toEqual({
      source: "external",
      requestsPerMinute: 450,
      capacity: 1_000,
      publishedAtMs: MOMENT_MS,
    });
  });

  it("reads what the gateway publishes itself, with members of its own", () => {
    const document = {
      requests_per_minute: 0.25,
      capacity: 0.5,
      published_at: MOMENT_MS,
      tier: "high",
      offered_per_minute: 900,
      error_rate: 0.02,
      avg_response_ms: 125,
    };
    expect(readRate("edge", JSON.stringify(document))).toEqual({
      source: "edge",
      requestsPerMinute: 0.25,
      capacity: 0.5,
      publishedAtMs: MOMENT_MS,
    });
  });

  it.each([
    { name: "UTC", at: "2026-11-23T15:00:00Z", ms: MOMENT_MS },
    { name: "lower case", at: "2026-11-23t15:00:00z", ms: MOMENT_MS },
    { name: "a space for the T", at: "2026-11-23 15:00:00Z", ms: MOMENT_MS },
    { name: "an offset of 0", at: "2026-11-23T15:00:00+00:00", ms: MOMENT_MS },
    { name: "an unknown offset", at: "2026-11-23T15:00:00-00:00", ms: MOMENT_MS },
    { name: "an offset east", at: "2026-11-23T20:30:00+05:30", ms: MOMENT_MS },
    { name: "an offset west", at: "2026-11-23T07:00:00-08:00", ms: MOMENT_MS },
    { name: "an offset over midnight", at: "2026-11-24T05:00:00+14:00", ms: MOMENT_MS },
    { name: "a tenth", at: "2026-11-23T15:00:00.5Z", ms: MOMENT_MS + 500 },
    { name: "a thousandth", at: "2026-11-23T15:00:00.001Z", ms: MOMENT_MS + 1 },
    { name: "a billionth", at: "2026-11-23T15:00:00.123456789Z", ms: MOMENT_MS + 123 },
    { name: "a fraction in lower case with an offset", at: "2026-11-23t16:00:00.25+01:00", ms: MOMENT_MS + 250 },
    { name: "a leap day", at: "2028-02-29T00:00:00Z", ms: Date.UTC(2028, 1, 29) },
    { name: "Unix ms", at: MOMENT_MS, ms: MOMENT_MS },
    { name: "Unix ms of 0", at: 0, ms: 0 },
    { name: "Unix ms of a far future", at: 1e300, ms: 1e300 },
  ])("reads a moment in $name", ({ at, ms }) => {
    const text = JSON.stringify({ requests_per_minute: 1, published_at: at });
    expect(readRate("external", text)).toMatchObject({ publishedAtMs: ms });
    expect(readPin(JSON.stringify({ load: 1, until: at }))).toEqual({ load: 1, untilMs: ms });
  });

  it.each([
    { name: "a date", at: "2026-11-23" },
    { name: "no seconds", at: "2026-11-23T15:00Z" },
    { name: "no offset", at: "2026-11-23T15:00:00" },
    { name: "an offset without colon", at: "2026-11-23T15:00:00+0100" },
    { name: "an offset of hours", at: "2026-11-23T15:00:00+01" },
    { name: "an offset of 25 hours", at: "2026-11-23T15:00:00+25:00" },
    { name: "a fraction without digits", at: "2026-11-23T15:00:00.Z" },
    { name: "a fraction with a comma", at: "2026-11-23T15:00:00,5Z" },
    { name: "month 0", at: "2026-00-23T15:00:00Z" },
    { name: "month 13", at: "2026-13-23T15:00:00Z" },
    { name: "day 0", at: "2026-11-00T15:00:00Z" },
    { name: "day 32", at: "2026-12-32T15:00:00Z" },
    { name: "hour 25", at: "2026-11-23T25:00:00Z" },
    { name: "minute 60", at: "2026-11-23T15:60:00Z" },
    { name: "second 61", at: "2026-11-23T15:00:61Z" },
    { name: "another order", at: "23-11-2026T15:00:00Z" },
    { name: "a date of mail", at: "Mon, 23 Nov 2026 15:00:00 GMT" },
    { name: "Unix ms as text", at: String(MOMENT_MS) },
    { name: "space around", at: " 2026-11-23T15:00:00Z" },
    { name: "a line end", at: "2026-11-23T15:00:00Z\n" },
    { name: "nothing", at: "" },
    { name: "null", at: null },
    { name: "true", at: true },
    { name: "a list", at: [MOMENT_MS] },
  ])("finds no moment in $name", ({ at }) => {
    const got = JSON.stringify(at);
    expect(readRate("edge", JSON.stringify({ requests_per_minute: 1, published_at: at }))).toEqual({
      source: "edge",
      unusable: `published_at: ${NOT_A_MOMENT}, got ${got}`,
    });
    expect(readPin(JSON.stringify({ load: 1, until: at }))).toEqual({ unusable: `until: ${NOT_A_MOMENT}, got ${got}` });
  });

  it.each(["1e999", "-1e999", "-1"])("finds no moment in %s", (number) => {
    expect(readRate("external", `{"requests_per_minute":1,"published_at":${number}}`)).toHaveProperty("unusable");
    expect(readPin(`{"load":1,"until":${number}}`)).toHaveProperty("unusable");
  });

  it.each([
    { name: "a negative rate", text: "-1", why: `requests_per_minute: ${NOT_A_RATE}, got -1` },
    { name: "a rate without end", text: "1e999", why: `requests_per_minute: ${NOT_A_RATE}, got null` },
    { name: "a rate without end below", text: "-1e999", why: `requests_per_minute: ${NOT_A_RATE}, got null` },
    {
      name: "a rate as text",
      text: '{"requests_per_minute":"450"}',
      why: `requests_per_minute: ${NOT_A_RATE}, got "450"`,
    },
    {
      name: "a rate of null",
      text: '{"requests_per_minute":null}',
      why: `requests_per_minute: ${NOT_A_RATE}, got null`,
    },
    {
      name: "a rate that is a list",
      text: '{"requests_per_minute":[450]}',
      why: `requests_per_minute: ${NOT_A_RATE}, got [450]`,
    },
    { name: "no rate", text: '{"capacity":1000}', why: "requests_per_minute: expected a value, got nothing" },
    { name: "an empty document", text: "{}", why: "requests_per_minute: expected a value, got nothing" },
    {
      name: "a capacity of 0",
      text: '{"requests_per_minute":1,"capacity":0}',
      why: "capacity: expected a finite number > 0, got 0",
    },
    {
      name: "a capacity under 0",
      text: '{"requests_per_minute":1,"capacity":-5}',
      why: "capacity: expected a finite number > 0, got -5",
    },
    {
      name: "a capacity without end",
      text: '{"requests_per_minute":1,"capacity":1e999}',
      why: "capacity: expected a finite number > 0, got null",
    },
    {
      name: "a capacity of null",
      text: '{"requests_per_minute":1,"capacity":null}',
      why: "capacity: expected a finite number > 0, got null",
    },
    { name: "text", text: '"450"', why: 'expected an object, got "450"' },
    { name: "null", text: "null", why: "expected an object, got null" },
    { name: "true", text: "true", why: "expected an object, got true" },
    { name: "a list", text: "[450]", why: "expected an object, got [450]" },
  ])("hands on as unusable, with the reason: $name", ({ text, why }) => {
    expect(readRate("external", text)).toEqual({ source: "external", unusable: why });
  });

  it.each(["", " ", "NaN", "Infinity", "+450", "450 rpm", "0x1c2", "450,0", "\ufeff450", "{", "{]", "undefined", "\0"])(
    "hands on as unusable what is no JSON: %j",
    (text) => {
      for (const read of [readRate("edge", text), readPin(text)])
        expect(read).toMatchObject({ unusable: expect.stringMatching(/^expected JSON, got ./) });
    },
  );

  it("hands on as unusable what is larger than 64 KiB", () => {
    const unusable = "expected at most 65536 bytes, got 65537 bytes";
    expect(readRate("external", "450".padEnd(65_537, " "))).toEqual({ source: "external", unusable });
    expect(readRate("external", "450".padEnd(65_536, " "))).toMatchObject({ requestsPerMinute: 450 });
    expect(readPin('{"load":1}'.padEnd(65_537, " "))).toEqual({ unusable });
  });

  it.each(["__proto__", "constructor", "prototype"])("hands on as unusable a document with a member %s", (name) => {
    expect(readRate("external", `{"requests_per_minute":1,"${name}":{}}`)).toHaveProperty("unusable");
    expect(readPin(`{"load":1,"${name}":{}}`)).toHaveProperty("unusable");
  });
});

describe("readPin", () => {
  it.each([
    { name: "without end", text: '{"load":0.9}', pin: { load: 0.9, untilMs: null } },
    {
      name: "with an end",
      text: '{"load":0.9,"until":"2026-11-23T15:00:00Z"}',
      pin: { load: 0.9, untilMs: MOMENT_MS },
    },
    { name: "at load 0", text: '{"load":0}', pin: { load: 0, untilMs: null } },
    { name: "at load 1", text: '{"load":1}', pin: { load: 1, untilMs: null } },
    { name: "with members of its own", text: '{"load":1,"by":"ops"}', pin: { load: 1, untilMs: null } },
  ])("reads a pin $name", ({ text, pin }) => {
    expect(readPin(text)).toEqual(pin);
  });

  it.each([
    { name: "a load under 0", text: '{"load":-0.01}', why: "load: expected a number 0..1, got -0.01" },
    { name: "a load over 1", text: '{"load":1.01}', why: "load: expected a number 0..1, got 1.01" },
    { name: "a load in percent", text: '{"load":90}', why: "load: expected a number 0..1, got 90" },
    { name: "a load as text", text: '{"load":"0.9"}', why: 'load: expected a number 0..1, got "0.9"' },
    { name: "a load without end", text: '{"load":1e999}', why: "load: expected a number 0..1, got null" },
    { name: "no load", text: '{"until":"2026-11-23T15:00:00Z"}', why: "load: expected a value, got nothing" },
    { name: "a bare number", text: "0.9", why: "expected an object, got 0.9" },
    { name: "a list", text: "[]", why: "expected an object, got []" },
  ])("hands on as unusable, with the reason: $name", ({ text, why }) => {
    expect(readPin(text)).toEqual({ unusable: why });
  });
});

/** Any sequence of UTF-16 units, lone surrogates among them. */
const anyText = fc
  .array(fc.oneof(fc.nat(0x7f), fc.nat(0xffff)), { maxLength: 60 })
  .map((units) => String.fromCharCode(...units));

describe("readRate and readPin, of random text", () => {
  const aNumber = fc.oneof(fc.double(), fc.constantFrom<unknown>(0, -0, 1, 450, "450", null, [], "1e3"));
  const aMoment = fc.oneof(
    fc.integer(),
    fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
    fc.string(),
  );
  const aDocument = fc.record(
    { requests_per_minute: aNumber, load: aNumber, capacity: aNumber, published_at: aMoment, until: aMoment },
    { requiredKeys: [] },
  );
  const text = fc.oneof(
    aDocument.map((document) => JSON.stringify(document)),
    fc.json(),
    anyText,
    fc.double().map(String),
  );

  it("never throw, and let through only numbers that policy takes", () => {
    fc.assert(
      fc.property(text, (any) => {
        const rate = readRate("external", any);
        expect(rate.source).toBe("external");
        if (!("unusable" in rate)) {
          expect(Number.isFinite(rate.requestsPerMinute) && rate.requestsPerMinute >= 0).toBe(true);
          expect(rate.capacity === null || (Number.isFinite(rate.capacity) && rate.capacity > 0)).toBe(true);
          expect(rate.publishedAtMs === null || Number.isFinite(rate.publishedAtMs)).toBe(true);
        } else expect(rate.unusable).toMatch(/expected .*, got /s);
        const pin = readPin(any);
        if (!("unusable" in pin)) {
          expect(pin.load >= 0 && pin.load <= 1).toBe(true);
          expect(pin.untilMs === null || Number.isFinite(pin.untilMs)).toBe(true);
        } else expect(pin.unusable).toMatch(/expected .*, got /s);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("faulty documents", () => {
  const deep = "[".repeat(5_000) + "]".repeat(5_000);

  it("never throws on what is nested too deeply to be shown", () => {
    expect(readRate("external", deep)).toHaveProperty("unusable");
    expect(readRate("external", `{"requests_per_minute":${deep}}`)).toHaveProperty("unusable");
    expect(readPin(deep)).toHaveProperty("unusable");
  });

  it.each(["2026-02-30T00:00:00Z", "2026-02-29T00:00:00Z", "2026-11-31T00:00:00Z", "2026-11-23T24:00:00Z"])(
    "finds no moment in %s",
    (at) => {
      expect(readRate("edge", JSON.stringify({ requests_per_minute: 1, published_at: at }))).toHaveProperty("unusable");
    },
  );

  it("reads a leap second as the second after it", () => {
    const text = JSON.stringify({ requests_per_minute: 1, published_at: "2016-12-31T23:59:60Z" });
    expect(readRate("edge", text)).toMatchObject({ publishedAtMs: Date.UTC(2017, 0, 1) });
  });

  it("words a negative moment like any other", () => {
    expect(readRate("edge", '{"requests_per_minute":1,"published_at":-1}')).toEqual({
      source: "edge",
      unusable: "published_at: expected a time (RFC 3339 or Unix ms), got -1",
    });
  });
});

describe("readEdge", () => {
  const document = {
    requests_per_minute: 450,
    capacity: 1_000,
    published_at: MOMENT_MS,
    tier: "medium",
    offered_per_minute: 600,
    error_rate: 0.02,
    avg_response_ms: 125,
  };

  it("reads the meter's whole word", () => {
    expect(readEdge(JSON.stringify(document)).word).toEqual({
      requestsPerMinute: 450,
      capacity: 1_000,
      publishedAtMs: MOMENT_MS,
      tier: "medium",
      offeredPerMinute: 600,
      errorRate: 0.02,
      avgResponseMs: 125,
      pin: null,
      documentsAsOfMs: 0,
      shed: {},
    });
  });

  it("reads the closing document, which has no time", () => {
    const closing = { requests_per_minute: 0, capacity: 1_000, tier: "low" };
    expect(readEdge(JSON.stringify(closing)).word).toMatchObject({ publishedAtMs: null, tier: "low" });
  });

  it.each([
    { name: "a bare number", text: "450" },
    { name: "a rate without a tier", text: '{"requests_per_minute":450,"capacity":1000}' },
    { name: "a tier that is none", text: '{"requests_per_minute":450,"capacity":1000,"tier":"extreme"}' },
    { name: "a tier without a capacity", text: '{"requests_per_minute":450,"tier":"high"}' },
  ])("takes $name for a rate like any other", ({ text }) => {
    expect(readEdge(text)).toMatchObject({ signal: { source: "edge", requestsPerMinute: 450 }, word: null });
  });

  it.each(["", "{", "null", '{"requests_per_minute":-1,"tier":"low"}'])("makes nothing of %j", (text) => {
    expect(readEdge(text)).toMatchObject({ signal: { unusable: expect.any(String) }, word: null });
  });
});
