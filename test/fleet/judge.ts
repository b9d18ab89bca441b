/**
 * What was admitted, held against what may be: in no window more than the limit in force, and nearly as much as an exact
 * sliding log admits.
 *
 * The log of units is the truth, kept outside of what it judges. Moments are whole ms of the counter's clock.
 *
 * Pure.
 */

/** A unit that was given out. */
export interface Unit {
  /** Moment of the grant; of its use, if it came out of a lease. */
  readonly atMs: number;
  /** The grant that it is from or whose lease it is from: rising in the order in which the counter made them. */
  readonly grant: number;
  /** The limit that the counter made that grant under. */
  readonly limit: number;
}

/** The stretch that holds the largest share of its limit. */
export interface Worst {
  /** Of the limit in force; 1 is all of it. */
  readonly share: number;
  readonly units: number;
  readonly limit: number;
  /** Last moment of the stretch; the stretch is the `windowMs` until then. */
  readonly untilMs: number;
}

/**
 * The worst of all stretches (t - windowMs, t].
 *
 * The limit in force in a stretch is that of the latest grant which has a unit in it: leases that were out when a limit
 * fell may still be spent, but every stretch with a grant under the new limit is within the new limit.
 */
export function worstStretch(units: readonly Unit[], windowMs: number): Worst {
  const rising = units.toSorted((a, b) => a.atMs - b.atMs);
  /** Indexes of units in the stretch whose grants fall: the first is of the latest grant. */
  const latest: number[] = [];
  let worst: Worst = { share: 0, units: 0, limit: 0, untilMs: 0 };
  let oldest = 0;
  let next = 0;
  for (const untilMs of momentsOf(rising, windowMs)) {
    for (let unit = rising[next]; unit !== undefined && unit.atMs <= untilMs; unit = rising[++next]) {
      while (latest.length > 0 && (rising[latest.at(-1) ?? 0]?.grant ?? 0) <= unit.grant) latest.pop();
      latest.push(next);
    }
    while ((rising[oldest]?.atMs ?? untilMs) <= untilMs - windowMs) oldest++;
    while ((latest[0] ?? oldest) < oldest) latest.shift();
    const limit = rising[latest[0] ?? -1]?.limit;
    if (limit === undefined) continue;
    const share = (next - oldest) / limit;
    if (share > worst.share) worst = { share, units: next - oldest, limit, untilMs };
  }
  return worst;
}

/** Where a stretch changes: a unit comes in, or one has gone out. */
function momentsOf(rising: readonly Unit[], windowMs: number): Iterable<number> {
  return new Set(rising.flatMap(({ atMs }) => [atMs, atMs + windowMs]).sort((a, b) => a - b));
}

/** How many of `arrivalsMs` an exact sliding log admits: each one before which less than `limit` were, in a window. */
export function admittedByLog(arrivalsMs: readonly number[], limit: number, windowMs: number): number {
  const admittedMs: number[] = [];
  for (const atMs of arrivalsMs.toSorted((a, b) => a - b))
    if (admittedMs.length < limit || (admittedMs[admittedMs.length - limit] ?? 0) <= atMs - windowMs)
      admittedMs.push(atMs);
  return admittedMs.length;
}

/** The most units that certainly lie in one stretch (t - windowMs, t], each known to lie between two moments. */
export function mostCertain(
  units: readonly { readonly fromMs: number; readonly toMs: number }[],
  windowMs: number,
): number {
  return units.reduce((most, { toMs: untilMs }) => {
    const within = units.filter(({ fromMs, toMs }) => toMs <= untilMs && fromMs > untilMs - windowMs);
    return Math.max(most, within.length);
  }, 0);
}
