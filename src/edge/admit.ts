/**
 * Whether a request may go on, and what its response says of the limit.
 */
import type { Denial } from "../policy/denial.ts";
import type { Quota } from "../policy/fields.ts";
import { inEveryTier, type Profile } from "../policy/limits.ts";
import type { WaitUntil } from "../ports.ts";
import type { Call } from "./identify.ts";
import type { Quotas, Take, Verdict } from "./quota.ts";
import type { Rules } from "./signal.ts";

/** What became of a request at the door. `quota` is null where nothing is said of a limit. */
export type Admission =
  | {
      readonly admitted: true;
      readonly quota: Quota | null;
      /** Over the limit, and let through in shadow. */
      readonly isOver: boolean;
    }
  | {
      readonly admitted: false;
      readonly quota: Quota | null;
      readonly denial: Denial;
      /** How many refusals of this client by its limit this is within the window; 0: it was no limit. */
      readonly nth: number;
    };

/** What exempt requests are counted under, by counters and in metrics. Cannot be a profile's name: none shares them. */
export const EXEMPT = "~exempt";
const EXEMPT_WINDOW_MS = 60_000;

/** Takes a unit of the client's limit, or says why it cannot be had; a promise only where a counter is asked. */
export function admit(call: Call, rules: Rules, quotas: Quotas, waitUntil: WaitUntil): Admission | Promise<Admission> {
  if (call.profile === null) return admitExempt(call, rules, quotas, waitUntil);
  const profile = rules.tables.profiles[call.profile];
  if (profile === undefined) throw new RangeError(`profile: expected one of the tables, got ${call.profile}`);
  const { client, arrivedMs, continent } = call;
  const { limits, windowMs } = profile;
  const take = { client, profile: call.profile, limits, windowMs, cost: 1, stamps: rules, continent };
  const isShadow = profile.shadow || !rules.tables.enforce;
  const verdict = quotas.take(take, arrivedMs, waitUntil);
  if (verdict instanceof Promise)
    return verdict.then((late) =>
      late === null ? withoutCounter(take, profile, quotas, isShadow, arrivedMs) : admissionOf(late, take, isShadow),
    );
  return admissionOf(verdict, take, isShadow);
}

function admissionOf(verdict: Verdict, { profile }: Take, isShadow: boolean): Admission {
  const { granted, tier, limit, windowMs, remaining, growsAtMs, retryAfterMs, reduced, nth } = verdict;
  const quota = { profile, tier, limit, windowMs, remaining, growsAtMs };
  if (granted || isShadow) return { admitted: true, quota, isOver: !granted };
  return {
    admitted: false,
    quota,
    denial: { reason: "limit-exceeded", profile, tier, limit, windowMs, retryAfterMs, reduced },
    nth,
  };
}

/** No counter answered: what the profile says of that. */
function withoutCounter(
  take: Take,
  { onCounterFailure }: Profile,
  quotas: Quotas,
  isShadow: boolean,
  nowMs: number,
): Admission {
  switch (onCounterFailure) {
    case "open":
      return { admitted: true, quota: null, isOver: false };
    case "closed":
      if (isShadow) return { admitted: true, quota: null, isOver: true };
      return { admitted: false, quota: null, denial: { reason: "counter-unavailable", profile: take.profile }, nth: 0 };
    case "local":
      return admissionOf(quotas.takeLocally(take, nowMs), take, isShadow);
  }
}

/** Exempt requests have a ceiling of their own, the same in every tier; without a counter they pass. */
async function admitExempt(call: Call, rules: Rules, quotas: Quotas, waitUntil: WaitUntil): Promise<Admission> {
  const limit = rules.tables.exemptLimit;
  const limits = inEveryTier(limit);
  const { client, arrivedMs, continent } = call;
  const take = { client, profile: EXEMPT, limits, windowMs: EXEMPT_WINDOW_MS, cost: 1, stamps: rules, continent };
  const verdict = await quotas.take(take, arrivedMs, waitUntil);
  if (verdict === null || verdict.granted) return { admitted: true, quota: null, isOver: false };
  const { limit: inForce, retryAfterMs } = verdict;
  return {
    admitted: false,
    quota: null,
    denial: { reason: "exempt-limit-exceeded", limit: inForce, retryAfterMs },
    nth: 0,
  };
}
