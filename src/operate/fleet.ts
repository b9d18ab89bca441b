/**
 * What is shown of the fleet: the meter's view and the origin's own word, for health, metrics and scalers alike.
 *
 * A thousand callers at once are one question to the meter in each isolate, and one to the origin in the whole fleet: the
 * meter names who asks. An isolate's view is a second old at most; while a newer one is under way the old one has to do,
 * and where there is none yet, callers wait for it with a bound. Who finds no view says what it does not know.
 */
import { within } from "../deadline.ts";
import { forward } from "../edge/forward.ts";
import type { Call } from "../edge/identify.ts";
import { createUnderWay } from "../edge/under-way.ts";
import { clientOf } from "../policy/client.ts";
import { ORIGIN_UNREACHABLE, type OriginHealth, readOriginHealth, SUMMARY_BYTES_MAX } from "../policy/origin-health.ts";
import type { MeterView, WaitUntil } from "../ports.ts";
import { textWithin } from "./body.ts";
import type { Desk } from "./desk.ts";

/** The path of the origin's summary, and of ours. */
export const SUMMARY_PATH = "/api/health/summary";

/** The view of one isolate. */
export interface Fleet {
  /** null where the meter does not answer. `site`: scheme and host by which the caller came. */
  readonly view: (site: Site, waitUntil: WaitUntil) => Promise<MeterView | null>;
}

/** Where an origin is that has no URL of its own. */
export type Site = Pick<Call, "scheme" | "host">;

const FRESH_MS = 1_000;
/** A view older than this is of another time: what nobody refreshed is not shown. */
const STALE_MS = 60_000;
const FIRST_WAIT_MS = 5_000;
const WAIT_MS = 1_000;
/** The origin has this long for its summary, and a body that does not end no longer. */
const ORIGIN_MS = 2_000;
const GIVEN_UP_MS = 10_000;

/** A view of nothing. */
export function createFleet(desk: Desk): Fleet {
  const { ports } = desk;
  let known: { readonly view: MeterView; readonly atMs: number } | null = null;
  let flight: { readonly sinceMs: number; readonly done: Promise<void> } | null = null;

  async function look(site: Site, waitUntil: WaitUntil): Promise<void> {
    try {
      const view = await ports.meter.view(true);
      if (!view.mayAsk) {
        known = { view, atMs: ports.nowMs() };
        return;
      }
      const origin = await askOrigin(site, waitUntil, desk);
      known = { view: { ...view, origin }, atMs: ports.nowMs() };
      waitUntil(ports.meter.hearOrigin(origin).catch((error) => warn(error)));
    } catch (error) {
      warn(error);
    }
  }

  function warn(error: unknown): void {
    ports.log("warn", "meter-failed", { error: String(error) });
  }

  return {
    async view(site, waitUntil) {
      const nowMs = ports.nowMs();
      if (known !== null && Math.abs(nowMs - known.atMs) < FRESH_MS) return known.view;
      if (flight === null || Math.abs(nowMs - flight.sinceMs) >= GIVEN_UP_MS) {
        const begun = { sinceMs: nowMs, done: look(site, waitUntil) };
        flight = begun;
        waitUntil(
          begun.done.then(() => {
            if (flight === begun) flight = null;
          }),
        );
      }
      await within(flight.done, known === null ? FIRST_WAIT_MS : WAIT_MS);
      return known !== null && Math.abs(ports.nowMs() - known.atMs) < STALE_MS ? known.view : null;
    },
  };
}

/** The origin's own summary. Never rejects. */
async function askOrigin(
  { scheme, host }: Site,
  waitUntil: WaitUntil,
  { config, ports, sign, sightAt }: Desk,
): Promise<OriginHealth> {
  const nowMs = ports.nowMs();
  const call: Call = {
    request: new Request(`${scheme}://${host}${SUMMARY_PATH}`, { headers: { accept: "application/json" } }),
    arrivedMs: nowMs,
    requestId: ports.newId(),
    scheme,
    host,
    target: SUMMARY_PATH,
    path: SUMMARY_PATH,
    continent: () => null,
    client: clientOf(null, null),
    profile: null,
  };
  const { tier } = sightAt(nowMs);
  // Its own deadline, and the log names that one.
  const settings = { ...config, originTimeoutMs: ORIGIN_MS };
  const underWay = createUnderWay(settings.originTimeoutMs, ports.nowMs);
  const departed = underWay.begin(nowMs, () => {}, waitUntil);
  const forwarded = await forward(call, tier, null, null, underWay, departed, sign, settings, ports);
  if (!("response" in forwarded)) return ORIGIN_UNREACHABLE;
  const { body, status } = forwarded.response;
  let text: string | null = null;
  const read = textWithin(body, SUMMARY_BYTES_MAX).then((whole) => {
    text = whole;
  });
  await within(read, ORIGIN_MS);
  return readOriginHealth(status, text ?? "");
}
