/**
 * `PUT /_edge/request-rate`: whoever knows the origin's load publishes it, without a key to the whole of KV.
 *
 * The document is checked before it is written, stamped where it says no time, and replaces the last one. Isolates follow
 * within their refresh.
 */
import type { Context } from "hono";
import { RATE_KEY } from "../config/documents.ts";
import { DOCUMENT_BYTES_MAX } from "../config/json.ts";
import { readRate } from "../config/signals.ts";
import { textWithin } from "./body.ts";
import type { Desk } from "./desk.ts";
import { denied } from "./tokens.ts";

/** Handles the call. */
export async function publishRate(c: Context, desk: Desk): Promise<Response> {
  const { ports } = desk;
  const text = await textWithin(c.req.raw.body, DOCUMENT_BYTES_MAX);
  if (text === null) return denied(c, { reason: "too-large", bytesMax: DOCUMENT_BYTES_MAX }, desk);
  const signal = readRate("external", text);
  if ("unusable" in signal) return denied(c, { reason: "unprocessable", detail: signal.unusable }, desk);
  const { requestsPerMinute, capacity, publishedAtMs } = signal;
  const document = {
    requests_per_minute: requestsPerMinute,
    ...(capacity === null ? {} : { capacity }),
    published_at: new Date(publishedAtMs ?? ports.nowMs()).toISOString(),
  };
  try {
    await ports.documents.write(RATE_KEY, JSON.stringify(document));
  } catch (error) {
    ports.log("warn", "rate-not-published", { error: String(error) });
    return denied(c, { reason: "unavailable", what: "Workers KV" }, desk);
  }
  return c.json(document, 200, { "Cache-Control": "no-store" });
}
