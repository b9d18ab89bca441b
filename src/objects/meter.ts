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
import { EDGE_RATE_KEY } from "../config/documents.ts";
import { type Config, readVars } from "../config/vars.ts";
import { within } from "../deadline.ts";
import { log } from "../log.ts";
import { viewOf } from "../policy/fleet-view.ts";
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
import { type Documents, openDocuments } from "./documents.ts";

/** Bindings and vars that the meter reads. */
interface Env {
  readonly EDGE_KV: KVNamespace;
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
const SAVE_AFTER_MS = 1_000;
const WRITE_MS = 10_000;
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
  readonly #documents: Documents;
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
    const { signalRefreshMs } = this.#config;
    this.#documents = openDocuments(
      () => this.env.EDGE_KV,
      ctx.storage,
      signalRefreshMs,
      () => this.#countRefused(),
    );
    this.#origin = ctx.storage.kv.get<Origin>(ORIGIN) ?? { health: ORIGIN_UNASKED, heardMs: null, triggers: UNWATCHED };
  }

  /** Counts a flush, once, and answers with what the meter knows. */
  async report({ flush, documentsChangedMs }: Report): Promise<EdgeSignal> {
    await this.#documents.refresh(documentsChangedMs);
    const nowMs = Date.now();
    const rules = this.#rulesAt(nowMs);
    const { isCounted, signal } = receive(this.#loop, flush, rules, nowMs);
    if (isCounted) this.#saveSoon();
    const due = dueAt(this.#loop, rules, nowMs);
    if (due.kind !== "wait" || due.waitMs !== null) await this.#wakeAt(nowMs);
    if ((flush.events[COUNTER_FAILURES_AT] ?? 0) > 0) this.#countersFailedMs = nowMs;
    return signal;
  }

  /**
   * Everything that is known of the fleet; what is told here has been written down. One of those who ask the origin may do
   * so, at most every `ASK_EVERY_MS`.
   */
  async view(asks: boolean): Promise<MeterView> {
    await this.#documents.refresh(0);
    this.#watch(Date.now());
    if (this.#saving !== null) this.#save();
    const nowMs = Date.now();
    const { tables, faults } = this.#documents.understood();
    const mayAsk = asks && Math.abs(nowMs - this.#askedMs) >= ASK_EVERY_MS;
    if (mayAsk) this.#askedMs = nowMs;
    return {
      ...viewOf(this.#loop, this.#rulesAt(nowMs), this.#documents.saidAt(nowMs), nowMs),
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
    await this.#documents.refresh(0);
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
    return { ...this.#documents.rulesAt(nowMs), publishMs: this.#config.publishMs };
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
