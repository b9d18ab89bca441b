/**
 * The log: one JSON object a line, as the platform collects it.
 */
import type { Log } from "./ports.ts";

/** Writes a line. */
export const log: Log = (level, event, members) => console[level](JSON.stringify({ level, event, ...members }));
