/**
 * HTTP/1.1 on kept connections, one request at a time on each, and nothing of a response but its status.
 *
 * A client of its own because it has to send thousands of requests a second from a part of one processor, at moments it
 * does not choose: Node's own costs five times as much.
 */
import { connect, type Socket } from "node:net";

/** Status of a response; 0 where the connection broke before its end. */
export type Respond = (status: number) => void;

/** A port of 127.0.0.1 and the connections to it. */
export interface Wire {
  /** Sends on a connection that is free; where none is left to open, the request waits for one. */
  readonly send: (path: string, client: string, sent: () => void, respond: Respond) => void;
  readonly close: () => void;
}

/** Connections to one port; an isolate that has as many requests under way cannot keep up. */
const LINES_MAX = 128;
/** workerd closes a connection that has been idle for five seconds, and may do so just as it is used. */
const IDLE_MAX_MS = 2_000;
const BLANK_LINE = "\r\n\r\n";
const LAST_CHUNK = "0\r\n\r\n";

/** Connections are opened as they are needed and kept. */
export function openWire(port: number): Wire {
  /** The one used last is at the end. */
  const idle: { readonly line: Line; readonly sinceMs: number }[] = [];
  const all = new Set<Line>();
  const waiting: { readonly attempt: () => void; readonly respond: Respond }[] = [];

  /** A connection that nobody uses; null where all are busy. */
  function freeLine(): Line | null {
    const last = idle.pop();
    if (last !== undefined && performance.now() < last.sinceMs + IDLE_MAX_MS) return last.line;
    last?.line.close();
    for (const { line } of idle.splice(0)) line.close();
    if (all.size >= LINES_MAX) return null;
    const line = openLine(port, () => all.delete(line));
    all.add(line);
    return line;
  }

  function attempt(path: string, client: string, sent: () => void, respond: Respond): void {
    const line = freeLine();
    if (line === null) {
      waiting.push({ attempt: () => attempt(path, client, sent, respond), respond });
      return;
    }
    sent();
    line.send(`GET ${path} HTTP/1.1\r\nHost: fleet\r\nCF-Connecting-IP: ${client}${BLANK_LINE}`, (status) => {
      if (status !== 0) idle.push({ line, sinceMs: performance.now() });
      respond(status);
      waiting.shift()?.attempt();
    });
  }

  return {
    send: attempt,
    close() {
      for (const { respond } of waiting.splice(0)) respond(0);
      for (const line of all) line.close();
    },
  };
}

interface Line {
  readonly send: (request: string, respond: Respond) => void;
  readonly close: () => void;
}

function openLine(port: number, ended: () => void): Line {
  const socket: Socket = connect({ port, host: "127.0.0.1", noDelay: true });
  let received = "";
  let waiting: Respond | null = null;

  function answer(status: number): void {
    const respond = waiting;
    waiting = null;
    received = "";
    respond?.(status);
  }

  socket.setEncoding("latin1");
  socket.on("data", (chunk: string) => {
    received += chunk;
    if (isWhole(received)) answer(Number(received.slice(9, 12)));
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    ended();
    answer(0);
  });

  return {
    send(request, respond) {
      if (socket.destroyed) return respond(0);
      waiting = respond;
      socket.write(request);
    },
    close() {
      ended();
      socket.destroy();
    },
  };
}

/** Whether a response is there to its end. */
function isWhole(text: string): boolean {
  const headEnd = text.indexOf(BLANK_LINE);
  if (headEnd < 0) return false;
  const bodyStart = headEnd + BLANK_LINE.length;
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, bodyStart))?.[1];
  return length === undefined ? text.endsWith(LAST_CHUNK) : text.length >= bodyStart + Number(length);
}
