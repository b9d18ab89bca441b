/**
 * The Worker's vars and secrets, checked once per isolate. Past this door nobody reads `env` for a setting.
 */
import { ConfigError } from "./error.ts";

/** The settings of one deployment. */
export interface Config {
  /** Base URL of the origin without trailing slash; null: requests go on to the URL they came for. */
  readonly originUrl: string | null;
  /** Counter objects per region, 1..1024. */
  readonly counterShards: number;
  /** Age at which an isolate's copy of the KV documents is read again. */
  readonly signalRefreshMs: number;
  /** Between two documents of the meter's, at least. */
  readonly publishMs: number;
  /** Until the origin's response headers. */
  readonly originTimeoutMs: number;
  /** Until a counter's answer. */
  readonly counterTimeoutMs: number;
  /** Browser origins that may read the gateway's own refusals. */
  readonly corsAllowOrigins: ReadonlySet<string>;
  /** Keys that sign what is forwarded; two while they are rotated, none where nothing is signed. */
  readonly originSecrets: readonly string[];
  /** Bearer tokens of the operator's paths; null where a path is not to be found. */
  readonly tokens: Tokens;
}

/** Who may call what: the admin token opens everything, each of the others one thing. */
export interface Tokens {
  readonly admin: string | null;
  readonly metrics: string | null;
  readonly signal: string | null;
}

type Vars = Readonly<Record<string, unknown>>;

/**
 * Settings from vars and secrets; strings and numbers are both read.
 *
 * @throws ConfigError on a value out of its range, naming the var.
 */
export function readVars(vars: Vars): Config {
  return {
    originUrl: readOriginUrl(vars),
    counterShards: readShards(vars),
    signalRefreshMs: readSeconds(vars, "SIGNAL_REFRESH_SECONDS", 30),
    publishMs: readSeconds(vars, "PUBLISH_SECONDS", 10),
    originTimeoutMs: readNumber(vars, "ORIGIN_TIMEOUT_MS", 1, 600_000) ?? 30_000,
    counterTimeoutMs: readNumber(vars, "COUNTER_TIMEOUT_MS", 1, 60_000) ?? 500,
    corsAllowOrigins: readOrigins(vars),
    originSecrets: readList(vars, "ORIGIN_SECRET"),
    tokens: {
      admin: readText(vars, "ADMIN_TOKEN"),
      metrics: readText(vars, "METRICS_TOKEN"),
      signal: readText(vars, "SIGNAL_TOKEN"),
    },
  };
}

function readText(vars: Vars, name: string): string | null {
  const value = vars[name];
  if (value === undefined || value === null || value === "") return null;
  if (typeof value === "string") return value.trim();
  if (typeof value === "number") return String(value);
  throw new ConfigError(name, "a string or a number", value);
}

function readNumber(vars: Vars, name: string, min: number, max: number): number | null {
  const text = readText(vars, name);
  if (text === null) return null;
  const value = Number(text);
  if (text === "" || !(value >= min && value <= max)) throw new ConfigError(name, `a number ${min}..${max}`, text);
  return value;
}

function readSeconds(vars: Vars, name: string, unset: number): number {
  return (readNumber(vars, name, 1, 3600) ?? unset) * 1000;
}

function readShards(vars: Vars): number {
  const shards = readNumber(vars, "COUNTER_SHARDS", 1, 1024) ?? 8;
  if (!Number.isInteger(shards)) throw new ConfigError("COUNTER_SHARDS", "a whole number 1..1024", shards);
  return shards;
}

function readList(vars: Vars, name: string): readonly string[] {
  const items = (readText(vars, name) ?? "").split(",").map((item) => item.trim());
  return items.filter((item) => item !== "");
}

function readOriginUrl(vars: Vars): string | null {
  const text = readText(vars, "ORIGIN_URL");
  if (text === null) return null;
  const url = URL.parse(text);
  if (url !== null && (url.username !== "" || url.password !== ""))
    throw new ConfigError("ORIGIN_URL", "an http(s) URL without credentials", url.host);
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== "" || url.hash !== "")
    throw new ConfigError("ORIGIN_URL", "an http(s) URL without query", text);
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}

function readOrigins(vars: Vars): ReadonlySet<string> {
  const origins = readList(vars, "CORS_ALLOW_ORIGINS");
  for (const origin of origins)
    if (URL.parse(origin)?.origin !== origin)
      throw new ConfigError("CORS_ALLOW_ORIGINS", "origins such as https://app.example", origin);
  return new Set(origins);
}
