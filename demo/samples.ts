/**
 * Answers that are hard on a gateway: a large download, a redirect with two cookies, a compressed body, a cacheable one.
 */
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { Hono } from "hono";
import type { OriginEnv } from "./request.ts";

/** One gigabyte: more than anybody holds by mistake. */
const DOWNLOAD_BYTES_MAX = 1024 ** 3;
const CHUNK = Buffer.alloc(64 * 1024, "0123456789abcdef");

const GZIPPED = gzipSync(JSON.stringify({ text: "compressed by the origin ".repeat(40) }));
const GZIP_ETAG = `"${createHash("sha256").update(GZIPPED).digest("hex").slice(0, 16)}"`;

/** A field value that cannot break out of its header line. */
const CACHE_CONTROL = /^[\x20-\x7e]{1,200}$/;

/** The routes under `/demo`. */
export function createSamples(): Hono<OriginEnv> {
  const samples = new Hono<OriginEnv>();
  let cacheAnswers = 0;

  samples.get("/bytes/:n", (c) => {
    const n = c.req.param("n");
    if (!/^\d{1,10}$/.test(n) || Number(n) > DOWNLOAD_BYTES_MAX) {
      return c.json({ error: `n: expected a whole number 0..${DOWNLOAD_BYTES_MAX}, got ${n.slice(0, 40)}` }, 400);
    }
    return c.body(bytesOf(Number(n)), 200, {
      "Content-Type": "application/octet-stream",
      "Content-Length": String(Number(n)),
    });
  });

  samples.get("/redirect", (c) => {
    c.header("Set-Cookie", "session=demo; Path=/; HttpOnly", { append: true });
    c.header("Set-Cookie", "theme=dark; Path=/; Max-Age=60", { append: true });
    return c.redirect("/demo/landed?from=redirect", 302);
  });

  samples.get("/gzip", (c) => {
    const headers = { ETag: GZIP_ETAG, Vary: "Accept-Encoding" };
    if (c.req.header("if-none-match") === GZIP_ETAG) return c.body(null, 304, headers);
    return c.body(GZIPPED, 200, { ...headers, "Content-Type": "application/json", "Content-Encoding": "gzip" });
  });

  samples.get("/cache", (c) => {
    const cacheControl = c.req.query("cc") ?? "no-store";
    if (!CACHE_CONTROL.test(cacheControl)) {
      return c.json({ error: "cc: expected 1 to 200 printable ASCII characters" }, 400);
    }
    cacheAnswers += 1;
    return c.json({ count: cacheAnswers }, 200, { "Cache-Control": cacheControl });
  });
  return samples;
}

/** `total` bytes of a fixed pattern, made a chunk at a time as they are taken. */
function bytesOf(total: number): ReadableStream<Uint8Array> {
  let left = total;
  return new ReadableStream({
    pull(controller) {
      const next = CHUNK.subarray(0, Math.min(left, CHUNK.byteLength));
      left -= next.byteLength;
      if (next.byteLength > 0) controller.enqueue(next);
      if (left === 0) controller.close();
    },
  });
}
