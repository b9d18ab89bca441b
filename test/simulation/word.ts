/**
 * I4, at a refusal: at `retryAfterMs` a lone take of the refused cost fits, a millisecond before it does not; and it
 * still fits when all who have borrowed settle in the worst way meanwhile. States are values, so a copy is free.
 */
import { type Account, type InForce, serve } from "../../src/policy/account.ts";
import type { Answer, Ask } from "../../src/policy/lease.ts";

/** What is wrong with the promise in `answer`, which left `account` behind; null: nothing, or none was made. */
export function brokenWord(account: Account, inForce: InForce, answer: Answer, nowMs: number): string | null {
  const { refusedCost: cost, retryAfterMs } = answer;
  if (cost === null) return null;
  if (cost > inForce.limit)
    return retryAfterMs >= inForce.windowMs ? null : `names ${retryAfterMs} for what never fits, not the window`;
  const said = `of ${cost} after ${retryAfterMs} ms`;
  if (!fits(account, cost, inForce, nowMs + retryAfterMs)) return `does not grant a take ${said}`;
  if (fits(account, cost, inForce, nowMs + retryAfterMs - 1)) return `grants a take ${said} 1 ms before`;
  const settledMs = nowMs + Math.floor((retryAfterMs * (answer.call % 3)) / 3);
  const worst = settledInTheWorstWay(account, inForce, settledMs);
  return fits(worst, cost, inForce, nowMs + retryAfterMs) ? null : `does not grant a take ${said} when others settle`;
}

function fits(account: Account, cost: number, inForce: InForce, atMs: number): boolean {
  const ask: Ask = { call: 1, costs: [cost], wish: 0, settle: null };
  return serve(account, "someone else", ask, inForce, atMs).answer?.granted[0] === true;
}

function settledInTheWorstWay(account: Account, inForce: InForce, atMs: number): Account {
  let settled = account;
  for (const { isolate, call, lent } of account.holders) {
    if (lent === 0) continue;
    const settle = { call, uses: [Number.MAX_SAFE_INTEGER, lent] };
    settled = serve(settled, isolate, { call: call + 1, costs: [], wish: 0, settle }, inForce, atMs).account;
  }
  return settled;
}
