/**
 * `policy/holding.ts` as an isolate sees it, with a note of every take that a lease grants.
 */
import * as holding from "../../../src/policy/holding.ts";
import { truth } from "./truth.ts";

export * from "../../../src/policy/holding.ts";

/** @see holding.decide */
export function decide(...args: Parameters<typeof holding.decide>): holding.Decision {
  const decision = holding.decide(...args);
  const [{ call }, , , judgedMs] = args;
  if (decision.kind === "granted") truth.uses.push({ call, atMs: Date.now(), judgedMs });
  return decision;
}
