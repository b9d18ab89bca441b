/**
 * Whether a request may go on, and what its response says of the limit.
 */
import type { Config } from "../config/vars.ts";
import type { Denial } from "../policy/denial.ts";
import type { Quota } from "../policy/fields.ts";
import type { Limits, Profile } from "../policy/limits.ts";
import type { Ports, Take, Verdict } from "../ports.ts";
import type { Call } from "./identify.ts";
import type { Rules } from "./signal.ts";

/** What became of a request at the door. `quota` is null where nothing is said of a limit. */
export type Admission =
  | { readonly admitted: true; readonly quota: Quota | null }
  | { readonly admitted: false; readonly quota: Quota | null; readonly denial: Denial };

/** Cannot be a profile's name, so that no profile shares the counters of exempt requests. */
const EXEMPT = "~exempt";
const EXEMPT_WINDOW_MS = 60_000;

/** Takes a unit of the client's limit, or says why it cannot be had. Never rejects. */
export async function admit(call: Call, rules: Rules, config: Config, ports: Ports): Promise<Admission> {
  if (call.profile === null) return admitExempt(call, rules, config, ports);
  const profile = rules.tables.profiles[call.profile];
  if (profile === undefined) throw new RangeError(`profile: expected one of the tables, got ${call.profile}`);
  const isShadow = profile.shadow || !rules.tables.enforce;
  const verdict = await ask(call, call.profile, profile.limits, profile.windowMs, rules, config, ports);
  if (verdict === null) return withoutCounter(call.profile, profile);
  const { tier, limit, windowMs, remaining, growsAfterMs, retryAfterMs, reduced } = verdict;
  const growsAtMs = growsAfterMs === null ? null : ports.nowMs() + growsAfterMs;
  const quota = { profile: call.profile, tier, limit, windowMs, remaining, growsAtMs };
  if (verdict.granted || isShadow) return { admitted: true, quota };
  const denial = {
    reason: "limit-exceeded",
    profile: call.profile,
    tier,
    limit,
    windowMs,
    retryAfterMs,
    reduced,
  } as const;
  return { admitted: false, quota, denial };
}

/** Exempt requests have a ceiling of their own, the same in every tier; without a counter they pass. */
async function admitExempt(call: Call, rules: Rules, config: Config, ports: Ports): Promise<Admission> {
  const limit = rules.tables.exemptLimit;
  const limits = { low: limit, medium: limit, high: limit, critical: limit };
  const verdict = await ask(call, EXEMPT, limits, EXEMPT_WINDOW_MS, rules, config, ports);
  if (verdict === null || verdict.granted) return { admitted: true, quota: null };
  const denial = { reason: "exempt-limit-exceeded", limit: verdict.limit, retryAfterMs: verdict.retryAfterMs } as const;
  return { admitted: false, quota: null, denial };
}

/** The counter's verdict; null if it gives none. */
async function ask(
  call: Call,
  profile: string,
  limits: Limits,
  windowMs: number,
  rules: Rules,
  config: Config,
  ports: Ports,
): Promise<Verdict | null> {
  const { tablesAsOfMs, tier, tierAsOfMs } = rules;
  const take: Take = {
    client: call.client,
    profile,
    limits,
    windowMs,
    cost: 1,
    rules: { tablesAsOfMs, tier, tierAsOfMs },
  };
  try {
    return await inTime(ports.counters.take(take, continentOf(call.request)), config.counterTimeoutMs);
  } catch (error) {
    ports.log("warn", "counter-failed", { request_id: call.requestId, profile, error: String(error) });
    return null;
  }
}

/** Rejects if `answer` has not settled after `ms`. */
async function inTime<T>(answer: Promise<T>, ms: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  return await Promise.race([answer, late]).finally(() => clearTimeout(timer));
}

/** Read only when a counter is asked: parsing `cf` is paid for by each request that looks at it. */
function continentOf(request: Request): string | null {
  const continent = request.cf?.continent;
  return typeof continent === "string" ? continent : null;
}

function withoutCounter(name: string, profile: Profile): Admission {
  switch (profile.onCounterFailure) {
    case "open":
      return { admitted: true, quota: null };
    case "local":
    case "closed":
      return { admitted: false, quota: null, denial: { reason: "counter-unavailable", profile: name } };
  }
}
