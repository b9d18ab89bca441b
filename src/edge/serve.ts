/**
 * Answers from the edge cache what the origin allows, and asks the origin once for what many want at the same time.
 *
 * A look-up costs half of what proxying costs. So it is only made for URLs whose answers the origin marked cacheable
 * before (a bounded memory of this isolate), and where the origin is of no use: then a copy that may be stale is better
 * than nothing. Everything else pays for two look-ups in a map and two fields of the response.
 *
 * Concurrent requests for one thing follow the first. That holds for a URL seen for the first time too, where the
 * requests carry nothing personal; once its answer turned out not to be cacheable, nobody waits for it again. A call
 * that others wait for does not end with the client who began it. Who waited 10 s in vain asks for itself. If the
 * origin gives no answer, that is everybody's answer; if it answers that it fails, each of the first three asks anew,
 * and then everybody does.
 *
 * The price: each isolate learns for itself what is cacheable; what varies costs two look-ups; a HEAD fills nothing.
 */
import type { Config } from "../config/vars.ts";
import type { CacheEvent } from "../policy/cache-status.ts";
import type { Denial } from "../policy/denial.ts";
import { ageMsOf, isMarked, keepingOf, leftMsOf, mayServe, mayStandIn, reuseOf } from "../policy/freshness.ts";
import { confirms, isForOrigin, validatorsOf } from "../policy/validation.ts";
import type { Ports, WaitUntil } from "../ports.ts";
import { createFlights, type Landing } from "./flights.ts";
import type { Errand, Forwarded } from "./forward.ts";
import type { Call } from "./identify.ts";
import { createInvalidation } from "./invalidation.ts";
import { createKnownUrls, flightKey, isTooLong, type Note } from "./known-urls.ts";
import { forwardedEvent, type Look, marked, rangeOf, restored, updated } from "./restore.ts";
import { type Copy, createStore, type Found } from "./store.ts";

/** What a request is answered with. */
export type Served =
  | { readonly response: Response; readonly isCached: boolean }
  | { readonly denial: Denial }
  | { readonly gone: true };

/** Calls the origin for the request at hand. Never rejects. */
export type Send = (errand: Errand) => Promise<Forwarded>;

/** The request at hand, and what may be done for it. */
export interface Visit {
  readonly call: Call;
  readonly send: Send;
  /** Whether the origin may be asked for more than this request needs. */
  readonly mayRefresh: boolean;
  readonly waitUntil: WaitUntil;
}

/** The edge cache of one isolate. */
export interface Serving {
  readonly serve: (visit: Visit) => Promise<Served>;
  /** What may be given where the origin must not be asked; null where there is nothing. */
  readonly standIn: (call: Call) => Promise<Response | null>;
}

const ROUNDS_MAX = 3;
const FOLLOW_MS = 10_000;
/** For a URL seen for the first time: its answer may be a stream that nobody else may read. */
const FOLLOW_UNKNOWN_MS = 5_000;
/** RFC 5861 section 4. */
const ERROR_STATUSES: ReadonlySet<number> = new Set([500, 502, 503, 504]);
const AS_IS: Errand = { isShared: false, validators: null };
const NOTHING: Found = { copy: null, index: null };
const UNKNOWN: Look = { found: NOTHING, isKnown: false, isCollapsed: false };

/** A cache that has seen nothing. */
export function createServing({ originTimeoutMs }: Config, ports: Ports): Serving {
  const store = createStore(ports);
  const flights = createFlights();
  const urls = createKnownUrls();
  const invalidation = createInvalidation(store, ports);
  const followMs = Math.min(originTimeoutMs, FOLLOW_MS);

  function serve(visit: Visit): Promise<Served> {
    const { method, url } = visit.call.request;
    if (method !== "GET" && method !== "HEAD") return change(visit);
    const note = urls.noteOf(url);
    return note === undefined && (method === "HEAD" || urls.isPlain(url)) ? pass(visit) : read(visit, note);
  }

  /** For a URL whose answers are not cacheable, as far as is known. */
  async function pass(visit: Visit): Promise<Served> {
    const forwarded = await sendAsIs(visit);
    const { arrivedMs, request } = visit.call;
    if (!("response" in forwarded) || !isMarked(forwarded.response.headers)) return served(forwarded);
    if (request.method === "HEAD" || isTooLong(request.url)) return served(forwarded);
    return settle(visit, await takeIn(visit, UNKNOWN, null, forwarded, arrivedMs));
  }

  async function read(visit: Visit, noted: Note | undefined): Promise<Served> {
    const { request } = visit.call;
    const { headers, url } = request;
    let note = noted;
    for (let round = 0; ; round += 1) {
      const isOpen = note !== undefined && mayServe(headers, note.isShared, note.names) && !isForOrigin(headers);
      const found = isOpen ? await store.find(url, headers) : NOTHING;
      const hit = await hitOf(visit, found, round > 0);
      if (hit !== null) return { response: hit, isCached: true };
      const look = { found, isKnown: note !== undefined, isCollapsed: round > 0 };
      if (round === ROUNDS_MAX || !urls.mayShare(request, note)) return alone(visit, look);
      const key = flightKey(url, note, headers);
      const flight = flights.get(key);
      if (flight === undefined) return lead(visit, look, key);
      await found.copy?.body?.cancel();
      const landing = await flight.landing(look.isKnown ? followMs : Math.min(followMs, FOLLOW_UNKNOWN_MS));
      const isRefused = landing !== null && typeof landing === "object";
      if (isRefused || landing === "failing") {
        const response = await standIn(visit.call, null);
        if (response !== null) return { response, isCached: true };
      }
      if (isRefused) return landing;
      if (landing === "unshared") return alone(visit, { ...look, found: NOTHING });
      note = urls.noteOf(url);
    }
  }

  /** An answer from what was found, if that may be given at once. */
  async function hitOf(visit: Visit, { copy, index }: Found, isCollapsed: boolean): Promise<Response | null> {
    if (copy === null) return null;
    const { call, mayRefresh } = visit;
    const nowMs = ports.nowMs();
    const reuse = reuseOf(copy.kept, call.request.headers, nowMs);
    if (reuse === "validate" || reuse === "never") return null;
    const stale = reuse === "fresh" ? null : reuse;
    if (stale !== null && mayRefresh) refresh(visit, { copy, index });
    return fromCopy(call, copy, { kind: "hit", leftMs: leftMsOf(copy.kept, nowMs), stale }, isCollapsed, nowMs);
  }

  /** Fetches anew behind the answer, unless somebody does already. */
  function refresh(visit: Visit, { index }: Found): void {
    const { call, waitUntil } = visit;
    const { url, headers, method } = call.request;
    const key = flightKey(url, urls.noteOf(url), headers);
    if (method !== "GET" || flights.get(key) !== undefined) return;
    const { land, landed } = flights.start(key);
    waitUntil(landed);
    const work = async () => {
      try {
        // The copy's own body is on its way to the client.
        const found = await store.find(url, headers);
        const look = { found: found.copy === null ? { copy: null, index } : found, isKnown: true, isCollapsed: false };
        const validators = found.copy === null ? [] : validatorsOf(found.copy.fields);
        const taken = await take(visit, look, validators);
        if ("response" in taken.served) await taken.served.response.body?.cancel();
        land(await taken.landing);
      } finally {
        land("lost");
      }
    };
    waitUntil(work());
  }

  /** Asks the origin on behalf of all who follow. */
  async function lead(visit: Visit, look: Look, key: string): Promise<Served> {
    const { land, landed } = flights.start(key);
    visit.waitUntil(landed);
    try {
      const validators = !look.isKnown ? null : look.found.copy === null ? [] : validatorsOf(look.found.copy.fields);
      const { served, landing } = await take(visit, look, validators);
      if (landing instanceof Promise) void landing.then(land);
      else land(landing);
      return served;
    } catch (error) {
      land("lost");
      throw error;
    }
  }

  /** Asks the origin as the client did, for this client alone. */
  async function alone(visit: Visit, look: Look): Promise<Served> {
    return settle(visit, await take(visit, look, null));
  }

  function settle({ waitUntil }: Visit, { served, landing }: Taken): Served {
    if (landing instanceof Promise) waitUntil(landing);
    return served;
  }

  /** One call to the origin, and what is kept of its answer. `validators`: asked in place of the client's conditions. */
  async function take(visit: Visit, look: Look, validators: Errand["validators"]): Promise<Taken> {
    const requestedMs = ports.nowMs();
    const forwarded = await visit.send({ isShared: validators !== null, validators });
    return takeIn(visit, look, validators, forwarded, requestedMs);
  }

  async function takeIn(
    visit: Visit,
    look: Look,
    validators: Errand["validators"],
    forwarded: Forwarded,
    requestedMs: number,
  ): Promise<Taken> {
    const { url, headers: asked, method } = visit.call.request;
    const { copy, index } = look.found;
    if ("gone" in forwarded) {
      await copy?.body?.cancel();
      return { served: forwarded, landing: "lost" };
    }
    const status = "response" in forwarded ? forwarded.response.status : null;
    if (status === null || ERROR_STATUSES.has(status)) {
      const stood = await standInFor(visit.call, copy, status, look.isCollapsed);
      const landing = "denial" in forwarded ? forwarded : ("failing" as const);
      if (stood === null) return { served: unkept(forwarded, look), landing };
      if ("response" in forwarded) await forwarded.response.body?.cancel();
      return { served: { response: stood, isCached: true }, landing };
    }
    if ("denial" in forwarded) return { served: forwarded, landing: forwarded };

    const { response } = forwarded;
    const isConfirmed = status === 304 && validators !== null && copy !== null;
    if (isConfirmed && !confirms(response.headers, copy.fields)) {
      await copy.body?.cancel();
      return take(visit, { ...look, found: { copy: null, index } }, []);
    }
    if (copy !== null && !isConfirmed) await copy.body?.cancel();
    const fields = isConfirmed ? updated(copy.fields, response.headers) : response.headers;
    const whole = { status: isConfirmed ? copy.status : status, fields, body: isConfirmed ? copy.body : response.body };
    const receivedMs = ports.nowMs();
    const kept = keepingOf(method, asked, { status: whole.status, fields, requestedMs, receivedMs });
    const isOutdated = typeof kept !== "string" && invalidation.happenedSince(url, requestedMs);
    if (typeof kept === "string" || isOutdated) {
      if (typeof kept === "string" && method === "GET") urls.learnUnkept(url, kept, status);
      if (copy !== null && validators !== null) visit.waitUntil(store.drop(url));
      const event = forwardedEvent(look, isConfirmed ? 304 : null, false);
      const answer = isConfirmed
        ? restored(visit.call, { ...whole, length: copy.length }, event, look.isCollapsed)
        : null;
      return {
        served: answer === null ? unkept(forwarded, look) : { response: answer, isCached: false },
        landing: "unshared",
      };
    }
    const [forClient, forStore] = whole.body === null ? [null, null] : whole.body.tee();
    const note = urls.learnCacheable(url, kept.isShared, kept.varies);
    const landing = store.keep(url, asked, { ...whole, kept, body: forStore }, index).then((names): Landing => {
      if (names === null) return "unshared";
      note.names = names;
      invalidation.noteStored();
      return "stored";
    });
    const event = forwardedEvent(look, isConfirmed ? 304 : null, true);
    const length = isConfirmed ? copy.length : fields.get("content-length");
    const answer = restored(visit.call, { ...whole, body: forClient, length }, event, look.isCollapsed);
    return { served: { response: answer, isCached: false }, landing };
  }

  /** A copy to give in place of an answer that failed; an isolate that never saw the URL looks now. */
  async function standInFor(call: Call, copy: Copy | null, status: number | null, isCollapsed: boolean) {
    if (copy === null) return standIn(call, status);
    const nowMs = ports.nowMs();
    if (mayStandIn(copy.kept, nowMs)) {
      const event = { kind: "stood-in", leftMs: leftMsOf(copy.kept, nowMs), status } as const;
      return fromCopy(call, copy, event, isCollapsed, nowMs);
    }
    await copy.body?.cancel();
    return null;
  }

  async function standIn(call: Call, failedStatus?: number | null): Promise<Response | null> {
    const { method, url, headers } = call.request;
    const isRead = method === "GET" || method === "HEAD";
    if (!isRead || urls.isPlain(url) || isForOrigin(headers)) return null;
    const { copy } = await store.find(url, headers);
    if (copy === null) {
      if (failedStatus === undefined && urls.noteOf(url) === undefined) urls.learnPlain(url);
      return null;
    }
    const nowMs = ports.nowMs();
    if (!mayServe(headers, copy.kept.isShared, copy.kept.varies) || !mayStandIn(copy.kept, nowMs)) {
      await copy.body?.cancel();
      return null;
    }
    const leftMs = leftMsOf(copy.kept, nowMs);
    const isBehind = -leftMs < copy.kept.staleWhileRevalidateMs;
    const stale = leftMs > 0 ? null : isBehind ? "stale-while-revalidate" : "stale-if-error";
    const event: CacheEvent =
      failedStatus === undefined ? { kind: "hit", leftMs, stale } : { kind: "stood-in", leftMs, status: failedStatus };
    return fromCopy(call, copy, event, false, nowMs);
  }

  async function fromCopy(call: Call, copy: Copy, event: CacheEvent, isCollapsed: boolean, nowMs: number) {
    const { fields } = copy;
    fields.set("Age", String(Math.floor(ageMsOf(copy.kept, nowMs) / 1000)));
    const range = rangeOf(call.request, copy);
    const part = range === null ? null : await store.part(copy.key, range);
    if (part === null) return restored(call, copy, event, isCollapsed);
    await copy.body?.cancel();
    fields.set("Content-Range", part.headers.get("content-range") ?? "");
    const { status, body } = part;
    return restored(call, { status, fields, body, length: part.headers.get("content-length") }, event, isCollapsed);
  }

  /** An unsafe request goes on as it is, and what it changes is dropped before its client knows. */
  async function change(visit: Visit): Promise<Served> {
    const forwarded = await sendAsIs(visit);
    const { request } = visit.call;
    if ("response" in forwarded && invalidation.concerns(request, forwarded.response, urls.noteOf))
      await invalidation.after(request, forwarded.response, urls.noteOf);
    return served(forwarded);
  }

  return { serve, standIn: (call) => standIn(call) };
}

interface Taken {
  readonly served: Served;
  readonly landing: Landing | Promise<Landing>;
}

function sendAsIs({ send }: Visit): Promise<Forwarded> {
  return send(AS_IS);
}

function served(forwarded: Forwarded): Served {
  return "response" in forwarded ? { response: forwarded.response, isCached: false } : forwarded;
}

/** The origin's answer where nothing of it is kept. */
function unkept(forwarded: Exclude<Forwarded, { gone: true }>, look: Look): Served {
  return "response" in forwarded ? { response: marked(forwarded.response, look), isCached: false } : forwarded;
}
