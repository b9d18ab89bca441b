/** Takes the place of `src/edge/reports.ts` in a gateway that counts nothing and tells the meter nothing. */
import type { Reports } from "../../src/edge/reports.ts";

const nothing = () => {};

/** Reports of nothing. */
export function createReports(): Reports {
  return { outcome: nothing, refusal: nothing, answer: nothing, event: nothing, tell: nothing };
}
