/** Tries every promise of the protocol against the policy beside it; prints what is broken first, as JSON. */
import { proofsOf } from "../simulation/proofs.ts";

const runs = Number(process.argv[2] ?? 10_000);

function firstBroken(): string | null {
  for (const { promise, broken } of proofsOf(runs)) {
    try {
      const how = broken();
      if (how !== null) return `${promise}: ${how}`;
    } catch (error) {
      return `${promise}: ${String(error)}`;
    }
  }
  return null;
}

console.log(JSON.stringify(firstBroken()));
