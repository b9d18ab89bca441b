/**
 * What has truly happened in one isolate, noted where it happens and by nobody who decides it.
 *
 * A unit is given out in exactly two places: a counter grants a take, or an isolate spends a lease. Both are calls of
 * policy, and both are probed (`account-probe.ts`, `holding-probe.ts`). All isolates of a fleet share one machine and so
 * one clock: the moments of one can be laid beside those of another.
 *
 * The price: memory grows with the traffic until the log is read.
 */

/** An answer that a counter gave for the first time. */
export interface Grant {
  readonly isolate: string;
  readonly call: number;
  /** The moment the counter judged by, Unix ms. */
  readonly atMs: number;
  /** Takes granted in it. */
  readonly granted: number;
  readonly lent: number;
  readonly limit: number;
  readonly windowMs: number;
}

/** A take that a lease granted. */
export interface Use {
  /** The call that brought the lease. */
  readonly call: number;
  /** When it happened, Unix ms. */
  readonly atMs: number;
  /** The moment the isolate judged by. */
  readonly judgedMs: number;
}

/** Which client a call spoke for. */
export interface Asked {
  readonly isolate: string;
  readonly call: number;
  readonly profile: string;
  readonly client: string;
}

/** The truth of one isolate. */
export interface Truth {
  /** The name it calls itself in its calls; null before the first. */
  isolate: string | null;
  /** Batches it has sent. */
  calls: number;
  /** What its own requests spent of leases. */
  uses: Use[];
  /** What its counters granted, in order. */
  grants: Grant[];
  /** What its counters were asked. */
  asked: Asked[];
  /** Rows its counters wrote. */
  rows: number;
  /** Unix ms at which a counter was made or loaded here. */
  loads: number[];
}

export const truth: Truth = { isolate: null, calls: 0, uses: [], grants: [], asked: [], rows: 0, loads: [] };
