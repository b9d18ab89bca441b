/**
 * Sends arrivals when they are due, whatever becomes of those before: an open loop. A loop that waits for answers slows
 * down with what it measures, and so hides it.
 *
 * A machine that is too busy sends late. How late is part of the result: whoever reads it decides what still counts.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Arrival, Stream } from "./arrivals.ts";
import { openWire, type Wire } from "./wire.ts";

/** What became of a request. Moments are Unix ms, with fractions. */
export interface Sent {
  /** Its place among the arrivals. */
  readonly number: number;
  readonly stream: number;
  readonly sentMs: number;
  /** How much later than due. */
  readonly lateMs: number;
  /** Of the end of its response. */
  readonly answeredMs: number;
  /** 0: no response. */
  readonly status: number;
}

/** A load that is being sent. */
export interface Offer {
  /** All requests, once each has its response or has failed. */
  readonly done: Promise<readonly Sent[]>;
  /** From now on, what was meant for an isolate goes to this port. */
  readonly redirect: (isolate: number, port: number) => void;
}

/** Longest that a response is waited for after the last request. */
const PATIENCE_MS = 10_000;

/** Begins to send `arrivals` to the isolates at `ports`. The query of each is its number. */
export function offer(arrivals: readonly Arrival[], streams: readonly Stream[], ports: readonly number[]): Offer {
  const wires: Wire[] = ports.map(openWire);
  const retired: Wire[] = [];
  const sent: Sent[] = [];

  function send(number: number, { stream, isolate }: Arrival, dueMs: number): void {
    const { path, client } = streams[stream] ?? { path: "/", client: "" };
    let sentMs = Number.NaN;
    const note = () => {
      sentMs = unixMs();
    };
    wires[isolate]?.send(`${path}?${number}`, client, note, (status) => {
      const answeredMs = unixMs();
      if (Number.isNaN(sentMs)) sentMs = answeredMs;
      sent.push({ number, stream, sentMs, lateMs: sentMs - dueMs, answeredMs, status });
    });
  }

  async function run(): Promise<readonly Sent[]> {
    const startMs = unixMs();
    for (let next = 0; next < arrivals.length; ) {
      for (let due = arrivals[next]; due !== undefined && startMs + due.atMs <= unixMs(); due = arrivals[++next])
        send(next, due, startMs + due.atMs);
      await sleep(1);
    }
    const endMs = unixMs() + PATIENCE_MS;
    while (sent.length < arrivals.length && unixMs() < endMs) await sleep(5);
    for (const wire of [...wires, ...retired]) wire.close();
    while (sent.length < arrivals.length) await sleep(1);
    return sent;
  }

  return {
    done: run(),
    redirect(isolate, port) {
      const old = wires[isolate];
      if (old !== undefined) retired.push(old);
      wires[isolate] = openWire(port);
    },
  };
}

/** Now, Unix ms with fractions. */
export function unixMs(): number {
  return performance.timeOrigin + performance.now();
}
