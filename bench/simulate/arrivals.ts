/**
 * Who comes when: requests of a group of clients, step by step.
 *
 * Poisson: how many of the whole group come in a step, and each is anybody's. Even: every client has a place of its own
 * in its pause, and keeps to it. Either costs a constant for each request, however many clients there are.
 */
import { poisson, type Random } from "./chance.ts";
import type { ClientGroup } from "./scenario.ts";

const MINUTE_MS = 60_000;

/** The requests of a group between two moments, as places of clients in it. Called for one step after the other. */
export type Arrivals = (fromMs: number, toMs: number, arrive: (client: number) => void) => void;

/** Arrivals of a group; moments are ms since the start of the scenario. */
export function arrivalsOf(group: ClientGroup, minutes: number, random: Random): Arrivals {
  const startMs = (group.from_minute ?? 0) * MINUTE_MS;
  const endMs = Math.min(minutes, group.to_minute ?? minutes) * MINUTE_MS;
  const arrivals = group.arrivals === "even" ? even(group, startMs, random) : chance(group, random);
  return (fromMs, toMs, arrive) => {
    const from = Math.max(fromMs, startMs);
    const to = Math.min(toMs, endMs);
    if (from < to) arrivals(from, to, arrive);
  };
}

function chance({ count, rpm }: ClientGroup, random: Random): Arrivals {
  return (fromMs, toMs, arrive) => {
    const come = poisson((count * rpm * (toMs - fromMs)) / MINUTE_MS, random);
    for (let i = 0; i < come; i++) arrive(Math.floor(random() * count));
  };
}

function even({ count, rpm }: ClientGroup, startMs: number, random: Random): Arrivals {
  const pauseMs = MINUTE_MS / rpm;
  const places = Float64Array.from({ length: count }, () => random() * pauseMs).sort();
  let next = 0;
  return (_fromMs, toMs, arrive) => {
    for (;;) {
      const place = next % count;
      const atMs = startMs + (places[place] ?? 0) + Math.floor(next / count) * pauseMs;
      if (atMs >= toMs) return;
      arrive(place);
      next++;
    }
  };
}
