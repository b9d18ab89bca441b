/**
 * What makes a request traceable, and what becomes of it: every request has exactly one outcome.
 */
import type { Outcome } from "../policy/tally.ts";
import type { Tier } from "../policy/tier.ts";
import type { WaitUntil } from "../ports.ts";
import { type Admission, EXEMPT } from "./admit.ts";
import type { Call } from "./identify.ts";
import type { Reports } from "./reports.ts";
import type { Rules } from "./signal.ts";

export type Admitted = Extract<Admission, { admitted: true }>;
export type Refused = Extract<Admission, { admitted: false }>;

/** Letters, digits and a few marks: safe in a header field, a log line and a URL. */
const SANE_TOKEN = /^[A-Za-z0-9._:-]{1,128}$/;

/** The identifier of a request. */
export function requestIdOf(headers: Headers, newId: () => string): string {
  const given = headers.get("x-request-id");
  return given !== null && SANE_TOKEN.test(given) ? given : newId();
}

/** Notes outcomes in an isolate's reports, and sees to it that they are told. */
export interface Observer {
  /** A request came. */
  readonly arrived: (call: Call) => void;
  /** It was admitted, and this came of it. */
  readonly ended: (
    call: Call,
    admission: Admitted,
    rules: Rules,
    outcome: "admitted" | "failed" | "cached",
    waitUntil: WaitUntil,
  ) => void;
  /** It reached the origin, and its client left before anything came of it. */
  readonly left: (profile: string | null, tier: Tier, isOver: boolean) => void;
  /** It was answered by the origin after `responseMs`, or by the cache: null. */
  readonly answered: (call: Call, status: number, responseMs: number | null) => void;
  /** It was refused for the client's sake: by its limit, or for want of a counter. */
  readonly refused: (call: Call, admission: Refused, rules: Rules, waitUntil: WaitUntil) => void;
  /** It was refused for the origin's sake. */
  readonly shed: (call: Call, rules: Rules, waitUntil: WaitUntil) => void;
}

/** An observer that has seen nothing. */
export function createObserver(reports: Reports): Observer {
  /** Exempt requests have one outcome whatever becomes of them. */
  function count(profile: string | null, tier: Tier, outcome: Outcome): void {
    if (profile === null) reports.outcome(EXEMPT, tier, "exempt");
    else reports.outcome(profile, tier, outcome);
  }

  function note({ profile }: Call, tier: Tier, outcome: Outcome, waitUntil: WaitUntil): void {
    count(profile, tier, outcome);
    reports.tell(waitUntil);
  }

  return {
    arrived({ client }) {
      if (client.address === null) reports.event("withoutAddress", 1);
    },
    ended(call, { quota, isOver }, rules, outcome, waitUntil) {
      note(call, quota?.tier ?? rules.tier, isOver ? "shadow_refused" : outcome, waitUntil);
    },
    left: (profile, tier, isOver) => count(profile, tier, isOver ? "shadow_refused" : "admitted"),
    answered({ profile }, status, responseMs) {
      reports.answer(profile ?? EXEMPT, status, responseMs);
    },
    refused(call, { quota, nth }, rules, waitUntil) {
      const tier = quota?.tier ?? rules.tier;
      const profile = call.profile === null ? undefined : rules.tables.profiles[call.profile];
      if (call.profile === null || profile === undefined || nth === 0) return note(call, tier, "refused", waitUntil);
      reports.refusal(call.profile, tier, nth, profile.limits);
      reports.tell(waitUntil);
    },
    shed: (call, rules, waitUntil) => note(call, rules.tier, "shed", waitUntil),
  };
}
