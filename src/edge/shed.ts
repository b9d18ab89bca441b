/**
 * Sheds what is too much for the origin, by the shares that the meter names: before a unit is taken, and without asking
 * anyone.
 */
import { type FairShed, newFairShed, sheds } from "../policy/fair-shed.ts";
import type { Call } from "./identify.ts";
import type { Rules } from "./signal.ts";

/** The shedding of one isolate. */
export interface Shedding {
  /** ms after which the client may try again; null: the request goes on. Exempt requests always do. */
  readonly retryAfterMs: (call: Call, rules: Rules) => number | null;
}

/** Clients come back after a share has been reckoned anew, and not all at once. */
const RETRY_MS = 5_000;
const RETRY_SPREAD_MS = 10_000;
const SALT_MAX = 2 ** 31;

/** @param random 0..1, as `Math.random`. */
export function createShedding(random: () => number): Shedding {
  let fair: FairShed | null = null;
  return {
    retryAfterMs({ profile, client, arrivedMs }, { shed, tables }) {
      const share = profile === null ? 0 : (shed[profile] ?? 0);
      if (profile === null || share <= 0) return null;
      // In shadow nothing is refused.
      if (!tables.enforce || tables.profiles[profile]?.shadow) return null;
      fair ??= newFairShed(Math.floor(random() * SALT_MAX));
      const isShed = sheds(fair, profile, client.key, share, random(), arrivedMs);
      return isShed ? RETRY_MS + Math.floor(random() * RETRY_SPREAD_MS) : null;
    },
  };
}
