/**
 * What this isolate knows of URLs: whose answers the origin marked cacheable, and whose it did not.
 *
 * Two bounded memories, so that a flood of URLs that are not cacheable pushes out none that is. A URL whose answers turn
 * out eight times in a row not to be cacheable after all is one of the others from then on.
 */
import { mayServe, type Unkept } from "../policy/freshness.ts";
import { isForOrigin } from "../policy/validation.ts";
import { createBoundedMap } from "./bounded-map.ts";

/** What is known of a URL whose answers were marked cacheable. */
export interface Note {
  /** Also for requests with credentials. */
  isShared: boolean;
  names: readonly string[];
  /** Answers in a row that were not cacheable after all. */
  strikes: number;
}

/** URLs remembered at least, of either kind; a URL is at most `URL_LENGTH_MAX` long, so 8 MiB at worst. */
const URLS = 2_048;
const URL_LENGTH_MAX = 1_024;
const STRIKES_MAX = 8;
/** Answers to a client's own conditions. */
const PARTIAL_STATUSES: ReadonlySet<number> = new Set([206, 304, 412, 416]);
/** The request's own affair: they say nothing of the URL. */
const OF_THE_REQUEST: ReadonlySet<Unkept> = new Set<Unkept>(["method", "request-no-store", "unkeyed", "credentials"]);
/** Fields with which a request for an unknown URL is taken for personal, or for one that has its own answer. */
const UNSHARED_UNKNOWN = ["authorization", "cookie", "upgrade", "if-none-match", "if-modified-since"];

/** Whether a URL is too long to be remembered, or to keep an answer under. */
export function isTooLong(url: string): boolean {
  return url.length > URL_LENGTH_MAX;
}

/** The memory of one isolate. */
export interface KnownUrls {
  /** What is known of a URL that is cacheable; undefined of any other. */
  readonly noteOf: (url: string) => Note | undefined;
  /** Whether a URL was seen not to be cacheable, or is too long to be. */
  readonly isPlain: (url: string) => boolean;
  readonly learnCacheable: (url: string, isShared: boolean, names: readonly string[]) => Note;
  readonly learnPlain: (url: string) => void;
  /** Hears why an answer with this status was not kept. */
  readonly learnUnkept: (url: string, why: Unkept, status: number) => void;
  /** Whether the answer to this request may be everybody's. */
  readonly mayShare: (request: Request, note: Note | undefined) => boolean;
}

/** A memory of nothing. */
export function createKnownUrls(): KnownUrls {
  const notes = createBoundedMap<Note>(URLS);
  const plain = createBoundedMap<true>(URLS);

  const isPlain = (url: string) => isTooLong(url) || plain.get(url) !== undefined;

  function learnPlain(url: string): void {
    if (!isPlain(url)) plain.set(url, true);
  }

  return {
    noteOf(url) {
      const note = notes.get(url);
      return note === undefined || note.strikes >= STRIKES_MAX ? undefined : note;
    },

    isPlain,

    learnCacheable(url, isShared, names) {
      const note = notes.get(url) ?? { isShared, names, strikes: 0 };
      note.isShared = isShared;
      note.strikes = 0;
      notes.set(url, note);
      return note;
    },

    learnPlain,

    learnUnkept(url, why, status) {
      if (OF_THE_REQUEST.has(why) || PARTIAL_STATUSES.has(status)) return;
      const note = notes.get(url);
      if (note === undefined || note.strikes >= STRIKES_MAX) learnPlain(url);
      else note.strikes += 1;
    },

    mayShare(request, note) {
      const { headers, method, url } = request;
      if (method !== "GET" || (note === undefined && isPlain(url))) return false;
      if (request.body !== null || headers.has("range") || isForOrigin(headers)) return false;
      if (note !== undefined) return mayServe(headers, note.isShared, note.names);
      return !UNSHARED_UNKNOWN.some((name) => headers.has(name));
    },
  };
}

/** What requests for one thing have in common: the URL, and what its answers are known to differ by. */
export function flightKey(url: string, note: Note | undefined, headers: Headers): string {
  if (note === undefined || note.names.length === 0) return url;
  return `${url} ${JSON.stringify(note.names.map((name) => headers.get(name)))}`;
}
