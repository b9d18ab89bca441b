/**
 * Makes the answer to a request out of what is kept, or out of what is being kept.
 */
import { type CacheEvent, cacheStatus } from "../policy/cache-status.ts";
import { isUnchanged, isUpdatable } from "../policy/validation.ts";
import type { Call } from "./identify.ts";
import type { Copy, Found } from "./store.ts";

/** What was known when the origin was asked. */
export interface Look {
  readonly found: Found;
  readonly isKnown: boolean;
  readonly isCollapsed: boolean;
}

/** An answer with all of its body. */
export interface Whole {
  readonly status: number;
  readonly fields: Headers;
  readonly body: ReadableStream<Uint8Array> | null;
  readonly length: string | null;
}

/** The origin's answer, of which nothing is kept; it says how it came about where the cache was asked at all. */
export function marked(response: Response, look: Look): Response {
  if (!look.isKnown || response.webSocket) return response;
  const answer = new Response(response.body, response);
  answer.headers.append("Cache-Status", cacheStatus(forwardedEvent(look, null, false), look.isCollapsed));
  return answer;
}

/** That the origin was asked. `status`: what it said, where that is not what the client gets. */
export function forwardedEvent({ found, isKnown }: Look, status: number | null, isStored: boolean): CacheEvent {
  const why = found.copy !== null ? "stale" : found.index !== null ? "vary-miss" : "uri-miss";
  return { kind: "forwarded", why: isKnown || isStored ? why : "bypass", status, isStored };
}

/** The fields of a kept answer after the origin confirmed it. */
export function updated(kept: Headers, notModified: Headers): Headers {
  const fields = new Headers(kept);
  fields.delete("age");
  for (const [name, value] of notModified) if (isUpdatable(name)) fields.set(name, value);
  return fields;
}

/** An answer for this request: without its body where the client has it, or asked for none. */
export function restored(
  call: Call,
  { status, fields, body, length }: Whole,
  event: CacheEvent,
  isCollapsed: boolean,
): Response {
  const headers = new Headers(fields);
  headers.append("Cache-Status", cacheStatus(event, isCollapsed));
  if (length === null) headers.delete("Content-Length");
  else headers.set("Content-Length", length);
  if (status === 200 && isUnchanged(call.request.headers, headers)) {
    for (const name of ["content-length", "content-encoding", "content-type"]) headers.delete(name);
    void body?.cancel();
    return new Response(null, { status: 304, headers });
  }
  if (call.request.method !== "HEAD") return new Response(body, { status, headers, encodeBody: "manual" });
  void body?.cancel();
  return new Response(null, { status, headers });
}

/** The range to give of a copy; null where the whole is to be given (RFC 9110 section 14.2, 13.1.5). */
export function rangeOf({ method, headers }: Request, { status, fields }: Copy): string | null {
  const range = headers.get("range");
  if (range === null || method !== "GET" || status !== 200) return null;
  if (isUnchanged(headers, fields)) return null;
  const condition = headers.get("if-range");
  const isSame =
    condition === fields.get("etag") ? !condition?.startsWith("W/") : condition === fields.get("last-modified");
  return condition === null || isSame ? range : null;
}
