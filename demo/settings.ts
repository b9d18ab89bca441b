/**
 * What `npm start` may be told through the environment, checked whole before anything starts.
 *
 * An empty value means unset. Vars of the Worker go on by their own names; only those a person set, and the few whose
 * local default differs from the deployed one. Whether a text is a good token or list is the Worker's own business.
 *
 * Pure: the environment and the directories are arguments, and nothing is touched.
 */
import { resolve } from "node:path";

/** Environment variables, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A setting that cannot be used; the message is one line and enough to mend it. */
export class SettingError extends Error {
  override readonly name = "SettingError";
  constructor(setting: string, expected: string, got: string) {
    super(`${setting}: expected ${expected}, got ${JSON.stringify(got)}`);
  }
}

/** Everything `npm start` goes by. */
export interface StartSettings {
  readonly port: number;
  /** Null: somebody else's origin is used, and the demo origin does not start. */
  readonly originPort: number | null;
  readonly originUrl: string;
  /** Absolute. */
  readonly stateDir: string;
  /** The Worker's vars by name. */
  readonly vars: Readonly<Record<string, string>>;
}

/** Where relative paths and the default state directory start. */
export interface Places {
  /** The repository. */
  readonly root: string;
  readonly workingDirectory: string;
}

interface NumericVar {
  readonly min: number;
  readonly max: number;
  readonly whole: boolean;
}

const NUMERIC_VARS: Readonly<Record<string, NumericVar>> = {
  COUNTER_SHARDS: { min: 1, max: 1024, whole: true },
  SIGNAL_REFRESH_SECONDS: { min: 1, max: 3600, whole: false },
  PUBLISH_SECONDS: { min: 1, max: 3600, whole: false },
  ORIGIN_TIMEOUT_MS: { min: 1, max: 600_000, whole: false },
  COUNTER_TIMEOUT_MS: { min: 1, max: 60_000, whole: false },
};

const TEXT_VARS = ["CORS_ALLOW_ORIGINS", "ADMIN_TOKEN", "METRICS_TOKEN", "SIGNAL_TOKEN", "ORIGIN_SECRET"];

/** A machine at hand shows a change within a second and is slow to start its counters. */
const LOCAL_DEFAULTS: Environment = {
  ADMIN_TOKEN: "dev",
  SIGNAL_REFRESH_SECONDS: "1",
  COUNTER_TIMEOUT_MS: "3000",
};

/** Reads every setting, or throws the first `SettingError`. */
export function readSettings(env: Environment, { root, workingDirectory }: Places): StartSettings {
  const port = readPort(env, "PORT", 8787);
  const givenOrigin = given(env, "ORIGIN_URL");
  if (givenOrigin !== undefined) checkHttpUrl("ORIGIN_URL", givenOrigin);
  const originPort = givenOrigin === undefined ? readPort(env, "ORIGIN_PORT", 8788) : null;
  if (originPort === port) throw new SettingError("ORIGIN_PORT", "another port than PORT", String(originPort));
  const originUrl = givenOrigin ?? `http://127.0.0.1:${originPort}`;
  const givenStateDir = given(env, "STATE_DIR");
  return {
    port,
    originPort,
    originUrl,
    stateDir: givenStateDir === undefined ? resolve(root, ".wrangler/state") : resolve(workingDirectory, givenStateDir),
    vars: { ORIGIN_URL: originUrl, ...readVars(env) },
  };
}

/** A TCP port out of the environment. */
export function readPort(env: Environment, name: string, fallback: number): number {
  const value = given(env, name) ?? String(fallback);
  const port = Number(value);
  if (!/^\d{1,5}$/.test(value) || port < 1 || port > 65_535) {
    throw new SettingError(name, "a port 1..65535", value);
  }
  return port;
}

function readVars(env: Environment): Record<string, string> {
  const vars: Record<string, string> = {};
  for (const name of [...Object.keys(NUMERIC_VARS), ...TEXT_VARS]) {
    const value = given(env, name) ?? LOCAL_DEFAULTS[name];
    if (value === undefined) continue;
    const numeric = NUMERIC_VARS[name];
    if (numeric !== undefined) checkNumber(name, value, numeric);
    vars[name] = value;
  }
  return vars;
}

function checkNumber(name: string, value: string, { min, max, whole }: NumericVar): void {
  const shape = whole ? /^\d{1,9}$/ : /^\d{1,9}(\.\d{1,9})?$/;
  if (shape.test(value) && Number(value) >= min && Number(value) <= max) return;
  throw new SettingError(name, `a ${whole ? "whole " : ""}number ${min}..${max}`, value);
}

function checkHttpUrl(name: string, value: string): void {
  const protocol = URL.canParse(value) ? new URL(value).protocol : "";
  if (protocol !== "http:" && protocol !== "https:") throw new SettingError(name, "an http or https URL", value);
}

function given(env: Environment, name: string): string | undefined {
  const value = env[name];
  return value === "" ? undefined : value;
}
