/**
 * CounterShard: the accounts of many clients, and nothing that an eviction could make it forget.
 *
 * An object is dropped from memory after ten idle seconds and on every deploy, so memory is only a copy of its rows. One
 * call writes one row, however many clients it brings. An answer that lends units waits for that row; one that only
 * grants single units does not. So a crash of the machine, or the hand-over at a deploy, may forget single units that
 * were granted while their write was under way: some milliseconds' worth. An eviction forgets nothing. A refusal
 * changes nothing and writes nothing.
 *
 * A shard decides by the newest tables, pin and word of the sources it has seen: isolates learn of a change at different times, and one that
 * is late must not undo it. It also passes the meter's newest word on, so that an isolate which asks a counter hears of a
 * spike at once; that word is not kept across an eviction.
 *
 * Bounds: accounts in memory (a further client gets no answer, and the isolate's failure policy applies); one alarm
 * sweeps what has expired until the storage is empty.
 */
import { DurableObject } from "cloudflare:workers";
import { openAccount, serve } from "../policy/account.ts";
import type { Limits } from "../policy/limits.ts";
import { type EdgeSignal, laterOf } from "../policy/publication.ts";
import { TIERS, type Tier } from "../policy/tier.ts";
import type { Batch, BatchAnswer } from "../ports.ts";
import { type Journal, openJournal } from "./journal.ts";

/** About 1 KB each with a busy window, 300 bytes with a single request: within a third of an object's 128 MB. */
const ACCOUNTS_MAX = 65_536;
/** Between two sweeps, at least: each is a billed call and a row. */
const SWEEP_EVERY_MS = 60_000;
/** Between two sweeps of a full shard. */
const MAKE_ROOM_EVERY_MS = 1_000;
/** Profiles remembered, twice over what tables may have, so that a renamed one is soon forgotten. */
const PROFILES_MAX = 128;
const RULES = "rules";

/** The newest a shard has seen. */
interface Rules {
  sources: Tier;
  sourcesAsOfMs: number;
  pinned: Tier | null;
  pinAsOfMs: number;
  readonly tables: Map<string, Tables>;
}

interface Tables {
  readonly limits: Limits;
  readonly windowMs: number;
  asOfMs: number;
}

/** One shard of the counters. */
export class CounterShard extends DurableObject {
  #journal: Journal;
  #rules: Rules;
  #word: EdgeSignal | null = null;
  #hasAlarm: boolean | null = null;
  #roomMadeMs = 0;

  constructor(ctx: DurableObjectState, env: never) {
    super(ctx, env);
    this.#journal = openJournal(ctx.storage, Date.now());
    this.#rules = ctx.storage.kv.get<Rules>(RULES) ?? noRules();
  }

  /** Answers everything one isolate asks, in order. */
  async takeMany(batch: Batch): Promise<BatchAnswer> {
    const nowMs = Date.now();
    let rowsWritten = this.#learn(batch, nowMs);
    const changed: string[] = [];
    const tier = this.#rules.pinned ?? this.#rules.sources;
    const answers = batch.asks.map((asked) => {
      const { profile, client, ask } = asked;
      const key = `${profile} ${client}`;
      const known = this.#journal.get(key);
      if (known === undefined && !this.#hasRoom(nowMs)) return null;
      const { limits, windowMs } = this.#rules.tables.get(profile) ?? asked;
      const inForce = { limit: limits[tier], windowMs };
      const served = serve(known ?? openAccount(windowMs, nowMs), batch.isolate, ask, inForce, nowMs);
      if (served.changed || known !== undefined) this.#journal.set(key, served.account);
      if (served.changed) changed.push(key);
      return served.answer;
    });
    if (changed.length > 0) {
      const isLent = answers.some((answer) => answer !== null && answer.lent > 0);
      const written = this.#journal.write(changed, !isLent);
      rowsWritten += 1 + (await this.#wakeLater(nowMs));
      if (isLent) await written;
      else this.ctx.waitUntil(written);
    }
    return { answers, tier, word: this.#newsFor(batch), rowsWritten };
  }

  /** Drops what has expired; sets the next alarm while anything is left. */
  override async alarm(): Promise<void> {
    const nowMs = Date.now();
    const nextMs = this.#journal.sweep(nowMs);
    if (nextMs !== null) {
      await this.ctx.storage.setAlarm(Math.max(nextMs, nowMs + SWEEP_EVERY_MS));
      return;
    }
    this.#hasAlarm = false;
    this.#rules = noRules();
    await this.ctx.storage.deleteAll();
    this.#journal = openJournal(this.ctx.storage, nowMs);
  }

  /** Keeps the newest tables, sources and pin; writes only what has really changed. @returns rows written. */
  #learn({ asks, word, ...beliefs }: Batch, nowMs: number): number {
    const rules = this.#rules;
    this.#word = laterOf(this.#word, word, nowMs);
    let isChanged = false;
    // A stamp from a clock that runs ahead must not outlive this moment.
    const sourcesAsOfMs = Math.min(beliefs.sourcesAsOfMs, nowMs);
    if (sourcesAsOfMs >= rules.sourcesAsOfMs) {
      isChanged = beliefs.sources !== rules.sources;
      rules.sources = beliefs.sources;
      rules.sourcesAsOfMs = sourcesAsOfMs;
    }
    const pinAsOfMs = Math.min(beliefs.pinAsOfMs, nowMs);
    if (pinAsOfMs >= rules.pinAsOfMs) {
      isChanged ||= beliefs.pinned !== rules.pinned;
      rules.pinned = beliefs.pinned;
      rules.pinAsOfMs = pinAsOfMs;
    }
    const asOfMs = Math.min(beliefs.tablesAsOfMs, nowMs);
    for (const { profile, limits, windowMs } of asks) {
      const known = rules.tables.get(profile);
      if (known !== undefined && known.asOfMs > asOfMs) continue;
      if (known !== undefined && isSame(known, limits, windowMs)) known.asOfMs = asOfMs;
      else {
        if (known === undefined && rules.tables.size >= PROFILES_MAX) rules.tables.clear();
        rules.tables.set(profile, { limits, windowMs, asOfMs });
        isChanged = true;
      }
    }
    if (!isChanged) return 0;
    this.ctx.storage.kv.put(RULES, rules);
    return 1;
  }

  /** The word, where the asker's is older. */
  #newsFor({ wordAtMs }: Batch): EdgeSignal | null {
    return (this.#word?.publishedAtMs ?? 0) > wordAtMs ? this.#word : null;
  }

  #hasRoom(nowMs: number): boolean {
    if (this.#journal.size() < ACCOUNTS_MAX) return true;
    if (nowMs < this.#roomMadeMs + MAKE_ROOM_EVERY_MS) return false;
    this.#roomMadeMs = nowMs;
    this.#journal.sweep(nowMs);
    return this.#journal.size() < ACCOUNTS_MAX;
  }

  /** @returns rows written. */
  async #wakeLater(nowMs: number): Promise<number> {
    this.#hasAlarm ??= (await this.ctx.storage.getAlarm()) !== null;
    if (this.#hasAlarm) return 0;
    this.#hasAlarm = true;
    await this.ctx.storage.setAlarm(nowMs + SWEEP_EVERY_MS, { allowUnconfirmed: true });
    return 1;
  }
}

function noRules(): Rules {
  const never = Number.NEGATIVE_INFINITY;
  return { sources: "low", sourcesAsOfMs: never, pinned: null, pinAsOfMs: never, tables: new Map() };
}

function isSame(known: Tables, limits: Limits, windowMs: number): boolean {
  return known.windowMs === windowMs && TIERS.every((tier) => known.limits[tier] === limits[tier]);
}
