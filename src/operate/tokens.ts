/**
 * Who may call an operator's path: a bearer token, compared in constant time.
 *
 * A path without any token set is not to be found. A right token always opens; after ten wrong ones a minute from one
 * client, fleet-wide, further wrong ones are not even told that they are wrong. Price: digests of both sides for every
 * call, so that neither length nor content of a token shows in the time it takes.
 */
import type { Context, MiddlewareHandler } from "hono";
import type { Tokens } from "../config/vars.ts";
import { refuse } from "../edge/answer.ts";
import { type Call, identify } from "../edge/identify.ts";
import { requestIdOf } from "../edge/observe.ts";
import type { Denial } from "../policy/denial.ts";
import { inEveryTier } from "../policy/limits.ts";
import type { Desk } from "./desk.ts";

/** Wrong tokens that a client may send a minute. */
const WRONG_MAX = 10;
const WINDOW_MS = 60_000;
/** Cannot be a profile's name, so that no profile shares the counters of wrong tokens. */
const WRONG_TOKENS = "~wrong-tokens";
const LIMITS = inEveryTier(WRONG_MAX);

/** Lets a request pass that carries one of `tokens`; those that are not set open nothing. */
export function requireToken(kinds: readonly (keyof Tokens)[], desk: Desk): MiddlewareHandler {
  const { config } = desk;
  const tokens = kinds.map((kind) => config.tokens[kind]).filter((token) => token !== null);

  async function isRight(given: string): Promise<boolean> {
    let right = false;
    // All of them, whichever is the right one.
    for (const token of tokens) if (await isSame(given, token)) right = true;
    return right;
  }

  return async function requireBearerToken(c, next) {
    if (tokens.length === 0) return denied(c, { reason: "not-found" }, desk);
    const given = /^bearer +([^ ]+) *$/i.exec(c.req.header("authorization") ?? "")?.[1] ?? null;
    if (given !== null && (await isRight(given))) return await next();
    const retryAfterMs = given === null ? null : await heldBackMs(c, desk);
    if (retryAfterMs !== null) return denied(c, { reason: "too-many-wrong-tokens", retryAfterMs }, desk);
    const response = denied(c, { reason: "unauthorized" }, desk);
    response.headers.set("WWW-Authenticate", "Bearer");
    return response;
  };
}

/** A problem as the answer to an operator's call. */
export function denied(c: Context, denial: Denial, { config, ports }: Desk): Response {
  const request = c.req.raw;
  const requestId = requestIdOf(request.headers, ports.newId);
  return refuse(denial, { request, requestId, path: c.req.path }, null, config.corsAllowOrigins, ports.nowMs());
}

/** Counts a wrong token; ms until another is looked at, null where this one still was. */
async function heldBackMs(c: Context, { ports, quotas, rulesAt }: Desk): Promise<number | null> {
  const nowMs = ports.nowMs();
  const waitUntil = (work: Promise<unknown>) => c.executionCtx.waitUntil(work);
  const rules = await rulesAt(nowMs, waitUntil);
  const { client, continent }: Call = identify(c.req.raw, "", rules, nowMs);
  const take = {
    client,
    profile: WRONG_TOKENS,
    limits: LIMITS,
    windowMs: WINDOW_MS,
    cost: 1,
    stamps: rules,
    continent,
  };
  const verdict = await quotas.take(take, nowMs, waitUntil);
  return verdict === null || verdict.granted ? null : verdict.retryAfterMs;
}

async function isSame(given: string, token: string): Promise<boolean> {
  const [a, b] = await Promise.all([digestOf(given), digestOf(token)]);
  return crypto.subtle.timingSafeEqual(a, b);
}

function digestOf(text: string): Promise<ArrayBuffer> {
  return crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
}
