/**
 * The documents in KV by their keys, read as far as everybody reads them the same.
 */
import type { Pin, Signal, UnusableSignal } from "../policy/load.ts";
import type { EdgeSignal } from "../policy/publication.ts";
import { readEdge, readPin, readRate } from "./signals.ts";

/** Texts by key; null where there is none. */
export type Texts = ReadonlyMap<string, string | null>;

export const TABLES_KEY = "tier-tables";
/** The last tables that were valid, for who starts while others stand under `TABLES_KEY`. */
export const GOOD_TABLES_KEY = "tier-tables:good";
export const RATE_KEY = "request-rate";
/** Written by the meter alone. */
export const EDGE_RATE_KEY = "request-rate:edge";
export const PIN_KEY = "load-pin";

/** Everything that is read at once. */
export const DOCUMENT_KEYS = [TABLES_KEY, RATE_KEY, EDGE_RATE_KEY, PIN_KEY] as const;
/** Of these, what others write than the meter. */
export const KEYS_OF_OTHERS = [TABLES_KEY, RATE_KEY, PIN_KEY] as const;
/** The document that changes nothing: what stands for "none" where one must be named. */
export const EMPTY_DOCUMENT = "{}";

/** What the documents say of load. */
export interface SignalDocuments {
  readonly external: Signal | UnusableSignal | null;
  /** A rate under the meter's key that is no word of the meter's. */
  readonly edge: Signal | UnusableSignal | null;
  readonly word: EdgeSignal | null;
  readonly pin: Pin | null;
  /** Why there is something under the pin's key that is none. */
  readonly pinFault: string | null;
}

/** Reads what is said of load; never throws. */
export function readSignals(texts: Texts): SignalDocuments {
  const external = texts.get(RATE_KEY) ?? null;
  const edgeText = texts.get(EDGE_RATE_KEY) ?? null;
  const edge = edgeText === null ? null : readEdge(edgeText);
  const pinText = texts.get(PIN_KEY) ?? null;
  const pin = pinText === null ? null : readPin(pinText);
  const isFaulty = pin !== null && "unusable" in pin;
  return {
    external: external === null ? null : readRate("external", external),
    edge: edge === null || edge.word !== null ? null : edge.signal,
    word: edge?.word ?? null,
    pin: isFaulty ? null : pin,
    pinFault: isFaulty ? pin.unusable : null,
  };
}
