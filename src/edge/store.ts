/**
 * Keeps answers in the platform's cache of this data center, and finds them again.
 *
 * The platform's cache knows neither `Vary` nor a stale directive, drops what its own `Cache-Control` says is over, and
 * has one life for each entry. So an entry has a key of ours, a life as long as it can be of use, and one field of ours
 * with everything the origin said and when it came.
 *
 * The key is the URL as written. Where answers to it differ (`Vary`), an index stands there: the names they differ by
 * and a generation; the answer itself lies under URL, generation and a hash of the values. Removing the index removes
 * them all. The price is a second look-up for what varies. Names only ever join an index while it stands: an origin that
 * says `Vary` on some answers and not on others splits finer, and mixes nothing up.
 *
 * A body is read to its end before it is put, so that half of one is never kept, and its length is known. That holds it
 * in memory meanwhile: up to 4 MiB, 32 MiB in all; what is over that is not kept.
 *
 * A cache that fails or does not answer within 250 ms holds nothing, and is left alone for 5 s.
 */

import { within } from "../deadline.ts";
import { type Fields, type Kept, namesIn } from "../policy/freshness.ts";
import type { Ports } from "../ports.ts";

/** An answer as it is kept. Its body is read or cancelled by whoever found it. */
export interface Copy {
  readonly kept: Kept;
  readonly status: number;
  /** The origin's own fields. */
  readonly fields: Headers;
  readonly body: ReadableStream<Uint8Array> | null;
  /** `Content-Length` of the body, where it is known. */
  readonly length: string | null;
  readonly key: string;
}

/** What distinguishes the answers to one URL. */
export interface Index {
  readonly names: readonly string[];
  readonly generation: string;
}

/** What a look-up found. */
export interface Found {
  readonly copy: Copy | null;
  /** null where answers to the URL do not differ, or none is known. */
  readonly index: Index | null;
}

/** The store. Nothing in it rejects. */
export interface Store {
  readonly find: (url: string, asked: Fields) => Promise<Found>;
  /** The bytes of a range of what is kept; null where the whole has to do. */
  readonly part: (key: string, range: string) => Promise<Response | null>;
  /** Keeps an answer; the request fields that it was kept under, or null where it was not. */
  readonly keep: (
    url: string,
    asked: Fields,
    answer: Keepable,
    index: Index | null,
  ) => Promise<readonly string[] | null>;
  readonly drop: (url: string) => Promise<void>;
}

/** An answer to keep. */
export interface Keepable {
  readonly kept: Kept;
  readonly status: number;
  readonly fields: Headers;
  readonly body: ReadableStream<Uint8Array> | null;
}

type Entry =
  | { readonly kind: "copy"; readonly kept: Kept; readonly fields: readonly (readonly [string, string])[] }
  | ({ readonly kind: "index" } & Index);

const ENTRY_FIELD = "x-levqor-edge-entry";
const ANSWER_MS = 250;
const PAUSE_MS = 5_000;
/** An index outlives what it points to, and is put anew with each answer. */
const INDEX_SECONDS = 86_400;
/** A larger body is not kept. */
const BODY_BYTES_MAX = 4 * 1024 * 1024;
/** What is being kept at one time, all bodies together; an isolate has 128 MiB. */
const HELD_BYTES_MAX = 32 * 1024 * 1024;
/** Fields of a connection, of one client, or of one answer. */
const UNKEPT =
  /^(?:age|cf-cache-status|cf-ray|connection|content-length|keep-alive|proxy-.*|ratelimit(?:-policy)?|set-cookie|te|trailer|transfer-encoding|upgrade|x-ratelimit-(?:limit|remaining|reset)|x-request-id)$/;

/** A store in `ports.cache`. */
export function createStore({ cache, nowMs, newId, log }: Ports): Store {
  let pausedUntilMs = Number.NEGATIVE_INFINITY;

  const isPaused = () => nowMs() < pausedUntilMs && pausedUntilMs - nowMs() <= PAUSE_MS;

  /** What `work` gives in time; undefined where it does not, or fails. */
  async function guarded<T>(name: string, work: () => Promise<T>): Promise<T | undefined> {
    if (isPaused()) return undefined;
    const outcome: { value?: T; error: string | null } = { error: "no answer" };
    const settled = (async () => work())().then(
      (value) => {
        outcome.value = value;
        outcome.error = null;
      },
      (error: unknown) => {
        outcome.error = String(error);
      },
    );
    await within(settled, ANSWER_MS);
    if (outcome.error === null) return outcome.value;
    pausedUntilMs = nowMs() + PAUSE_MS;
    log("warn", "cache-unavailable", { call: name, error: outcome.error });
    return undefined;
  }

  const match = (key: string, range?: string) => guarded("match", () => cache.match(key, range));

  async function copyAt(key: string): Promise<Copy | Index | null> {
    const response = await match(key);
    if (response === undefined) return null;
    const entry = entryOf(response.headers);
    if (entry?.kind === "copy") {
      const { status, body, headers } = response;
      const fields = new Headers(entry.fields.map(([name, value]): [string, string] => [name, value]));
      return { kept: entry.kept, status, fields, body, length: headers.get("content-length"), key };
    }
    await response.body?.cancel();
    return entry;
  }

  let heldBytes = 0;

  /** The whole of a body. Rejects where that is too much, or not what the fields say. */
  async function wholeOf(body: ReadableStream<Uint8Array> | null, fields: Fields): Promise<Blob | null> {
    if (body === null) return null;
    const length = fields.get("content-length");
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    try {
      if (isPaused()) throw new Error("cache: it failed a moment ago");
      if (Number(length ?? 0) > BODY_BYTES_MAX) throw new RangeError(tooLarge(Number(length)));
      for await (const chunk of body) {
        bytes += chunk.byteLength;
        heldBytes += chunk.byteLength;
        if (bytes > BODY_BYTES_MAX || heldBytes > HELD_BYTES_MAX) throw new RangeError(tooLarge(bytes));
        chunks.push(chunk);
      }
    } catch (error) {
      if (!body.locked) await body.cancel();
      throw error;
    } finally {
      heldBytes -= bytes;
    }
    if (length !== null && bytes !== Number(length))
      throw new RangeError(`body: expected ${length} bytes, got ${bytes}`);
    return new Blob(chunks);
  }

  return {
    async find(url, asked) {
      const first = await copyAt(keyOf(url));
      if (first === null) return { copy: null, index: null };
      if ("kept" in first) {
        if (!isOtherOrigin(first, asked)) return { copy: first, index: null };
        await first.body?.cancel();
        return { copy: null, index: { names: ["origin"], generation: newId() } };
      }
      const second = await copyAt(await variantKey(url, first, asked));
      if (second === null || !("kept" in second)) return { copy: null, index: first };
      if (first.names.includes("origin") || !isOtherOrigin(second, asked)) return { copy: second, index: first };
      await second.body?.cancel();
      return { copy: null, index: { names: ["origin", ...first.names], generation: first.generation } };
    },

    async part(key, range) {
      const response = await match(key, range);
      if (response?.status === 206) return response;
      await response?.body?.cancel();
      return null;
    },

    async keep(url, asked, { kept, status, fields, body }, index) {
      const names = [...new Set([...kept.varies, ...(index?.names ?? []), ...originOf(fields, asked)])].sort();
      const skipped = namesIn(fields.get("connection"));
      const held = [...fields].filter(([name]) => !UNKEPT.test(name) && !skipped.includes(name));
      const entry: Entry = { kind: "copy", kept, fields: held };
      try {
        const whole = await wholeOf(body, fields);
        const response = responseOf(entry, Math.ceil(kept.keepMs / 1000), status, whole);
        if (names.length === 0) {
          await cache.put(keyOf(url), response);
          return names;
        }
        const standing: Index = { names, generation: index?.generation ?? newId() };
        await cache.put(await variantKey(url, standing, asked), response);
        const pointer = responseOf({ kind: "index", ...standing }, INDEX_SECONDS, 200, null);
        await cache.put(keyOf(url), pointer);
        return names;
      } catch (error) {
        // A body that broke off or is too large, or a cache that does not take it: there is nothing to find.
        log("info", "answer-not-kept", { path: new URL(url).pathname, error: String(error) });
        return null;
      }
    },

    async drop(url) {
      await guarded("delete", () => cache.delete(keyOf(url)));
    },
  };
}

function tooLarge(bytes: number): string {
  return `body: expected at most ${BODY_BYTES_MAX} bytes, and ${HELD_BYTES_MAX} at a time, got ${bytes}`;
}

/** Cross-origin answers may name the one origin that asked, and not every server says `Vary: Origin` with them. */
function isOtherOrigin({ fields }: Copy, asked: Fields): boolean {
  return asked.get("origin") !== null && fields.get("access-control-allow-origin") !== "*";
}

function originOf(fields: Fields, asked: Fields): readonly string[] {
  const allowed = fields.get("access-control-allow-origin");
  const isPublic = allowed === "*" || (allowed === null && asked.get("origin") === null);
  return isPublic ? [] : ["origin"];
}

function keyOf(url: string): string {
  return `https://levqor-edge.invalid/1/${encodeURIComponent(url)}`;
}

/** Values are hashed: they may be cookies, and a key is shown to whoever runs the cache. */
async function variantKey(url: string, { names, generation }: Index, asked: Fields): Promise<string> {
  const values = JSON.stringify(names.map((name) => [name, asked.get(name)?.trim() ?? null]));
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(values));
  const hash = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${keyOf(url)}/${generation}/${hash}`;
}

/** `Content-Encoding` and all else is in the entry: to the platform a body is octets, which it neither packs nor unpacks. */
function responseOf(entry: Entry, seconds: number, status: number, body: Blob | null): Response {
  const headers = { "Cache-Control": `public, max-age=${seconds}`, [ENTRY_FIELD]: ascii(entry) };
  return new Response(body, { status, headers });
}

/** JSON as a field may carry it. */
function ascii(entry: Entry): string {
  return JSON.stringify(entry).replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** null for an entry that is not ours. */
function entryOf(headers: Headers): Entry | null {
  try {
    return JSON.parse(headers.get(ENTRY_FIELD) ?? "null");
  } catch {
    return null;
  }
}
