/**
 * This isolate's circuit breaker: keeps its state, says each move in the log, and counts them.
 */
import type { Config } from "../config/vars.ts";
import { ask, type Breaker, CLOSED, type Outcome, type Permit, report } from "../policy/breaker.ts";
import type { MeterEvent } from "../policy/tally.ts";
import type { Ports } from "../ports.ts";

/** The breaker of one isolate. */
export interface Circuit {
  /** Whether a request may go to the origin now. Whoever is let through reports what came of it. */
  readonly ask: (nowMs: number) => Permit;
  /** Hears what a call of that era came to; at most the first report of a probe counts. */
  readonly report: (era: number, outcome: Outcome) => void;
  readonly state: () => Breaker["kind"];
}

const EVENTS: Readonly<Record<Breaker["kind"], MeterEvent>> = {
  closed: "circuitClosed",
  open: "circuitOpened",
  "half-open": "circuitHalfOpened",
};

/** What a probe may take beyond the origin's own deadline: its counter, its look-up, the way back. */
const PROBE_SLACK_MS = 1_000;

/** A closed breaker. `count` hears of each of its moves. */
export function createCircuit(
  { originTimeoutMs, counterTimeoutMs }: Config,
  { nowMs, log }: Pick<Ports, "nowMs" | "log">,
  count: (event: MeterEvent, units: number) => void,
): Circuit {
  const probeMs = originTimeoutMs + counterTimeoutMs + PROBE_SLACK_MS;
  let breaker: Breaker = CLOSED;

  function move(next: Breaker): void {
    const before = breaker.kind;
    breaker = next;
    if (next.kind === before) return;
    count(EVENTS[next.kind], 1);
    const pause = next.kind === "closed" ? {} : { pause_ms: next.pauseMs };
    log(next.kind === "open" ? "warn" : "info", `circuit-${next.kind}`, { from: before, ...pause });
  }

  return {
    ask(atMs) {
      const asked = ask(breaker, probeMs, atMs, Math.random);
      move(asked.breaker);
      return asked.permit;
    },
    report: (era, outcome) => move(report(breaker, era, outcome, nowMs(), Math.random)),
    state: () => breaker.kind,
  };
}
