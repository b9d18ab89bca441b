/**
 * Watches every client of a crowd: in no stretch of a window more units than the limit, and how many an exact sliding
 * log would have admitted. Cheap enough for a million clients, because it sees everything in order of time.
 */
export interface Watch {
  /** A request came; the exact log decides about it. */
  readonly offered: (client: number, atMs: number) => void;
  /** Units were given out. */
  readonly admitted: (client: number, atMs: number, units: number) => void;
  /** Begins the figures anew; what lies in the window stays. */
  readonly reset: () => void;
  /** The largest share of the limit that any client had in any stretch; never begun anew. */
  readonly worstShare: () => number;
  readonly offeredBy: Uint32Array;
  readonly admittedBy: Uint32Array;
  /** What the exact log admitted. */
  readonly exactBy: Uint32Array;
}

/** Moments of one client, rising; those before `head` have left the window. */
interface Recent {
  moments: number[];
  head: number;
}

const COMPACT_AT = 1024;

export function createWatch(clients: number, limit: number, windowMs: number): Watch {
  const given: (Recent | undefined)[] = new Array(clients);
  const exact: (Recent | undefined)[] = new Array(clients);
  const offeredBy = new Uint32Array(clients);
  const admittedBy = new Uint32Array(clients);
  const exactBy = new Uint32Array(clients);
  let worst = 0;

  function recent(of: (Recent | undefined)[], client: number, atMs: number): Recent {
    const known = of[client] ?? { moments: [], head: 0 };
    of[client] = known;
    while ((known.moments[known.head] ?? atMs) <= atMs - windowMs) known.head++;
    if (known.head > COMPACT_AT) {
      known.moments = known.moments.slice(known.head);
      known.head = 0;
    }
    return known;
  }

  return {
    offered(client, atMs) {
      offeredBy[client] = (offeredBy[client] ?? 0) + 1;
      const { moments, head } = recent(exact, client, atMs);
      if (moments.length - head >= limit) return;
      moments.push(atMs);
      exactBy[client] = (exactBy[client] ?? 0) + 1;
    },
    admitted(client, atMs, units) {
      admittedBy[client] = (admittedBy[client] ?? 0) + units;
      const { moments, head } = recent(given, client, atMs);
      for (let i = 0; i < units; i++) moments.push(atMs);
      worst = Math.max(worst, (moments.length - head) / limit);
    },
    reset() {
      for (const figures of [offeredBy, admittedBy, exactBy]) figures.fill(0);
    },
    worstShare: () => worst,
    offeredBy,
    admittedBy,
    exactBy,
  };
}
