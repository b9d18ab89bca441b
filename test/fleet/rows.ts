/**
 * What the fleet is tried on: the rows of the matrix, each with windows as short as lets this machine carry what it
 * offers, and the crowd.
 */
import type { CrowdOptions } from "./crowd.ts";
import { ISOLATES, type Row, WINDOWS } from "./matrix.ts";

/** Loads offered, in units of the limit. */
export const LOADS = [0.9, 1, 1.5, 2, 10] as const;
/** Limits with the number of clients that each row has, so that a row is some hundred units at least. */
const SMALL = [
  { limit: 10, clients: 4 },
  { limit: 50, clients: 2 },
  { limit: 200, clients: 1 },
] as const;
const LARGE = 10_000;

/** Requests a second that eight isolates in one workerd carry beside their load generator on two processors. */
const PER_SECOND_MAX = 1_200;
const SECONDS_MIN = 6;

/** All small limits under all loads: they run together. */
export function smallRows(): readonly Row[] {
  return SMALL.flatMap(({ limit, clients }) =>
    LOADS.map((load) => ({ limit, load, clients, windowMs: SECONDS_MIN * 1000 })),
  );
}

/** The large limit under one load: it runs alone. Ten times it is more than any such machine carries. */
export function largeRow(load: number): Row {
  const seconds = Math.max(SECONDS_MIN, Math.ceil((LARGE * load) / PER_SECOND_MAX));
  return { limit: LARGE, load, clients: 1, windowMs: seconds * 1000 };
}

/** A minute's window and ways as they are between places. */
const REAL = { windowMs: 60_000, oneWayMs: [3, 17] as const, seed: 1 };

/** The corner of the matrix that no machine like this carries, as a crowd of one client. */
export const CORNER: CrowdOptions = {
  ...REAL,
  isolates: ISOLATES,
  clients: 1,
  perSecond: (10 * LARGE) / 60,
  limit: LARGE,
  windows: WINDOWS,
  unmeasured: 0,
};

/** A million clients for three minutes, the last two of which count; as many isolates as one likes. */
export const CROWD: Omit<CrowdOptions, "isolates"> = {
  ...REAL,
  clients: 1_000_000,
  perSecond: 4_000,
  limit: 200,
  windows: 3,
  unmeasured: 1,
};
/** Isolates that share the same traffic. */
export const CROWD_SIZES = [1, 10, 100, 1_000, 10_000] as const;
