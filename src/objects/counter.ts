/**
 * CounterShard: the windows of many clients, kept in the object's own storage.
 *
 * Memory is only a cache of it: an object is dropped from memory after ten idle seconds and on every deploy. A grant
 * waits for its write (the platform holds an answer back until what was written before it is safe), so that neither
 * loses a unit. A refusal changes nothing and writes nothing.
 *
 * A shard decides by the newest tables and tier it has ever seen: isolates learn of a change at different times, and
 * the one that is late must not undo it. One alarm sweeps what has expired until nothing is left.
 */
import { DurableObject } from "cloudflare:workers";
import { emptyAtMs, emptyWindow, growsAfterMs, resize, take, usedOf, type Window } from "../policy/window.ts";
import type { Stamps, Take, Verdict } from "../ports.ts";

type Newest = Pick<Take, "limits" | "windowMs"> & Pick<Stamps, "tablesAsOfMs">;

/** Windows kept in memory; the rest is read again when it is needed. About 1 KB each at most. */
const CACHED_MAX = 20_000;
const SWEEP_MIN_MS = 1_000;
const LIST_PAGE = 500;
const WINDOW = "window:";
const TABLES = "tables:";
const TIER = "tier";

export class CounterShard extends DurableObject {
  #windows = new Map<string, Window>();

  /** One take, decided by the newest rules this shard has seen. */
  async take({ client, profile, limits, windowMs, cost, rules }: Take): Promise<Verdict> {
    const nowMs = Date.now();
    const newest = this.#newestTables(profile, { limits, windowMs, tablesAsOfMs: Math.min(rules.tablesAsOfMs, nowMs) });
    const tier = this.#newestTier({ tier: rules.tier, tierAsOfMs: Math.min(rules.tierAsOfMs, nowMs) });
    const key = `${WINDOW}${profile} ${client.key}`;
    const limit = newest.limits[tier];
    const before = resize(this.#load(key) ?? emptyWindow(newest.windowMs, nowMs), newest.windowMs);
    const taken = take(before, limit, cost, nowMs);
    if (taken.granted) await this.#keep(key, taken.window);
    return {
      granted: taken.granted,
      tier,
      limit,
      windowMs: newest.windowMs,
      remaining: taken.remaining,
      growsAfterMs: growsAfterMs(taken.window, limit),
      retryAfterMs: taken.retryAfterMs,
      reduced: !taken.granted && limit < newest.limits.low && usedOf(taken.window) <= newest.limits.low,
    };
  }

  /** Drops what has expired; sets the next alarm while anything is left. */
  override async alarm(): Promise<void> {
    const nowMs = Date.now();
    let nextMs = Number.POSITIVE_INFINITY;
    let startAfter = WINDOW;
    for (;;) {
      const page = [...this.ctx.storage.kv.list<Window>({ prefix: WINDOW, startAfter, limit: LIST_PAGE })];
      for (const [key, window] of page) {
        const endsMs = emptyAtMs(window);
        startAfter = key;
        if (endsMs > nowMs) nextMs = Math.min(nextMs, endsMs);
        else this.#drop(key);
      }
      if (page.length < LIST_PAGE) break;
    }
    if (nextMs < Number.POSITIVE_INFINITY) await this.ctx.storage.setAlarm(Math.max(nextMs, nowMs + SWEEP_MIN_MS));
    else await this.ctx.storage.deleteAll();
  }

  #newestTables(profile: string, asked: Newest): Newest {
    const known = this.ctx.storage.kv.get<Newest>(TABLES + profile);
    if (known !== undefined && known.tablesAsOfMs > asked.tablesAsOfMs) return known;
    if (JSON.stringify(known) !== JSON.stringify(asked)) this.ctx.storage.kv.put(TABLES + profile, asked);
    return asked;
  }

  #newestTier(asked: Pick<Stamps, "tier" | "tierAsOfMs">): Stamps["tier"] {
    const known = this.ctx.storage.kv.get<typeof asked>(TIER);
    if (known !== undefined && known.tierAsOfMs > asked.tierAsOfMs) return known.tier;
    if (known?.tier !== asked.tier || known.tierAsOfMs !== asked.tierAsOfMs) this.ctx.storage.kv.put(TIER, asked);
    return asked.tier;
  }

  #load(key: string): Window | undefined {
    return this.#windows.get(key) ?? this.ctx.storage.kv.get<Window>(key);
  }

  async #keep(key: string, window: Window): Promise<void> {
    if (this.#windows.size >= CACHED_MAX) this.#windows.clear();
    this.#windows.set(key, window);
    this.ctx.storage.kv.put(key, window);
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(emptyAtMs(window));
  }

  #drop(key: string): void {
    this.#windows.delete(key);
    this.ctx.storage.kv.delete(key);
  }
}
