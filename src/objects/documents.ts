/**
 * The documents as the meter knows them: read from KV while there is traffic, understood, and kept across an eviction so
 * that a meter which starts anew need not wait for KV.
 *
 * Read behind flushes. A flush waits only while nothing is known, and a little where what is known is of another time:
 * else an isolate would relax what the meter tightens only now. Bounds: one read at a time, one a refresh, and one a second
 * at most whatever isolates say they have seen.
 */
import {
  DOCUMENT_KEYS,
  EMPTY_DOCUMENT,
  GOOD_TABLES_KEY,
  KEYS_OF_OTHERS,
  readSignals,
  type SignalDocuments,
  TABLES_KEY,
  type Texts,
} from "../config/documents.ts";
import type { Fault } from "../config/rules.ts";
import { readTierTables } from "../config/tables.ts";
import { within } from "../deadline.ts";
import { log } from "../log.ts";
import { BUILT_IN, type TierTables } from "../policy/limits.ts";
import { deriveLoad, type Load } from "../policy/load.ts";
import type { LoopRules } from "../policy/load-loop.ts";

/** The documents as they are understood. */
export interface Understood extends SignalDocuments {
  readonly tables: TierTables;
  /** Why the tables under their key are not in force; null where they are. */
  readonly faults: readonly Fault[] | null;
}

/** What the documents say, as far as the meter has read them. */
export interface Documents {
  /** Reads them where they are old, or somebody saw them change at `changedMs`, by a clock that may run ahead. */
  readonly refresh: (changedMs: number) => Promise<void>;
  readonly understood: () => Understood;
  /** What others than the meter say of load: a pin, or the external signal. */
  readonly saidAt: (nowMs: number) => Load;
  /** What the load loop is judged by. */
  readonly rulesAt: (nowMs: number) => Omit<LoopRules, "publishMs">;
}

const STORED = "documents";
/** KV has this long when nothing is known of it, when what is known is old, and when it is asked behind a flush. */
const FIRST_READ_MS = 250;
const WAIT_MS = 100;
const READ_MS = 5_000;
/** Between two reads, at least. */
const READ_EVERY_MS = 1_000;

/** The documents in `kv`, as they were last stored. `onRefused` hears of each document of tables that is refused, once. */
export function openDocuments(
  kv: () => KVNamespace,
  storage: DurableObjectStorage,
  refreshMs: number,
  onRefused: () => void,
): Documents {
  let texts: Texts | null = storage.kv.get<Texts>(STORED) ?? null;
  let understood = understand(texts ?? new Map(), null);
  /** Unix ms of the last read that began, and of the last that brought something. */
  let readAtMs = Number.NEGATIVE_INFINITY;
  let knownAsOfMs = 0;
  let reading: Promise<unknown> | null = null;

  async function refresh(changedMs: number): Promise<void> {
    const nowMs = Date.now();
    const seenMs = Math.min(changedMs, nowMs);
    const isOverdue = seenMs > knownAsOfMs || Math.abs(nowMs - knownAsOfMs) >= 2 * refreshMs;
    const ageMs = Math.abs(nowMs - readAtMs);
    const isDue = ageMs >= refreshMs || (seenMs > readAtMs && ageMs >= READ_EVERY_MS);
    if (reading === null && isDue) {
      readAtMs = nowMs;
      reading = within(read(), READ_MS).then(() => {
        reading = null;
      });
    }
    if (reading !== null && isOverdue) await within(reading, texts === null ? FIRST_READ_MS : WAIT_MS);
  }

  async function read(): Promise<void> {
    const startedMs = Date.now();
    try {
      const found = await kv().get([...DOCUMENT_KEYS, GOOD_TABLES_KEY], { type: "text", cacheTtl: 30 });
      // A read that comes after a later one has nothing to say.
      if (startedMs < knownAsOfMs) return;
      const before = texts;
      const isChanged = (key: string) => before?.get(key) !== found.get(key);
      texts = found;
      knownAsOfMs = startedMs;
      if (![...KEYS_OF_OTHERS, GOOD_TABLES_KEY].some(isChanged)) return;
      understood = understand(found, before === null ? null : understood.tables);
      storage.kv.put(STORED, found);
      if (understood.faults !== null && isChanged(TABLES_KEY)) onRefused();
    } catch (error) {
      log("warn", "documents-unreadable", { error: String(error) });
    }
  }

  function loadAt(pin: Understood["pin"], nowMs: number): Load {
    const { tables, external } = understood;
    const rules = { capacityRpm: tables.capacityRpm, maxAgeMs: tables.signal.maxAgeMs };
    return deriveLoad({ signals: external === null ? [] : [external], pin }, rules, nowMs);
  }

  return {
    refresh,
    understood: () => understood,
    saidAt: (nowMs) => loadAt(understood.pin, nowMs),
    rulesAt(nowMs) {
      const { tables, external, pin } = understood;
      const published = loadAt(null, nowMs);
      const pinned = loadAt(pin, nowMs);
      const capacity = external === null || "unusable" in external ? null : external.capacity;
      return {
        tables,
        external:
          published.kind === "measured" ? { load: published.load, capacityRpm: capacity ?? tables.capacityRpm } : null,
        pin: pinned.kind === "pinned" ? { load: pinned.load, untilMs: pinned.untilMs } : null,
        documentsAsOfMs: knownAsOfMs,
      };
    },
  };
}

/** Tables that are refused leave the last good ones in force. */
function understand(texts: Texts, last: TierTables | null): Understood {
  const signals = readSignals(texts);
  const read = readTierTables(texts.get(TABLES_KEY) ?? EMPTY_DOCUMENT);
  if (read.ok) return { ...signals, tables: read.tables, faults: null };
  const good = readTierTables(texts.get(GOOD_TABLES_KEY) ?? EMPTY_DOCUMENT);
  return { ...signals, tables: last ?? (good.ok ? good.tables : BUILT_IN), faults: read.faults };
}
