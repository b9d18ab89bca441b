/**
 * LoadMeter: the one object that knows what the whole fleet sees. It keeps the time, the storage and KV for the load loop
 * of policy, which decides everything.
 *
 * Flushes come from isolates, and each is answered with the meter's word. One alarm keeps it going while there is
 * traffic, and for the minute after: it reads the documents of others again, publishes, and writes down what it has
 * counted. In between, what was counted is written a second later, all of it in one row; a second's worth is what a crash
 * of the machine or the hand-over at a deploy can lose. An eviction comes after ten idle seconds and loses nothing.
 *
 * Only this object writes `request-rate:edge`.
 *
 * Bounds: those of `meter.ts`; one row of some 25 KB, 360 KB with ten thousand isolates. One object takes about 500
 * flushes a second; a fleet of more than 2,500 busy isolates needs meters by region that tell a root, by the same flush.
 */
import { DurableObject } from "cloudflare:workers";
import {
  DOCUMENT_KEYS,
  EDGE_RATE_KEY,
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
import { type Config, readVars } from "../config/vars.ts";
import { within } from "../deadline.ts";
import { log } from "../log.ts";
import { viewOf } from "../policy/fleet-view.ts";
import { BUILT_IN, type TierTables } from "../policy/limits.ts";
import { deriveLoad, type Load, type Pin } from "../policy/load.ts";
import {
  copyLoop,
  dueAt,
  type LoadLoop,
  type LoopCopy,
  type LoopRules,
  openLoop,
  published,
  publishing,
  receive,
} from "../policy/load-loop.ts";
import { responseMsAt } from "../policy/meter-rates.ts";
import { ORIGIN_UNASKED, type OriginHealth } from "../policy/origin-health.ts";
import type { EdgeSignal } from "../policy/publication.ts";
import { type TriggerReport, type TriggerStates, UNWATCHED, watchTriggers } from "../policy/scaling.ts";
import { EVENTS } from "../policy/tally.ts";
import type { MeterView, Report } from "../ports.ts";

/** Bindings and vars that the meter reads. */
interface Env {
  readonly EDGE_KV: KVNamespace;
}

/** The documents as they are understood. */
interface Understood extends SignalDocuments {
  readonly tables: TierTables;
  /** Why the present tables are not in force; null where they are. */
  readonly faults: readonly Fault[] | null;
}

/** What the origin said, and what its signs have come to. */
interface Origin {
  readonly health: OriginHealth;
  /** Unix ms; null before the first time. */
  readonly heardMs: number | null;
  readonly triggers: TriggerStates;
}

const LOOP = "loop";
const ORIGIN = "origin";
const DOCUMENTS = "documents";
const SAVE_AFTER_MS = 1_000;
/** KV has this long when nothing is known of it, when what is known is old, and when it is asked behind a flush. */
const FIRST_READ_MS = 250;
const WAIT_MS = 100;
const READ_MS = 5_000;
const WRITE_MS = 10_000;
/** Between two reads, at least, whatever isolates say they have seen. */
const READ_EVERY_MS = 1_000;
/** Between two questions to the origin, fleet-wide. */
const ASK_EVERY_MS = 10_000;
/** What the origin said of itself longer ago says nothing of now. */
const HEARD_MAX_AGE_MS = 60_000;
const COUNTERS_FAILING_MS = 60_000;
const P95_SECONDS = 60;
const COUNTER_FAILURES_AT = EVENTS.indexOf("counterFailures");
const DOCUMENTS_REFUSED_AT = EVENTS.indexOf("documentsRefused");

/** The meter of the fleet. */
export class LoadMeter extends DurableObject<Env> {
  readonly #config: Config;
  readonly #loop: LoadLoop;
  /** Stored, so that a meter that starts anew need not wait for KV; null before the first read. */
  #texts: Texts | null;
  /** Unix ms of the last read that began, and of the last that brought something. */
  #readAtMs = Number.NEGATIVE_INFINITY;
  #knownAsOfMs = 0;
  #understood: Understood;
  #reading: Promise<void> | null = null;
  #saving: ReturnType<typeof setTimeout> | null = null;
  #hasAlarm: boolean | null = null;
  #origin: Origin;
  #triggers: readonly TriggerReport[] = [];
  #askedMs = Number.NEGATIVE_INFINITY;
  #countersFailedMs = Number.NEGATIVE_INFINITY;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#config = readVars(env as unknown as Record<string, unknown>);
    this.#loop = open(ctx.storage.kv.get<LoopCopy>(LOOP) ?? null, Date.now());
    this.#texts = ctx.storage.kv.get<Texts>(DOCUMENTS) ?? null;
    this.#understood = understand(this.#texts ?? new Map(), null);
    this.#origin = ctx.storage.kv.get<Origin>(ORIGIN) ?? { health: ORIGIN_UNASKED, heardMs: null, triggers: UNWATCHED };
  }

  /** Counts a flush, once, and answers with what the meter knows. */
  async report({ flush, documentsChangedMs }: Report): Promise<EdgeSignal> {
    await this.#refresh(documentsChangedMs);
    const nowMs = Date.now();
    const { isCounted, signal } = receive(this.#loop, flush, this.#rulesAt(nowMs), nowMs);
    if (isCounted) this.#saveSoon();
    const due = dueAt(this.#loop, this.#rulesAt(nowMs), nowMs);
    if (due.kind !== "wait" || due.waitMs !== null) await this.#wakeAt(nowMs);
    if ((flush.events[COUNTER_FAILURES_AT] ?? 0) > 0) this.#countersFailedMs = nowMs;
    return signal;
  }

  /**
   * Everything that is known of the fleet; what is told here has been written down. One of those who ask the origin may do
   * so, at most every `ASK_EVERY_MS`.
   */
  async view(asks: boolean): Promise<MeterView> {
    await this.#refresh(0);
    this.#watch(Date.now());
    if (this.#saving !== null) this.#save();
    const nowMs = Date.now();
    const { tables, faults, pin } = this.#understood;
    const mayAsk = asks && Math.abs(nowMs - this.#askedMs) >= ASK_EVERY_MS;
    if (mayAsk) this.#askedMs = nowMs;
    return {
      ...viewOf(this.#loop, this.#rulesAt(nowMs), this.#saidAt(pin, nowMs), nowMs),
      tables,
      faults,
      areCountersFailing: nowMs - this.#countersFailedMs < COUNTERS_FAILING_MS,
      origin: this.#origin.health,
      mayAsk,
      triggers: this.#triggers,
    };
  }

  /** Keeps what the origin says of itself. */
  async hearOrigin(health: OriginHealth): Promise<void> {
    const nowMs = Date.now();
    this.#origin = { ...this.#origin, health, heardMs: nowMs };
    this.#watch(nowMs);
    this.ctx.storage.kv.put(ORIGIN, this.#origin);
  }

  /** Publishes what is due and writes down what was counted; sets the next alarm while there is more to come. */
  override async alarm(): Promise<void> {
    this.#hasAlarm = true;
    await this.#refresh(0);
    const due = dueAt(this.#loop, this.#rulesAt(Date.now()), Date.now());
    if (due.kind !== "wait") {
      publishing(this.#loop, due.kind, Date.now());
      published(this.#loop, due.kind, await this.#write(JSON.stringify(due.document)));
    }
    this.#save();
    const nowMs = Date.now();
    this.#watch(nowMs);
    const next = dueAt(this.#loop, this.#rulesAt(nowMs), nowMs);
    const waitMs = next.kind === "wait" ? next.waitMs : 0;
    this.#hasAlarm = waitMs !== null;
    if (waitMs !== null) await this.ctx.storage.setAlarm(nowMs + Math.min(Math.max(waitMs, 0), this.#config.publishMs));
  }

  /** What autoscalers are advised by. An origin that has not been heard for long is not known. */
  #watch(nowMs: number): void {
    const { health, heardMs, triggers } = this.#origin;
    const isHeard = heardMs !== null && Math.abs(nowMs - heardMs) <= HEARD_MAX_AGE_MS;
    const { approvalQueue, cpuPercent, memoryPercent } = (isHeard ? health : ORIGIN_UNASKED).metrics;
    const readings = {
      response_time_p95_ms: responseMsAt(this.#loop.meter, 0.95, P95_SECONDS, nowMs),
      queue_pending: approvalQueue,
      cpu_percent: cpuPercent,
      memory_percent: memoryPercent,
    };
    const { states, reports } = watchTriggers(triggers, readings, nowMs);
    this.#origin = { ...this.#origin, triggers: states };
    this.#triggers = reports;
  }

  /** @returns whether KV took it. */
  async #write(text: string): Promise<boolean> {
    let error: string | null = "no answer in time";
    const put = this.env.EDGE_KV.put(EDGE_RATE_KEY, text).then(
      () => {
        error = null;
      },
      (fault: unknown) => {
        error = String(fault);
      },
    );
    await within(put, WRITE_MS);
    if (error !== null) log("warn", "signal-not-published", { error });
    return error === null;
  }

  #rulesAt(nowMs: number): LoopRules {
    const { tables, external, pin } = this.#understood;
    const published = this.#saidAt(null, nowMs);
    const pinned = this.#saidAt(pin, nowMs);
    const capacityRpm = external === null || "unusable" in external ? null : external.capacity;
    return {
      tables,
      publishMs: this.#config.publishMs,
      external:
        published.kind === "measured" ? { load: published.load, capacityRpm: capacityRpm ?? tables.capacityRpm } : null,
      pin: pinned.kind === "pinned" ? { load: pinned.load, untilMs: pinned.untilMs } : null,
      documentsAsOfMs: this.#knownAsOfMs,
    };
  }

  /** What others say of load. */
  #saidAt(pin: Pin | null, nowMs: number): Load {
    const { tables, external } = this.#understood;
    const rules = { capacityRpm: tables.capacityRpm, maxAgeMs: tables.signal.maxAgeMs };
    return deriveLoad({ signals: external === null ? [] : [external], pin }, rules, nowMs);
  }

  /**
   * Reads the documents where they are old, or somebody saw them change. Waits for that while nothing is known of them, and
   * a little where what is known is of another time: else an isolate would relax what the meter tightens only now.
   */
  async #refresh(changedMs: number): Promise<void> {
    const { signalRefreshMs } = this.#config;
    const nowMs = Date.now();
    // By the isolate's clock, which may run ahead.
    const seenMs = Math.min(changedMs, nowMs);
    const isOverdue = seenMs > this.#knownAsOfMs || Math.abs(nowMs - this.#knownAsOfMs) >= 2 * signalRefreshMs;
    const ageMs = Math.abs(nowMs - this.#readAtMs);
    const isDue = ageMs >= signalRefreshMs || (seenMs > this.#readAtMs && ageMs >= READ_EVERY_MS);
    if (this.#reading === null && isDue) {
      this.#readAtMs = nowMs;
      this.#reading = within(this.#read(), READ_MS).then(() => {
        this.#reading = null;
      });
    }
    if (this.#reading !== null && isOverdue)
      await within(this.#reading, this.#texts === null ? FIRST_READ_MS : WAIT_MS);
  }

  async #read(): Promise<void> {
    const startedMs = Date.now();
    try {
      const texts = await this.env.EDGE_KV.get([...DOCUMENT_KEYS, GOOD_TABLES_KEY], { type: "text", cacheTtl: 30 });
      // A read that comes after a later one has nothing to say.
      if (startedMs < this.#knownAsOfMs) return;
      const before = this.#texts;
      const isChanged = (key: string) => before?.get(key) !== texts.get(key);
      this.#texts = texts;
      this.#knownAsOfMs = startedMs;
      if (![...KEYS_OF_OTHERS, GOOD_TABLES_KEY].some(isChanged)) return;
      this.#understood = understand(texts, before === null ? null : this.#understood.tables);
      this.ctx.storage.kv.put(DOCUMENTS, texts);
      if (this.#understood.faults !== null && isChanged(TABLES_KEY)) this.#countRefused();
    } catch (error) {
      log("warn", "documents-unreadable", { error: String(error) });
    }
  }

  #countRefused(): void {
    const { events } = this.#loop.meter;
    events[DOCUMENTS_REFUSED_AT] = (events[DOCUMENTS_REFUSED_AT] ?? 0) + 1;
    this.#saveSoon();
  }

  #saveSoon(): void {
    this.#saving ??= setTimeout(() => this.#save(), SAVE_AFTER_MS);
  }

  #save(): void {
    if (this.#saving !== null) clearTimeout(this.#saving);
    this.#saving = null;
    this.ctx.storage.kv.put(LOOP, copyLoop(this.#loop, Date.now()));
  }

  async #wakeAt(nowMs: number): Promise<void> {
    this.#hasAlarm ??= (await this.ctx.storage.getAlarm()) !== null;
    if (this.#hasAlarm) return;
    this.#hasAlarm = true;
    await this.ctx.storage.setAlarm(nowMs);
  }
}

/** A copy that cannot be read, of another version for instance, must not keep the meter from going on. */
function open(copy: LoopCopy | null, nowMs: number): LoadLoop {
  try {
    return openLoop(copy, nowMs);
  } catch (error) {
    log("error", "meter-copy-unusable", { error: String(error) });
    return openLoop(null, nowMs);
  }
}

/** Tables that are refused leave the last good ones in force. */
function understand(texts: Texts, last: TierTables | null): Understood {
  const signals = readSignals(texts);
  const read = readTierTables(texts.get(TABLES_KEY) ?? EMPTY_DOCUMENT);
  if (read.ok) return { ...signals, tables: read.tables, faults: null };
  const good = readTierTables(texts.get(GOOD_TABLES_KEY) ?? EMPTY_DOCUMENT);
  return { ...signals, tables: last ?? (good.ok ? good.tables : BUILT_IN), faults: read.faults };
}
