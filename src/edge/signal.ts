/**
 * What this isolate knows of load: its copy of the KV documents, the newest word of the meter it has heard, and the tier
 * that follows from both.
 *
 * KV is read behind requests. A request waits for it only when there is nothing to go by: 250 ms at most when an
 * isolate starts, 100 ms when its copy is older than twice its refresh (an isolate that was idle). Waits are counted
 * from the start of the read, so that a silent store costs each pause one wait and not each request one.
 *
 * A document that is not valid changes nothing: the last good one stays, also for isolates that start later, which find
 * it under `tier-tables:good`.
 *
 * The meter's word comes with the answers of meter and counters, seconds old, and from KV, up to a minute late; the newest
 * is kept, wherever it came from.
 *
 * What is believed is stamped with the moment as of which it is known to be current; counters order by it what different
 * isolates believe. The word carries its own moment. A change of a document that this isolate sees happen is as new as
 * the read; anything else only proves what was current before KV's own delay. The price: an isolate that starts on a late
 * copy can hold a counter back until that delay is over, or until it has heard the meter.
 */
import {
  DOCUMENT_KEYS,
  EDGE_RATE_KEY,
  EMPTY_DOCUMENT,
  GOOD_TABLES_KEY,
  KEYS_OF_OTHERS,
  PIN_KEY,
  RATE_KEY,
  readSignals,
  type SignalDocuments,
  TABLES_KEY,
  type Texts,
} from "../config/documents.ts";
import { readTierTables } from "../config/tables.ts";
import type { Config } from "../config/vars.ts";
import { within } from "../deadline.ts";
import { type Endpoints, endpointsOf } from "../policy/endpoint.ts";
import { BUILT_IN, type TierTables } from "../policy/limits.ts";
import type { Pin } from "../policy/load.ts";
import { type Outlook, outlook } from "../policy/outlook.ts";
import type { Shares } from "../policy/overload.ts";
import { type EdgeSignal, laterOf } from "../policy/publication.ts";
import type { Ports, Stamps, WaitUntil } from "../ports.ts";

/** What a request is judged by. */
export interface Rules extends Stamps {
  readonly tables: TierTables;
  readonly endpoints: Endpoints;
  /** What of each profile's requests to shed. */
  readonly shed: Shares;
}

/** Keeps what is known; one per isolate. */
export interface SignalKeeper {
  /** The rules at `nowMs`; a promise only where a request has to wait for them. */
  readonly rulesAt: (nowMs: number, waitUntil: WaitUntil) => Rules | Promise<Rules>;
  /** Load and tier as this isolate sees them. */
  readonly sightAt: (nowMs: number) => Pick<Outlook, "load" | "tier">;
  /** The newest word of the meter; null before the first. */
  readonly word: () => EdgeSignal | null;
  /** Hears a word of the meter, whoever passed it on. */
  readonly hear: (word: EdgeSignal) => void;
  /** Unix ms of the read that first showed the present documents; 0 while none was seen to change. */
  readonly changedMs: () => number;
}

const START_WAIT_MS = 250;
const IDLE_WAIT_MS = 100;
/** A read that has not come back by then never will. */
const READ_TIMEOUT_MS = 10_000;
/** After a pause this long, what the tier was says nothing about load. */
const IDLE_MS = 300_000;
/** The tier follows time (a hold that ends, a signal that goes stale) within this. */
const REVIEW_MS = 1_000;
/** Shares to shed that are older would outlive the flood they were for. */
const SHED_MAX_AGE_MS = 30_000;
const NO_SHARES: Shares = {};

interface Copy extends SignalDocuments {
  readonly texts: Texts;
  readonly tables: TierTables;
  readonly tablesAsOfMs: number;
  readonly signalsAsOfMs: number;
  readonly pinAsOfMs: number;
  readonly changedMs: number;
  /** When the read that made this copy began. */
  readonly readAtMs: number;
}

/** A keeper that has read nothing yet. */
export function createSignalKeeper(config: Config, ports: Ports): SignalKeeper {
  let copy: Copy | null = null;
  let word: EdgeSignal | null = null;
  let rules: Rules | null = null;
  let stands: Outlook | null = null;
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
      const texts = await ports.documents.read(DOCUMENT_KEYS);
      // A read that comes after a later one has nothing to say.
      if (copy !== null && copy.readAtMs > startedMs) return;
      copy = await copyFrom(texts, startedMs);
      if (copy.word !== null) hear(copy.word);
      reviewAtMs = 0;
      waitUntil(keepGood(copy).catch((error) => ports.log("warn", "good-tables-not-kept", { error: String(error) })));
    } catch (error) {
      ports.log("warn", "documents-unreadable", { error: String(error) });
    }
  }

  async function copyFrom(texts: Texts, startedMs: number): Promise<Copy> {
    const previous = copy;
    const changed = (keys: readonly string[]) => keys.some((key) => previous?.texts.get(key) !== texts.get(key));
    const asOfMs = (keys: readonly string[], before: number | undefined) =>
      previous !== null && changed(keys) ? startedMs : Math.max(before ?? 0, startedMs - kvDelayMs);
    const isNewTables = previous === null || changed([TABLES_KEY]);
    const signals = readSignals(texts);
    if (signals.pinFault !== null) ports.log("error", "load-pin-unusable", { reason: signals.pinFault });
    const signalKeys = signals.edge === null ? [RATE_KEY] : [RATE_KEY, EDGE_RATE_KEY];
    return {
      ...signals,
      texts,
      tables: isNewTables ? await tablesFrom(texts.get(TABLES_KEY) ?? null) : previous.tables,
      tablesAsOfMs: asOfMs([TABLES_KEY], previous?.tablesAsOfMs),
      signalsAsOfMs: asOfMs(signalKeys, previous?.signalsAsOfMs),
      pinAsOfMs: asOfMs([PIN_KEY], previous?.pinAsOfMs),
      changedMs: previous !== null && changed(KEYS_OF_OTHERS) ? startedMs : (previous?.changedMs ?? 0),
      readAtMs: startedMs,
    };
  }

  async function tablesFrom(text: string | null): Promise<TierTables> {
    const read = readTierTables(text ?? EMPTY_DOCUMENT);
    if (read.ok) return read.tables;
    ports.log("error", "tier-tables-refused", { faults: read.faults });
    if (copy !== null) return copy.tables;
    const good = readTierTables((await ports.documents.read([GOOD_TABLES_KEY])).get(GOOD_TABLES_KEY) ?? EMPTY_DOCUMENT);
    return good.ok ? good.tables : BUILT_IN;
  }

  /** Remembers a valid document for isolates that start while an invalid one stands under its key. */
  let kept: string | null | undefined;
  async function keepGood({ texts }: Copy): Promise<void> {
    const text = texts.get(TABLES_KEY) ?? null;
    if (text === kept || !readTierTables(text ?? EMPTY_DOCUMENT).ok) return;
    const good = (await ports.documents.read([GOOD_TABLES_KEY])).get(GOOD_TABLES_KEY) ?? null;
    const isKnown = good === (text ?? EMPTY_DOCUMENT) || (good === null && text === null);
    if (!isKnown) await ports.documents.write(GOOD_TABLES_KEY, text ?? EMPTY_DOCUMENT);
    kept = text;
  }

  function hear(heard: EdgeSignal): void {
    const later = laterOf(word, heard, ports.nowMs());
    if (later === word) return;
    word = later;
    reviewAtMs = 0;
  }

  function review(nowMs: number): Rules {
    if (rules !== null && nowMs < reviewAtMs && nowMs >= reviewAtMs - REVIEW_MS) return rules;
    const tables = copy?.tables ?? BUILT_IN;
    // An isolate that has not looked for so long knows no more than one that starts.
    const before = nowMs - lookedMs > IDLE_MS ? null : stands;
    lookedMs = nowMs;
    const { pin, asOfMs: pinAsOfMs } = pinKnown();
    stands = outlookAt(before, pin, tables, nowMs);
    const isPinned = stands.basis === "pin";
    // Under a pin the sources have no past: when it ends, the tier is at once what they say.
    const sources = isPinned ? outlookAt(null, null, tables, nowMs) : stands;
    const hasTurned = rules !== null && rules.sourcesAsOfMs > 0 && rules.sources !== sources.tier;
    const endedMs = pin?.untilMs ?? Number.POSITIVE_INFINITY;
    rules = {
      tables,
      endpoints: endpointsOf(tables.profiles),
      tablesAsOfMs: copy?.tablesAsOfMs ?? 0,
      tier: stands.tier,
      sources: sources.tier,
      sourcesAsOfMs: Math.max(rules?.sourcesAsOfMs ?? 0, sourcesAsOfMs(sources, hasTurned, tables, nowMs)),
      pinned: isPinned ? stands.tier : null,
      pinAsOfMs: endedMs <= nowMs ? Math.max(pinAsOfMs, endedMs) : pinAsOfMs,
      shed: sharesAt(nowMs),
    };
    reviewAtMs = endedMs > nowMs ? Math.min(nowMs + REVIEW_MS, endedMs) : nowMs + REVIEW_MS;
    return rules;
  }

  function outlookAt(before: Outlook | null, pin: Pin | null, tables: TierTables, nowMs: number): Outlook {
    if (copy === null && word === null)
      return { tier: tables.signal.fallbackTier, basis: "fallback", load: { kind: "stale" }, course: null };
    const external = copy?.external ?? null;
    const edge = word === null ? (copy?.edge ?? null) : { source: "edge" as const, ...word };
    const signals = [external, edge].filter((signal) => signal !== null);
    return outlook(before, { signals, pin }, word?.tier ?? null, tables, nowMs);
  }

  /**
   * The pin, from whichever is later: what this isolate read, or what the meter did. A read proves what was current before
   * KV's own delay, and a change that was seen proves more.
   */
  function pinKnown(): { readonly pin: Pin | null; readonly asOfMs: number } {
    const ownMs = copy?.pinAsOfMs ?? 0;
    const toldMs = word === null ? 0 : word.documentsAsOfMs - kvDelayMs;
    return toldMs > ownMs ? { pin: word?.pin ?? null, asOfMs: toldMs } : { pin: copy?.pin ?? null, asOfMs: ownMs };
  }

  /**
   * As of when it is known what the sources say: what the meter said it says as of then; what turned by itself, turned
   * now. Not to know is no news, and that all traffic had ended may be old news.
   */
  function sourcesAsOfMs({ basis }: Outlook, hasTurned: boolean, { signal }: TierTables, nowMs: number): number {
    const knownMs = copy?.signalsAsOfMs ?? 0;
    if (basis === "fallback" || word?.publishedAtMs === null) return knownMs;
    const saidMs = word?.publishedAtMs ?? Number.NEGATIVE_INFINITY;
    if (nowMs - saidMs <= signal.maxAgeMs) return Math.max(knownMs, Math.min(saidMs, nowMs));
    return hasTurned ? nowMs : knownMs;
  }

  function sharesAt(nowMs: number): Shares {
    const saidMs = word?.publishedAtMs ?? null;
    return word !== null && saidMs !== null && nowMs - saidMs <= SHED_MAX_AGE_MS ? word.shed : NO_SHARES;
  }

  function sightAt(nowMs: number): Pick<Outlook, "load" | "tier"> {
    review(nowMs);
    return stands ?? { load: { kind: "stale" }, tier: BUILT_IN.signal.fallbackTier };
  }

  return { rulesAt, sightAt, word: () => word, hear, changedMs: () => copy?.changedMs ?? 0 };
}
