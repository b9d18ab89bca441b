/**
 * The limits that the benchmark runs under: one profile for each path.
 *
 * All tiers have the same limit and the capacity is out of reach, so that the load of the benchmark itself changes
 * nothing.
 */

/** Which of the profiles below a request falls under. */
export type Path = "/million" | "/fifty" | "/fifty-a-second" | "/paced";

/** Units a window of each path allows. */
export const LIMITS: Readonly<Record<Path, number>> = {
  "/million": 1_000_000,
  "/fifty": 50,
  "/fifty-a-second": 50,
  "/paced": 200,
};

/** Seconds that stand for a minute on the paced path: leases and slices shrink with the window. */
export const PACED_WINDOW_SECONDS = 3;

const WINDOWS: Readonly<Record<Path, number>> = {
  "/million": 60,
  "/fifty": 60,
  "/fifty-a-second": 1,
  "/paced": PACED_WINDOW_SECONDS,
};

/** The `tier-tables` document. */
export function tierTables(): object {
  const profiles = Object.entries(LIMITS).map(([path, limit]) => [
    path.slice(1),
    {
      match: [path],
      limits: { low: limit, medium: limit, high: limit, critical: limit },
      window_seconds: WINDOWS[path as Path],
    },
  ]);
  return { capacity_rpm: 1_000_000_000, profiles: Object.fromEntries(profiles) };
}
