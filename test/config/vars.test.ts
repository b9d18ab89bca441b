import { describe, expect, it } from "vitest";
import { ConfigError } from "../../src/config/error.ts";
import { type Config, readVars } from "../../src/config/vars.ts";

const UNSET: Config = {
  originUrl: null,
  counterShards: 8,
  signalRefreshMs: 30_000,
  publishMs: 10_000,
  originTimeoutMs: 30_000,
  counterTimeoutMs: 500,
  corsAllowOrigins: new Set(),
  originSecrets: [],
  tokens: { admin: null, metrics: null, signal: null },
};

function refusal(vars: Readonly<Record<string, unknown>>): unknown {
  try {
    return readVars(vars);
  } catch (error) {
    return error;
  }
}

describe("readVars", () => {
  const names = [
    "ORIGIN_URL",
    "COUNTER_SHARDS",
    "SIGNAL_REFRESH_SECONDS",
    "PUBLISH_SECONDS",
    "ORIGIN_TIMEOUT_MS",
    "COUNTER_TIMEOUT_MS",
    "CORS_ALLOW_ORIGINS",
    "ORIGIN_SECRET",
  ];

  it.each([
    { name: "nothing", vars: {} },
    { name: "empty strings", vars: Object.fromEntries(names.map((name) => [name, ""])) },
    { name: "undefined", vars: Object.fromEntries(names.map((name) => [name, undefined])) },
    { name: "null", vars: Object.fromEntries(names.map((name) => [name, null])) },
    { name: "bindings of other names", vars: { EDGE_KV: {}, COUNTERS: {}, ORIGIN: {}, origin_url: "x" } },
  ])("keeps every default for $name", ({ vars }) => {
    expect(readVars(vars)).toEqual(UNSET);
  });

  it.each([
    { name: "COUNTER_SHARDS", member: "counterShards", factor: 1, min: 1, max: 1_024 },
    { name: "SIGNAL_REFRESH_SECONDS", member: "signalRefreshMs", factor: 1_000, min: 1, max: 3_600 },
    { name: "PUBLISH_SECONDS", member: "publishMs", factor: 1_000, min: 1, max: 3_600 },
    { name: "ORIGIN_TIMEOUT_MS", member: "originTimeoutMs", factor: 1, min: 1, max: 600_000 },
    { name: "COUNTER_TIMEOUT_MS", member: "counterTimeoutMs", factor: 1, min: 1, max: 60_000 },
  ] as const)("reads $name as a string and as a number, from $min to $max", ({ name, member, factor, min, max }) => {
    for (const value of [min, 7, max])
      for (const written of [value, String(value), ` ${value} `])
        expect(readVars({ [name]: written })).toEqual({ ...UNSET, [member]: value * factor });
    for (const wrong of [
      min - 1,
      max + 1,
      -1,
      "0",
      "-0",
      "ten",
      "7s",
      "7,5",
      "1e9",
      "NaN",
      "Infinity",
      " ",
      Number.NaN,
    ]) {
      const error = refusal({ [name]: wrong });
      expect(error, `${name}=${wrong}`).toBeInstanceOf(ConfigError);
      expect(error).toMatchObject({ path: name, message: expect.stringContaining(`${name}: expected a `) });
    }
  });

  it("takes whole numbers alone for COUNTER_SHARDS", () => {
    for (const wrong of ["7.5", 7.5]) {
      const error = refusal({ COUNTER_SHARDS: wrong });
      expect(error).toBeInstanceOf(ConfigError);
      expect(error).toMatchObject({ path: "COUNTER_SHARDS", got: 7.5 });
    }
  });

  it("reads the tokens, each by its own name", () => {
    const vars = { ADMIN_TOKEN: "a", METRICS_TOKEN: " m ", SIGNAL_TOKEN: "" };
    expect(readVars(vars)).toEqual({ ...UNSET, tokens: { admin: "a", metrics: "m", signal: null } });
  });

  it("takes part seconds for SIGNAL_REFRESH_SECONDS", () => {
    expect(readVars({ SIGNAL_REFRESH_SECONDS: "1.5" }).signalRefreshMs).toBe(1_500);
  });

  it.each([true, {}, [], ["8"], () => 8])("refuses a var that is neither string nor number: %o", (value) => {
    for (const name of names) {
      const error = refusal({ [name]: value });
      expect(error).toBeInstanceOf(ConfigError);
      expect(error).toMatchObject({ path: name, got: value });
    }
  });

  it.each([
    { name: "an origin", url: "https://api.example", originUrl: "https://api.example" },
    { name: "a trailing slash", url: "https://api.example/", originUrl: "https://api.example" },
    { name: "a port", url: "http://127.0.0.1:8788", originUrl: "http://127.0.0.1:8788" },
    { name: "the default port", url: "https://api.example:443", originUrl: "https://api.example" },
    { name: "a path", url: "https://api.example/base", originUrl: "https://api.example/base" },
    { name: "a path with a slash", url: "https://api.example/base/v1/", originUrl: "https://api.example/base/v1" },
    { name: "a path as it is written", url: "https://api.example/Base%2Fx", originUrl: "https://api.example/Base%2Fx" },
    { name: "space around", url: "  https://api.example\n", originUrl: "https://api.example" },
    { name: "capitals", url: "HTTPS://API.Example/Base", originUrl: "https://api.example/Base" },
    { name: "IPv6", url: "http://[::1]:8788/", originUrl: "http://[::1]:8788" },
  ])("reads ORIGIN_URL with $name", ({ url, originUrl }) => {
    expect(readVars({ ORIGIN_URL: url })).toEqual({ ...UNSET, originUrl });
  });

  it.each([
    { name: "no URL", url: "api.example" },
    { name: "a host and a port", url: "localhost:8788" },
    { name: "no scheme", url: "//api.example" },
    { name: "a path", url: "/api" },
    { name: "another scheme", url: "ftp://api.example" },
    { name: "a socket", url: "ws://api.example" },
    { name: "a script", url: "javascript:alert(1)" },
    { name: "no host", url: "https://" },
    { name: "a query", url: "https://api.example/?a=b" },
    { name: "a fragment", url: "https://api.example/#a" },
    { name: "a number", url: 8_788 },
    { name: "a port out of range", url: "https://api.example:65536" },
    { name: "a space in the host", url: "https://api example" },
  ])("refuses ORIGIN_URL with $name", ({ url }) => {
    const error = refusal({ ORIGIN_URL: url });
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({
      name: "ConfigError",
      path: "ORIGIN_URL",
      message: expect.stringMatching(/^ORIGIN_URL: expected an http\(s\) URL without query, got /),
    });
  });

  it.each(["https://user@api.example", "https://user:secret@api.example", "https://:secret@api.example"])(
    "refuses ORIGIN_URL %s without repeating what is secret in it",
    (url) => {
      const error = refusal({ ORIGIN_URL: url });
      expect(error).toMatchObject({
        message: 'ORIGIN_URL: expected an http(s) URL without credentials, got "api.example"',
      });
    },
  );

  it("leaves no trailing slash on ORIGIN_URL", () => {
    expect(readVars({ ORIGIN_URL: "https://api.example//" }).originUrl).toBe("https://api.example");
  });

  it.each([
    { name: "one", list: "https://app.example", origins: ["https://app.example"] },
    {
      name: "two",
      list: "https://a.example,http://b.example:8080",
      origins: ["https://a.example", "http://b.example:8080"],
    },
    {
      name: "space and gaps",
      list: " https://a.example , ,https://b.example, ",
      origins: ["https://a.example", "https://b.example"],
    },
    { name: "one twice", list: "https://a.example,https://a.example", origins: ["https://a.example"] },
    { name: "none, only commas", list: ",,", origins: [] },
  ])("reads CORS_ALLOW_ORIGINS with $name", ({ list, origins }) => {
    expect(readVars({ CORS_ALLOW_ORIGINS: list }).corsAllowOrigins).toEqual(new Set(origins));
  });

  it.each([
    "*",
    "null",
    "app.example",
    "https://app.example/",
    "https://app.example/path",
    "https://APP.example",
    "https://app.example:443",
    "https://user@app.example",
    "file:///x",
    "https://",
  ])("refuses CORS_ALLOW_ORIGINS with %s, and names it", (origin) => {
    const error = refusal({ CORS_ALLOW_ORIGINS: `https://fine.example, ${origin}` });
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ path: "CORS_ALLOW_ORIGINS", got: origin });
  });

  it.each([
    { name: "one", value: "first-secret", secrets: ["first-secret"] },
    {
      name: "two while they are rotated",
      value: "first-secret, second-secret",
      secrets: ["first-secret", "second-secret"],
    },
    { name: "none for commas", value: " , ", secrets: [] },
  ])("reads ORIGIN_SECRET with $name", ({ value, secrets }) => {
    expect(readVars({ ORIGIN_SECRET: value }).originSecrets).toEqual(secrets);
  });
});

describe("ConfigError", () => {
  it.each([
    { got: "x", message: 'VAR: expected a number, got "x"' },
    { got: 7, message: "VAR: expected a number, got 7" },
    { got: null, message: "VAR: expected a number, got null" },
    { got: undefined, message: "VAR: expected a number, got nothing" },
    { got: { a: 1 }, message: 'VAR: expected a number, got {"a":1}' },
  ])("says what it expected and that it got $got", ({ got, message }) => {
    const error = new ConfigError("VAR", "a number", got);
    expect(error).toMatchObject({ name: "ConfigError", message, path: "VAR", got });
  });
});
