/**
 * This isolate's copy of the KV documents, and the tier that follows from them.
 *
 * KV is read behind requests. A request waits for it only when there is nothing to go by: 250 ms at most when an
 * isolate starts, 100 ms when its copy is older than twice its refresh (an isolate that was idle). Waits are counted
 * from the start of the read, so that a silent store costs each pause one wait and not each request one.
 *
 * A document that is not valid changes nothing: the last good one stays, also for isolates that start later, which find
 * it under `tier-tables:good`.
 *
 * What was read is stamped with the moment as of which it is known to be current. A change that this isolate sees
 * happen is as new as the read; anything else only proves what was current before KV's own delay. Counters order what
 * different isolates believe by these stamps. The price: an isolate that starts on a late copy can hold a counter back
 * until that delay is over.
 */

import { readPin, readRate } from "../config/signals.ts";
import { readTierTables } from "../config/tables.ts";
import type { Config } from "../config/vars.ts";
import { type Endpoints, endpointsOf } from "../policy/endpoint.ts";
import { BUILT_IN, type TierTables } from "../policy/limits.ts";
import { deriveLoad, type Published } from "../policy/load.ts";
import { type Standing, standing } from "../policy/tier.ts";
import type { Ports, Stamps, WaitUntil } from "../ports.ts";
import { within } from "./deadline.ts";

/** What a request is judged by. */
export interface Rules extends Stamps {
  readonly tables: TierTables;
  readonly endpoints: Endpoints;
}

/** Keeps the copy; one per isolate. */
export interface SignalKeeper {
  /** The rules at `nowMs`; a promise only where a request has to wait for them. */
  readonly rulesAt: (nowMs: number, waitUntil: WaitUntil) => Rules | Promise<Rules>;
}

const KEYS = ["tier-tables", "request-rate", "request-rate:edge", "load-pin"] as const;
const GOOD_KEY = "tier-tables:good";
/** The document that changes nothing: what stands for "none" where one must be named. */
const EMPTY_DOCUMENT = "{}";
const START_WAIT_MS = 250;
const IDLE_WAIT_MS = 100;
/** A read that has not come back by then never will. */
const READ_TIMEOUT_MS = 10_000;
/** After a pause this long, what the tier was says nothing about load. */
const IDLE_MS = 300_000;
/** The tier follows time (a hold that ends, a signal that goes stale) within this. */
const REVIEW_MS = 1_000;

interface Copy {
  readonly texts: ReadonlyMap<string, string | null>;
  readonly tables: TierTables;
  readonly tablesAsOfMs: number;
  readonly published: Published;
  readonly publishedAsOfMs: number;
  /** When the read that made this copy began. */
  readonly readAtMs: number;
}

/** A keeper that has read nothing yet. */
export function createSignalKeeper(config: Config, ports: Ports): SignalKeeper {
  let copy: Copy | null = null;
  let rules: Rules | null = null;
  let stands: Standing | null = null;
  let reviewAtMs = 0;
  let lookedMs = 0;
  let reading: { readonly startedMs: number; readonly done: Promise<unknown> } | null = null;
  let triedAtMs = Number.NEGATIVE_INFINITY;

  /** KV shows a write everywhere within about two refreshes (60 s as configured by default). */
  const kvDelayMs = 2 * config.signalRefreshMs;

  function rulesAt(nowMs: number, waitUntil: WaitUntil): Rules | Promise<Rules> {
    const ageMs = copy === null ? Number.POSITIVE_INFINITY : nowMs - copy.readAtMs;
    if (ageMs >= config.signalRefreshMs) refresh(nowMs, waitUntil);
    if (reading !== null && ageMs >= 2 * config.signalRefreshMs) {
      const leftMs = reading.startedMs + (copy === null ? START_WAIT_MS : IDLE_WAIT_MS) - nowMs;
      if (leftMs > 0) return within(reading.done, leftMs).then(() => review(ports.nowMs()));
    }
    return review(nowMs);
  }

  function refresh(nowMs: number, waitUntil: WaitUntil): void {
    if (reading !== null && nowMs - reading.startedMs < READ_TIMEOUT_MS) return;
    if (reading === null && nowMs - triedAtMs < config.signalRefreshMs) return;
    triedAtMs = nowMs;
    const begun = { startedMs: nowMs, done: within(read(nowMs, waitUntil), READ_TIMEOUT_MS) };
    reading = begun;
    const settled = begun.done.finally(() => {
      if (reading === begun) reading = null;
    });
    waitUntil(settled);
  }

  async function read(startedMs: number, waitUntil: WaitUntil): Promise<void> {
    try {
      const texts = await ports.documents.read(KEYS);
      copy = await copyFrom(texts, startedMs);
      reviewAtMs = 0;
      waitUntil(keepGood(copy).catch((error) => ports.log("warn", "good-tables-not-kept", { error: String(error) })));
    } catch (error) {
      ports.log("warn", "documents-unreadable", { error: String(error) });
    }
  }

  async function copyFrom(texts: ReadonlyMap<string, string | null>, startedMs: number): Promise<Copy> {
    const previous = copy;
    const changed = (keys: readonly string[]) => keys.some((key) => previous?.texts.get(key) !== texts.get(key));
    const asOfMs = (keys: readonly string[], before: number | undefined) =>
      previous !== null && changed(keys) ? startedMs : Math.max(before ?? 0, startedMs - kvDelayMs);
    const isNewTables = previous === null || changed(["tier-tables"]);
    return {
      texts,
      tables: isNewTables ? await tablesFrom(texts.get("tier-tables") ?? null) : previous.tables,
      tablesAsOfMs: asOfMs(["tier-tables"], previous?.tablesAsOfMs),
      published: publishedFrom(texts),
      publishedAsOfMs: asOfMs(KEYS.slice(1), previous?.publishedAsOfMs),
      readAtMs: startedMs,
    };
  }

  async function tablesFrom(text: string | null): Promise<TierTables> {
    const read = readTierTables(text ?? EMPTY_DOCUMENT);
    if (read.ok) return read.tables;
    ports.log("error", "tier-tables-refused", { faults: read.faults });
    if (copy !== null) return copy.tables;
    const good = readTierTables((await ports.documents.read([GOOD_KEY])).get(GOOD_KEY) ?? EMPTY_DOCUMENT);
    return good.ok ? good.tables : BUILT_IN;
  }

  /** Remembers a valid document for isolates that start while an invalid one stands under its key. */
  let kept: string | null | undefined;
  async function keepGood({ texts }: Copy): Promise<void> {
    const text = texts.get("tier-tables") ?? null;
    if (text === kept || !readTierTables(text ?? EMPTY_DOCUMENT).ok) return;
    const good = (await ports.documents.read([GOOD_KEY])).get(GOOD_KEY) ?? null;
    const isKnown = good === (text ?? EMPTY_DOCUMENT) || (good === null && text === null);
    if (!isKnown) await ports.documents.write(GOOD_KEY, text ?? EMPTY_DOCUMENT);
    kept = text;
  }

  function publishedFrom(texts: ReadonlyMap<string, string | null>): Published {
    const external = texts.get("request-rate") ?? null;
    const edge = texts.get("request-rate:edge") ?? null;
    const pinText = texts.get("load-pin") ?? null;
    const pin = pinText === null ? null : readPin(pinText);
    if (pin !== null && "unusable" in pin) ports.log("error", "load-pin-unusable", { reason: pin.unusable });
    return {
      signals: [
        ...(external === null ? [] : [readRate("external", external)]),
        ...(edge === null ? [] : [readRate("edge", edge)]),
      ],
      pin: pin === null || "unusable" in pin ? null : pin,
    };
  }

  function review(nowMs: number): Rules {
    if (rules !== null && nowMs < reviewAtMs && nowMs >= reviewAtMs - REVIEW_MS) return rules;
    const tables = copy?.tables ?? BUILT_IN;
    // An isolate that has not looked for so long knows no more than one that starts.
    const before = nowMs - lookedMs > IDLE_MS ? null : stands;
    lookedMs = nowMs;
    stands = standing(before, seenAt(nowMs, tables), tables.thresholds, tables.hysteresis, nowMs);
    const turnedNow = rules !== null && rules.tierAsOfMs > 0 && before?.tier !== stands.tier;
    rules = {
      tables,
      endpoints: endpointsOf(tables.profiles),
      tablesAsOfMs: copy?.tablesAsOfMs ?? 0,
      tier: stands.tier,
      tierAsOfMs: copy === null ? 0 : turnedNow ? nowMs : Math.max(rules?.tierAsOfMs ?? 0, copy.publishedAsOfMs),
    };
    const pinEndsMs = copy?.published.pin?.untilMs ?? Number.POSITIVE_INFINITY;
    reviewAtMs = pinEndsMs > nowMs ? Math.min(nowMs + REVIEW_MS, pinEndsMs) : nowMs + REVIEW_MS;
    return rules;
  }

  function seenAt(nowMs: number, tables: TierTables): Parameters<typeof standing>[1] {
    if (copy === null) return { basis: "fallback", tier: tables.signal.fallbackTier };
    const rate = { capacityRpm: tables.capacityRpm, maxAgeMs: tables.signal.maxAgeMs };
    const load = deriveLoad(copy.published, rate, nowMs);
    switch (load.kind) {
      case "pinned":
        return { basis: "pin", load: load.load };
      case "measured":
        return { basis: "load", load: load.load };
      case "unpublished":
        return { basis: "load", load: 0 };
      case "stale":
        return { basis: "fallback", tier: tables.signal.fallbackTier };
    }
  }

  return { rulesAt };
}
