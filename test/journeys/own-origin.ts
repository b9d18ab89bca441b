/**
 * An origin that belongs to the test: it sees what arrives while it arrives, and answers when the test wants it to.
 */
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { freePort } from "../free-port.ts";

/** An origin under the test's control. */
export interface OwnOrigin {
  readonly url: string;
  /** Requests so far, by path without query. */
  count(path: string): number;
  /** Stops listening and drops every connection; `open` takes the same port again. */
  close(): Promise<void>;
  open(): Promise<void>;
}

/** Starts an origin. */
export async function startOwnOrigin(
  listener: RequestListener,
  onUpgrade?: (key: string, socket: Duplex) => void,
): Promise<OwnOrigin> {
  const port = await freePort();
  const counts = new Map<string, number>();
  const sockets = new Set<Socket>();
  let server: Server | null = null;
  const origin: OwnOrigin = {
    url: `http://127.0.0.1:${port}`,
    count: (path) => counts.get(path) ?? 0,
    async close() {
      if (server === null) return;
      const closing = server;
      server = null;
      const closed = once(closing, "close");
      closing.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
    async open() {
      server = createServer({ keepAliveTimeout: 75_000 }, (incoming, outgoing) => {
        const path = (incoming.url ?? "/").replace(/\?.*/s, "");
        counts.set(path, origin.count(path) + 1);
        listener(incoming, outgoing);
      });
      server.on("connection", (socket) => {
        sockets.add(socket);
        socket.once("close", () => sockets.delete(socket));
      });
      if (onUpgrade !== undefined)
        server.on("upgrade", (incoming, socket) => onUpgrade(incoming.headers["sec-websocket-key"] ?? "", socket));
      server.listen(port, "127.0.0.1");
      await once(server, "listening");
    },
  };
  await origin.open();
  return origin;
}
