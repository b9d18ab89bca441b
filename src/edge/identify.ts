/**
 * What a request is: where it wants to go, who sends it, and what it counts as.
 */
import { type Client, clientOf } from "../policy/client.ts";
import { isExempt, profileFor } from "../policy/endpoint.ts";
import type { Rules } from "./signal.ts";

/** A request as the rest of the gateway knows it. */
export interface Call {
  readonly request: Request;
  /** Unix ms at which it arrived. */
  readonly arrivedMs: number;
  readonly requestId: string;
  /** `http` or `https`. */
  readonly scheme: string;
  readonly host: string;
  /** Path and query as they stand in the URL; never resolved against anything. */
  readonly target: string;
  /** `target` without its query. */
  readonly path: string;
  readonly client: Client;
  /** Of the client's address, as the runtime names it. Parsing `cf` costs; whoever does not need it does not ask. */
  readonly continent: () => string | null;
  /** The profile it is counted under; null where it is exempt. */
  readonly profile: string | null;
}

/** Reads a request once, so that nothing after it has to. */
export function identify(request: Request, requestId: string, rules: Rules, arrivedMs: number): Call {
  const { headers, method, url } = request;
  const hostStart = url.indexOf("//") + 2;
  const targetStart = firstOf(url, "/", hostStart);
  const target = url.slice(targetStart) || "/";
  const queryStart = target.indexOf("?");
  const path = queryStart < 0 ? target : target.slice(0, queryStart);
  const exempt = isExempt(rules.tables.exempt, method, path) || isPreflight(request);
  return {
    request,
    arrivedMs,
    requestId,
    scheme: url.slice(0, hostStart - 3),
    host: url.slice(hostStart, targetStart),
    target,
    path,
    continent: () => continentOf(request),
    client: callerOf(headers),
    profile: exempt ? null : profileFor(rules.endpoints, method, path),
  };
}

/** Workers call from an IPv6 address; for any other the zone need not be looked up. */
function callerOf(headers: Headers): Client {
  const connectingIp = headers.get("cf-connecting-ip");
  return clientOf(connectingIp, connectingIp?.includes(":") ? headers.get("cf-worker") : null);
}

function firstOf(text: string, character: string, from: number): number {
  const index = text.indexOf(character, from);
  return index < 0 ? text.length : index;
}

/** A browser's question before the real request (Fetch standard, CORS-preflight): it cannot carry anything else. */
function isPreflight({ method, headers }: Request): boolean {
  return method === "OPTIONS" && headers.has("origin") && headers.has("access-control-request-method");
}

function continentOf(request: Request): string | null {
  const continent = request.cf?.["continent"];
  return typeof continent === "string" ? continent : null;
}
