/**
 * `policy/account.ts` as a counter sees it, with a note of every answer that is given for the first time.
 */
import * as account from "../../../src/policy/account.ts";
import { truth } from "./truth.ts";

export * from "../../../src/policy/account.ts";

/** @see account.serve */
export function serve(...args: Parameters<typeof account.serve>): account.Served {
  const [before, isolate, { call }, { limit, windowMs }] = args;
  const served = account.serve(...args);
  const { answer } = served;
  const isRepeat = before.holders.some((holder) => holder.isolate === isolate && holder.call === call);
  if (answer !== null && !isRepeat) {
    const granted = answer.granted.filter((is) => is).length;
    const atMs = served.account.window.newestMs;
    truth.grants.push({ isolate, call, atMs, granted, lent: answer.lent, limit, windowMs });
  }
  return served;
}
