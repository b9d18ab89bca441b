/**
 * An origin outside the fleet, so that what was admitted is known even when the fleet's own logs die with it.
 */
import { createServer } from "node:http";
import { unixMs } from "./offer.ts";

/** An origin that notes who came when. */
export interface NotingOrigin {
  readonly url: string;
  /** Unix ms at which each request came, by the number in its query. */
  readonly cameMs: ReadonlyMap<number, number>;
  readonly stop: () => Promise<void>;
}

/** Listens on a port of its own on 127.0.0.1. */
export async function startOrigin(): Promise<NotingOrigin> {
  const cameMs = new Map<number, number>();
  const server = createServer((request, response) => {
    const [, query] = (request.url ?? "").split("?");
    if (query !== undefined) cameMs.set(Number(query), unixMs());
    response.end("ok");
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    cameMs,
    stop: () =>
      new Promise((stopped) => {
        server.close(() => stopped());
        server.closeAllConnections();
      }),
  };
}
