/**
 * What really happened to one client, kept outside counter and isolates: every unit with the moment it was used at.
 *
 * It runs the counter's clock for itself (newest moment seen; back with a clock that is a window behind) and maps every
 * use to it. At every answer it looks at the ring (`ring.ts`) and at what the client was promised (`word.ts`); in the end
 * it reads the whole log (`stretches.ts`).
 */
import type { Account, InForce, Served } from "../../src/policy/account.ts";
import type { Answer, Ask } from "../../src/policy/lease.ts";
import type { Clock } from "./clock.ts";
import { type Loan, newLoan, reachMsOf } from "./loan.ts";
import { brokenRing } from "./ring.ts";
import { lifeMsOf, marginMsOf } from "./scene.ts";
import type { Version } from "./shard.ts";
import { excessOf, type Grant, type History, type Use } from "./stretches.ts";
import { brokenWord } from "./word.ts";

/** One answer of the counter, from outside. */
export interface Event {
  readonly isolate: string;
  readonly ask: Ask;
  /** What the asker believes, and what the counter decided by. */
  readonly told: Version;
  readonly inForce: InForce;
  readonly before: Account;
  readonly served: Served;
  /** What the counter's clock showed. */
  readonly clockMs: number;
  readonly trueMs: number;
}

export interface TruthSettings {
  readonly shardClock: Clock;
  /** Clock and window stay as they are: then nothing may stay charged for long either. */
  readonly isSteady: boolean;
}

/** The truth about one client. */
export interface Truth {
  readonly composed: (isolate: string, ask: Ask, trueMs: number, previous: Loan | null) => Loan;
  readonly closed: (loan: Loan | null) => void;
  /** Units of a lease. */
  readonly used: (loan: Loan | null, units: number, trueMs: number) => void;
  readonly served: (event: Event) => void;
  /** The counter was dropped from memory: only what it wrote is left. */
  readonly reloaded: () => void;
  /** What the counter granted to a call is not in its rows, and only if it was answered did anybody use it. */
  readonly lost: (isolate: string, call: number, wasAnswered: boolean) => void;
  /** The counter swept the account at `clockMs`: its memory of time is gone. */
  readonly swept: (clockMs: number) => void;
  /** The named exceptions: so many units may be over from now on. */
  readonly forgive: (units: number) => void;
  /** Units that isolates hold now, or may be sent. */
  readonly openUnits: (trueMs: number) => number;
  /** Whether a lease may be in use, or an answer with one under way. */
  readonly hasOpen: (trueMs: number) => boolean;
  /** The first broken promise; null while all are kept. */
  readonly violation: () => string | null;
  /** Reads the whole log. @returns the most units over a limit in any stretch. */
  readonly finish: () => number;
  readonly admitted: () => number;
}

/** A log in which nothing has happened. */
export function createTruth({ shardClock, ...settings }: TruthSettings): Truth {
  let { isSteady } = settings;
  const uses: Use[] = [];
  /** By isolate and call: the newest of that name. A repeat that comes after its answer was forgotten is a new one. */
  const loans = new Map<string, Loan>();
  const lentLoans: Loan[] = [];
  const open = new Set<Loan>();
  const answers = new Map<string, Answer>();
  const lastServed = new Map<string, number>();
  let history: History = { fromMs: Number.NEGATIVE_INFINITY };
  const histories = [history];
  /** `backMs`: how far all moments have been moved back so far. */
  const clock = { newestMs: 0, windowMs: 0, backMs: 0, isForgotten: true };
  let written = { ...clock };
  let newest: Version | null = null;
  let reachMaxMs = 0;
  let grants = 0;
  let admitted = 0;
  let forgiven = 0;
  let violation: string | null = null;

  function hold(isKept: boolean, promise: string, detail: () => string): void {
    if (!isKept) violation ??= `${promise}: ${detail()}`;
  }

  function record(atMs: number, units: number, grant: Grant, loan: Loan | null): void {
    admitted += units;
    let i = uses.length;
    while (i > 0 && (uses[i - 1]?.atMs ?? 0) > atMs) i--;
    uses.splice(i, 0, { atMs, units, grant, loan });
  }

  function shift(backMs: number): void {
    for (const use of uses) use.atMs -= backMs;
    for (const past of histories) past.fromMs -= backMs;
    for (const loan of lentLoans) loan.endMs -= backMs;
    clock.newestMs -= backMs;
    clock.backMs += backMs;
  }

  function forgetBefore(fromMs: number): void {
    history = { fromMs: Math.max(history.fromMs, fromMs) };
    histories.push(history);
  }

  /** The counter looks at its clock, under a window that may be new. */
  function look(clockMs: number, windowMs: number): void {
    // An account that is opened anew goes by whatever its clock shows.
    if (clock.isForgotten) shift(Math.max(0, clock.newestMs - clockMs));
    clock.isForgotten = false;
    const behindMs = clock.newestMs - clockMs;
    const sliceMs = Math.ceil(clock.windowMs / 60);
    if (behindMs > clock.windowMs) shift(Math.floor(behindMs / sliceMs) * sliceMs);
    clock.newestMs = Math.max(clock.newestMs, clockMs);
    if (windowMs !== clock.windowMs) {
      if (clock.windowMs > 0) forgetBefore(clock.newestMs - clock.windowMs);
      clock.windowMs = windowMs;
      reachMaxMs = Math.max(reachMaxMs, reachMsOf(windowMs));
    }
  }

  function openUnits(trueMs: number): number {
    let units = 0;
    for (const { grant, lent, used, sentMs } of open)
      if (grant !== null && trueMs < sentMs + reachMsOf(grant.windowMs)) units += lent - used;
    return units;
  }

  function composed(isolate: string, ask: Ask, trueMs: number, previous: Loan | null): Loan {
    closed(previous);
    const loan = newLoan(isolate, ask.call, trueMs);
    loans.set(`${isolate} ${ask.call}`, loan);
    open.add(loan);
    return loan;
  }

  function closed(loan: Loan | null): void {
    if (loan === null) return;
    loan.isClosed = true;
    open.delete(loan);
  }

  function used(loan: Loan | null, units: number, trueMs: number): void {
    const { newestMs, windowMs } = clock;
    const clockMs = shardClock.read(trueMs);
    const atMs = newestMs - clockMs > windowMs ? newestMs : Math.max(newestMs, clockMs);
    hold(loan !== null && !loan.isClosed, "I2 no lease is used after its settlement was sent", () => `at ${atMs}`);
    if (loan === null) return;
    loan.used += units;
    hold(loan.used <= loan.lent, "I2 no more is used than was lent", () => `${loan.used} of ${loan.lent}`);
    if (loan.grant !== null) record(atMs, units, loan.grant, loan);
  }

  function served({
    isolate,
    ask,
    told,
    inForce,
    before,
    served: { account, answer, changed },
    clockMs,
    trueMs,
  }: Event): void {
    if (account === before || answer === null) {
      hold(account === before && !changed, "4.4 a repeat or a straggler changes nothing", () => `call ${ask.call}`);
      const isRepeated = answer === null || answer === answers.get(`${isolate} ${ask.call}`);
      hold(isRepeated, "4.4 a repeat is told what it was told", () => `call ${ask.call}`);
      return;
    }
    if (newest === null || told.number > newest.number) newest = told;
    look(clockMs, inForce.windowMs);
    if (changed) written = { ...clock };
    const { window } = account;
    hold(
      window.newestMs === clock.newestMs,
      "runs its clock by rule 1",
      () => `${window.newestMs}, not ${clock.newestMs}`,
    );

    const settledCall = ask.settle?.call;
    if (settledCall !== undefined && settledCall === lastServed.get(isolate)) {
      const settled = loans.get(`${isolate} ${settledCall}`);
      if (settled !== undefined) settled.isReturned = true;
    }
    lastServed.set(isolate, ask.call);
    answers.set(`${isolate} ${ask.call}`, answer);

    const grant: Grant = { number: grants++, limit: newest.limit, windowMs: inForce.windowMs, history };
    const units = ask.costs.reduce((sum, cost, index) => (answer.granted[index] === true ? sum + cost : sum), 0);
    if (units > 0) record(clock.newestMs, units, grant, null);
    if (answer.lent > 0 || answer.granted.includes(true)) lend(isolate, ask.call, answer.lent, grant, trueMs);
    const { newestMs, windowMs } = clock;
    const log = { uses, open, lent: lentLoans, newestMs, windowMs, fromMs: history.fromMs, forgiven };
    violation ??= brokenRing(window.slices, log, isSteady, trueMs);
    const broken = brokenWord(account, inForce, answer, clockMs);
    hold(broken === null, "I4 keeps its word", () => broken ?? "");
  }

  function lend(isolate: string, call: number, lent: number, grant: Grant, trueMs: number): void {
    let loan = loans.get(`${isolate} ${call}`);
    if (loan === undefined) return;
    if (isSteady && loan.grant !== null) {
      const sinceMs = clock.newestMs - loan.grantedMs;
      hold(sinceMs >= clock.windowMs, "4.4 a repeat is told what it was told", () => `call ${call}, ${sinceMs} ms ago`);
      // One that comes later than that is a new call, which nobody waits for; what that costs has no bound here.
      isSteady = false;
    }
    if (loan.isClosed || loan.isReturned) {
      loan = { ...newLoan(isolate, call, loan.sentMs), isClosed: true };
      loans.set(`${isolate} ${call}`, loan);
    }
    const lifeMs = lifeMsOf(grant.windowMs);
    const marginMs = marginMsOf(grant.windowMs);
    const bucketMs = Math.ceil(Math.ceil(grant.windowMs / 60) / 2);
    loan.lent = Math.max(loan.lent, lent);
    loan.grant = grant;
    loan.grantedMs = clock.newestMs;
    loan.endMs = clock.newestMs + lifeMs + marginMs;
    loan.lateMs = bucketMs + marginMs + 0.06 * lifeMs + 2 + (trueMs - loan.sentMs);
    if (lent > 0) lentLoans.push(loan);
  }

  return {
    composed,
    closed,
    used,
    served,
    openUnits,
    reloaded() {
      const { newestMs, windowMs, backMs, isForgotten } = written;
      Object.assign(clock, { newestMs: newestMs - (clock.backMs - backMs), windowMs, isForgotten });
    },
    lost(isolate, call, wasAnswered) {
      const loan = loans.get(`${isolate} ${call}`);
      if (loan === undefined) return;
      const granted = uses.filter((use) => use.loan === null && use.grant === loan.grant);
      const units = granted.reduce((sum, use) => sum + use.units, 0);
      if (wasAnswered) forgiven += units;
      else {
        for (const use of granted) uses.splice(uses.indexOf(use), 1);
        loan.lent = 0;
      }
    },
    swept(clockMs) {
      Object.assign(clock, { newestMs: Math.max(clock.newestMs, clockMs), isForgotten: true });
      forgetBefore(clock.newestMs - clock.windowMs);
      written = { ...clock };
    },
    forgive(units) {
      forgiven += units;
    },
    hasOpen(trueMs) {
      for (const loan of open) if (trueMs < loan.sentMs + reachMaxMs) return true;
      return false;
    },
    violation: () => violation,
    finish() {
      const excess = excessOf(uses);
      hold(excess.units <= forgiven, "I1 is never over", () => excess.what);
      return excess.units;
    },
    admitted: () => admitted,
  };
}
