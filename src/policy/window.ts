/**
 * Sliding window that is never over: in no stretch of `windowMs` are more units granted than the limit.
 *
 * Units are counted in slices of time, sixty to a window. A slice counts whole until its last millisecond has left the
 * window, so the error is on the safe side; the price is that a unit comes back up to one slice late (1 s of 60 s).
 * GCRA keeps one number instead of sixty but lets nearly twice the limit through in one window, and two-window
 * interpolation assumes an even spread: neither can promise "never". Integers only: in floating point the promised
 * retry time broke within 50,000 random histories.
 *
 * A limit is no part of the state: when it changes, used stays used. The newest moment seen is, so that a clock which
 * steps back gives nothing away.
 *
 * Pure. Times are Unix ms of whoever keeps the state.
 */

/** Units by slice of time. */
export interface Window {
  /** Length of the window, >= 1. */
  readonly windowMs: number;
  /** The newest moment this window was judged at, Unix ms. */
  readonly newestMs: number;
  /** Flat pairs `slice number, units`, rising; units > 0. Slices may lie ahead of `newestMs`: units lent until then. */
  readonly slices: readonly number[];
}

/** What a take came to. */
export interface Taken {
  readonly granted: boolean;
  /** Units left after it, >= 0. */
  readonly remaining: number;
  /** ms from the caller's clock until a take of the same cost fits; 0 if this one was granted. */
  readonly retryAfterMs: number;
  readonly window: Window;
}

const SLICES_PER_WINDOW = 60;

/** Length of a slice, ms. */
export function sliceMsOf(windowMs: number): number {
  return Math.ceil(windowMs / SLICES_PER_WINDOW);
}

/** A window in which nothing is used. */
export function emptyWindow(windowMs: number, nowMs: number): Window {
  return { windowMs, newestMs: nowMs, slices: [] };
}

/**
 * Asks for `cost` units.
 *
 * @param limit units the window allows, whole, >= 0.
 * @param cost units asked for, whole, >= 0; 0 only looks.
 * @param clockMs Unix ms. A clock that has stepped back is read as the newest moment seen.
 * @throws RangeError on a limit or cost that is not a whole number >= 0.
 */
export function take(window: Window, limit: number, cost: number, clockMs: number): Taken {
  requireWhole("limit", limit);
  requireWhole("cost", cost);
  const current = advance(window, clockMs);
  const retryAfterMs = fitsAfterMs(current, limit, cost);
  if (retryAfterMs > 0) {
    const remaining = remainingOf(current, limit);
    return { granted: false, remaining, retryAfterMs: retryAfterMs + behindMs(current, clockMs), window: current };
  }
  const after = charge(current, current.newestMs, cost);
  return { granted: true, remaining: remainingOf(after, limit), retryAfterMs, window: after };
}

/** ms by which a clock that stepped back is behind the window: what it has to make up before any time passes here. */
export function behindMs({ newestMs }: Window, clockMs: number): number {
  return Math.max(0, newestMs - clockMs);
}

/**
 * The window at `clockMs`: what has left it is dropped.
 *
 * A clock that is behind by no more than a window is read as the newest moment seen. One further behind was wrong then
 * or is wrong now, and waiting for it could take for ever: the history moves back with it, by whole slices.
 */
export function advance(window: Window, clockMs: number): Window {
  const { windowMs } = window;
  const backMs = clockStepBackMs(window, clockMs);
  const moved = backMs === 0 ? window : shift(window, backMs);
  const newestMs = Math.max(clockMs, moved.newestMs);
  const { slices } = moved;
  const sliceMs = sliceMsOf(windowMs);
  let gone = 0;
  while (gone < slices.length && leavesAtMs(slices[gone] ?? 0, sliceMs, windowMs) <= newestMs) gone += 2;
  return { windowMs, newestMs, slices: gone === 0 ? slices : slices.slice(gone) };
}

/** ms, whole slices, by which a history has to move back to follow `clockMs`; 0 nearly always. */
export function clockStepBackMs(window: Window, clockMs: number): number {
  const behindMs = window.newestMs - clockMs;
  if (behindMs <= window.windowMs) return 0;
  const sliceMs = sliceMsOf(window.windowMs);
  return Math.floor(behindMs / sliceMs) * sliceMs;
}

function shift(window: Window, backMs: number): Window {
  const by = backMs / sliceMsOf(window.windowMs);
  const slices = window.slices.map((value, index) => (index % 2 === 0 ? value - by : value));
  return { windowMs: window.windowMs, newestMs: window.newestMs - backMs, slices };
}

/**
 * The same history under another window length. Each slice goes to the new slice that holds its last millisecond: never
 * earlier. What has left the old window is gone, so after a change the shorter of both is known at first.
 */
export function resize(window: Window, windowMs: number): Window {
  if (windowMs === window.windowMs) return window;
  let resized = emptyWindow(windowMs, window.newestMs);
  for (let i = 0; i < window.slices.length; i += 2)
    resized = charge(resized, lastMsOf(window.slices[i] ?? 0, window.windowMs), window.slices[i + 1] ?? 0);
  return resized;
}

/** The last millisecond of a slice. */
export function lastMsOf(slice: number, windowMs: number): number {
  return (slice + 1) * sliceMsOf(windowMs) - 1;
}

/** The number of the slice that holds a moment. */
export function sliceAt(atMs: number, windowMs: number): number {
  return Math.floor(atMs / sliceMsOf(windowMs));
}

/** Counts `units` at a moment, which may lie ahead of `newestMs`. */
export function charge(window: Window, atMs: number, units: number): Window {
  if (units === 0) return window;
  const slices = [...window.slices];
  const slice = sliceAt(atMs, window.windowMs);
  let i = slices.length;
  while (i > 0 && (slices[i - 2] ?? 0) > slice) i -= 2;
  if (i > 0 && slices[i - 2] === slice) slices[i - 1] = (slices[i - 1] ?? 0) + units;
  else slices.splice(i, 0, slice, units);
  return { ...window, slices };
}

/**
 * Takes `units` off the slice of a moment, as far as they still stand there: what has left the window with its slice
 * is not owed to anyone.
 */
export function discharge(window: Window, atMs: number, units: number): Window {
  const slice = sliceAt(atMs, window.windowMs);
  for (let i = 0; i < window.slices.length; i += 2) {
    if (window.slices[i] !== slice) continue;
    const slices = [...window.slices];
    const left = (slices[i + 1] ?? 0) - units;
    if (left > 0) slices[i + 1] = left;
    else slices.splice(i, 2);
    return { ...window, slices };
  }
  return window;
}

/** Units that count at `newestMs`. */
export function usedOf(window: Window): number {
  let used = 0;
  for (let i = 1; i < window.slices.length; i += 2) used += window.slices[i] ?? 0;
  return used;
}

/** Units left; 0 also where a limit has fallen below what is used. */
export function remainingOf(window: Window, limit: number): number {
  return Math.max(0, limit - usedOf(window));
}

/**
 * ms from `newestMs` until `cost` more units fit, if nobody else takes them; 0: they fit now. A cost above the limit
 * never fits: then a whole window, the longest wait there is to name.
 */
export function fitsAfterMs(window: Window, limit: number, cost: number): number {
  const { windowMs, newestMs, slices } = window;
  let over = usedOf(window) + cost - limit;
  if (over <= 0) return 0;
  if (cost > limit) return windowMs;
  const sliceMs = sliceMsOf(windowMs);
  for (let i = 0; i < slices.length; i += 2) {
    over -= slices[i + 1] ?? 0;
    if (over <= 0) return leavesAtMs(slices[i] ?? 0, sliceMs, windowMs) - newestMs;
  }
  return windowMs;
}

/** ms from `newestMs` until `remainingOf` grows; null where nothing is used, a whole window where the limit is 0. */
export function growsAfterMs(window: Window, limit: number): number | null {
  if (limit === 0) return window.windowMs;
  if (window.slices.length === 0) return null;
  return fitsAfterMs(window, limit, remainingOf(window, limit) + 1);
}

/** Unix ms after which nothing is left of a window. */
export function emptyAtMs(window: Window): number {
  const last = window.slices.at(-2);
  return last === undefined ? window.newestMs : leavesAtMs(last, sliceMsOf(window.windowMs), window.windowMs);
}

function leavesAtMs(slice: number, sliceMs: number, windowMs: number): number {
  return (slice + 1) * sliceMs + windowMs;
}

function requireWhole(name: string, value: number): void {
  if (!(Number.isSafeInteger(value) && value >= 0))
    throw new RangeError(`${name}: expected a whole number >= 0, got ${value}`);
}
