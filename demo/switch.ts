/**
 * The demo origin's switch: what is wrong with it at the moment.
 *
 * `PUT /__demo` sets one state for everybody; `?demo_delay_ms=`, `?demo_status=`, `?demo_hang=` and `?demo_cut=` set it
 * for one request and win, so that tests that run at the same time leave each other alone.
 *
 * Pure but for the state it holds: the caller passes `nowMs`.
 */
import * as v from "valibot";
import { type Checked, checked, objectFault, wholeNumber } from "./checked.ts";

/** Ten minutes: longer than any timeout a gateway should have. */
const DELAY_MS_MAX = 600_000;

const Cut = v.picklist(["before-headers", "mid-body"], 'expected null, "before-headers" or "mid-body"');

const SwitchSchema = v.strictObject(
  {
    delay_ms: v.optional(wholeNumber(0, DELAY_MS_MAX), 0),
    status: v.optional(v.nullable(wholeNumber(200, 599)), null),
    hang: v.optional(v.boolean("expected true or false"), false),
    cut: v.optional(v.nullable(Cut), null),
    database: v.optional(v.picklist(["ok", "down"], 'expected "ok" or "down"'), "ok"),
    path: v.optional(
      v.nullable(
        v.pipe(
          v.string("expected a path prefix"),
          v.startsWith("/", "expected a path prefix that starts with /"),
          v.maxLength(512, "expected at most 512 characters"),
        ),
      ),
      null,
    ),
    for_seconds: v.optional(v.nullable(wholeNumber(1, 86_400)), null),
  },
  objectFault,
);

/** The switch as it is read and written on the wire. `path` narrows all of it but `database`; null: every path. */
export type SwitchState = Readonly<v.InferOutput<typeof SwitchSchema>>;

/** What befalls one request, in this order. */
export type Trouble = Pick<SwitchState, "delay_ms" | "status" | "hang" | "cut">;

/** All is well. */
export const UNTROUBLED: SwitchState = v.parse(SwitchSchema, {});

/** A state as a client sent it; what it leaves out is well. */
export function parseSwitch(value: unknown): Checked<SwitchState> {
  return checked(SwitchSchema, value, "state");
}

const digits = v.pipe(v.string(), v.regex(/^\d{1,9}$/, "expected a whole number"), v.transform(Number));

const OverridesSchema = v.strictObject(
  {
    demo_delay_ms: v.optional(v.pipe(digits, wholeNumber(0, DELAY_MS_MAX))),
    demo_status: v.optional(v.pipe(digits, wholeNumber(200, 599))),
    demo_hang: v.optional(
      v.pipe(
        v.picklist(["0", "1"], "expected 0 or 1"),
        v.transform((flag) => flag === "1"),
      ),
    ),
    demo_cut: v.optional(Cut),
  },
  objectFault,
);

/** The trouble one request asks for by its query; a misspelt `demo_` name is a fault, not a silence. */
export function parseOverrides(query: string): Checked<Partial<Trouble>> {
  if (!query.includes("demo_")) return { ok: true, value: {} };
  const asked = [...new URLSearchParams(query)].filter(([name]) => name.startsWith("demo_"));
  const parsed = checked(OverridesSchema, Object.fromEntries(asked), "query");
  if (!parsed.ok) return parsed;
  const { demo_delay_ms, demo_status, demo_hang, demo_cut } = parsed.value;
  return {
    ok: true,
    value: {
      ...(demo_delay_ms === undefined ? {} : { delay_ms: demo_delay_ms }),
      ...(demo_status === undefined ? {} : { status: demo_status }),
      ...(demo_hang === undefined ? {} : { hang: demo_hang }),
      ...(demo_cut === undefined ? {} : { cut: demo_cut }),
    },
  };
}

/** The one switch of one origin. */
export interface Switch {
  /** The state in force; `for_seconds` is what is left of it. */
  read(nowMs: number): SwitchState;
  write(state: SwitchState, nowMs: number): void;
}

/** A switch that starts untroubled and returns to it when its time is over. */
export function createSwitch(): Switch {
  let state = UNTROUBLED;
  let untilMs = Number.POSITIVE_INFINITY;
  return {
    read(nowMs) {
      if (nowMs >= untilMs) {
        state = UNTROUBLED;
        untilMs = Number.POSITIVE_INFINITY;
      }
      return state.for_seconds === null ? state : { ...state, for_seconds: Math.ceil((untilMs - nowMs) / 1000) };
    },
    write(next, nowMs) {
      state = next;
      untilMs = next.for_seconds === null ? Number.POSITIVE_INFINITY : nowMs + next.for_seconds * 1000;
    },
  };
}

/** What a state means for a request to `path`. */
export function troubleFor(state: SwitchState, path: string): Trouble {
  return state.path === null || path.startsWith(state.path) ? state : UNTROUBLED;
}
