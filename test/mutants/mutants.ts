/**
 * Every rule of the lease protocol, taken away. Each of these must turn a proof or a unit test red: a rule that nobody
 * misses is either not tested or not needed.
 *
 * Most rules live in `src/policy`. Those that the counter's host and the isolate's lane keep (newest version, late
 * answers, writes that are waited for) are taken away from their models in `test/simulation`.
 */

/** One text put in place of another. */
export interface Edit {
  /** From the root of the repository. */
  readonly file: string;
  /** Stands there exactly once. */
  readonly find: string;
  readonly replace: string;
}

/** A rule, and how it is taken away. */
export interface Mutant {
  /** What no longer holds, after the number of the rule: 4.x the counter's, 5.x the isolate's. */
  readonly rule: string;
  readonly edits: readonly Edit[];
  /** Why nothing turns red, where nothing can. */
  readonly harmless?: string;
}

const WINDOW = "src/policy/window.ts";
const LEASE = "src/policy/lease.ts";
const ACCOUNT = "src/policy/account.ts";
const HOLDING = "src/policy/holding.ts";
const LOCAL = "src/policy/local.ts";
const SHARD = "test/simulation/shard.ts";
const ISOLATE = "test/simulation/isolate.ts";

function mutant(rule: string, ...edits: readonly (readonly [file: string, find: string, replace: string])[]): Mutant {
  return { rule, edits: edits.map(([file, find, replace]) => ({ file, find, replace })) };
}

/** Section 8 of the protocol, line by line. */
const NAMED: readonly Mutant[] = [
  mutant("4.3 a slice stays until its end has left", [
    WINDOW,
    "return (slice + 1) * sliceMs + windowMs;",
    "return slice * sliceMs + windowMs;",
  ]),
  mutant("4.7 a lease is charged at its far end, not at the grant", [
    ACCOUNT,
    "const endMs = lent === 0 ? nowMs : nowMs +",
    "const endMs = nowMs + 0 *",
  ]),
  mutant("5.5 a lease runs from the sending, not from the receipt", [
    HOLDING,
    "untilMs: holding.sentMs + lifeMsOf(windowMs)",
    "untilMs: nowMs + lifeMsOf(windowMs)",
  ]),
  mutant("5.4 a lease is forgotten when its settlement is sent", [HOLDING, "  holding.lease = null;\n", ""]),
  mutant(
    "4.4, 4.5 a call's number names the call and its lease",
    [ACCOUNT, "settlement.call !== holder.call || ", ""],
    [ACCOUNT, "known !== undefined && ask.call === known.call", "false"],
    [ACCOUNT, "known !== undefined && ask.call < known.call", "false"],
  ),
  mutant("4.5 a settlement names the lease it is for", [ACCOUNT, "settlement.call !== holder.call || ", ""]),
  mutant("4.4 a repeated call gets the answer it had", [
    ACCOUNT,
    "known !== undefined && ask.call === known.call",
    "false",
  ]),
  mutant("4.4 a call that was overtaken gets no answer", [
    ACCOUNT,
    "known !== undefined && ask.call < known.call",
    "false",
  ]),
  mutant(
    "5.5, 5.6 late answers are dropped",
    [HOLDING, "if (answer.call !== holding.call) return false;", ""],
    [
      ISOLATE,
      "    if (!isAlive || entry.flight !== flight) return;\n    entry.flight = null;\n    const isTaken",
      "    entry.flight = entry.flight === flight ? null : entry.flight;\n    const isTaken",
    ],
  ),
  mutant("5.5 an answer to another call than the last is dropped", [
    HOLDING,
    "if (answer.call !== holding.call) return false;",
    "",
  ]),
  mutant(
    "3 uses travel as offsets from the sending, not as moments",
    [
      HOLDING,
      "uses: usesOf(holding.lease) }",
      "uses: usesOf(holding.lease).map((value, i) => (i % 2 === 0 ? value + holding.sentMs : value)) }",
    ],
    [ACCOUNT, "holder.grantedMs + offsetMs", "offsetMs"],
  ),
  mutant(
    "3 uses travel as offsets from the sending, not as ages",
    [
      HOLDING,
      "uses: usesOf(holding.lease) }",
      "uses: usesOf(holding.lease).map((value, i) => (i % 2 === 0 ? nowMs - holding.sentMs - value : value)) }",
    ],
    [ACCOUNT, "holder.grantedMs + offsetMs", "window.newestMs - (settlement.uses[i] ?? 0)"],
  ),
  mutant("1 marginMs for clocks and rounding", [LEASE, "return Math.ceil(sliceMsOf(windowMs) / 4);", "return 0;"]),
  mutant("4.1 the newest moment is kept", [
    WINDOW,
    "const newestMs = Math.max(clockMs, moved.newestMs);",
    "const newestMs = clockMs;",
  ]),
  mutant("4.1 a history moves back with a clock that is a window behind", [
    WINDOW,
    "if (behindMs <= window.windowMs) return 0;",
    "return 0;",
  ]),
  mutant("4.2 the newest version wins", [SHARD, "told.number > version.number", "told.number !== version.number"]),
  mutant("4.2 a changed window moves each slice to the later one", [
    WINDOW,
    "charge(resized, lastMsOf(window.slices[i] ?? 0, window.windowMs), window",
    "charge(resized, lastMsOf((window.slices[i] ?? 0) - 1, window.windowMs) + 1, window",
  ]),
  mutant("4.9 a lease waits for its write", [
    SHARD,
    "const mustWait = answer !== null && answer.lent > 0;",
    "const mustWait = false;",
  ]),
  mutant("4.5 a lease is settled at all", [
    ACCOUNT,
    "let settled = discharge(window, holder.endMs, holder.lent);",
    "if (holder.lent > 0) return window;\n  let settled = discharge(window, holder.endMs, holder.lent);",
  ]),
  mutant("4.5 what was used is dated when it was used", [
    ACCOUNT,
    "Math.min(holder.endMs, holder.grantedMs",
    "Math.max(holder.endMs, 0 * holder.grantedMs",
  ]),
  mutant("5.7 a timer settles what is left over", [
    HOLDING,
    "if (lease === null || lease.left === 0 ||",
    "if (lease === null || lease.left >= 0 ||",
  ]),
  mutant("5.5 a refusal is forgotten when others' units may come back", [
    HOLDING,
    "untilMs: nowMs + Math.min(retryAfterMs, othersEndMs ?? retryAfterMs),",
    "untilMs: nowMs + retryAfterMs,",
  ]),
  mutant("3 the answer that takes the last unit also refuses the next", [
    ACCOUNT,
    "refusedCost ?? (remaining === 0 ? 1 : null)",
    "refusedCost",
  ]),
  mutant("5.4 a refusal is forgotten when the next call is sent", [HOLDING, "  holding.refusal = null;\n", ""]),
  mutant("leases at all", [
    ACCOUNT,
    "return Math.max(0, Math.min(wish, Math.floor(free / isolates)));",
    "return 0 * wish * free * isolates;",
  ]),
];

/** The other rules of sections 1, 4 and 5. */
const OTHERS: readonly Mutant[] = [
  mutant("4.1 a lease moves back with the history", [ACCOUNT, "endMs: holder.endMs - backMs,", "endMs: holder.endMs,"]),
  mutant("4.1 the grant of a lease moves back with the history", [
    ACCOUNT,
    "grantedMs: holder.grantedMs - backMs,",
    "grantedMs: holder.grantedMs,",
  ]),
  mutant("4.2 the end of a lease follows a changed window", [ACCOUNT, ".map(toLastMs)", ""]),
  mutant("4.2 what has left the old window is dropped first", [
    ACCOUNT,
    "const window = advance(account.window, clockMs);",
    "const window = windowMs === account.window.windowMs ? advance(account.window, clockMs) : { ...account.window, newestMs: Math.max(account.window.newestMs, clockMs) };",
  ]),
  mutant("4.5 no more is put back than was lent", [
    ACCOUNT,
    "const units = Math.min(left, ",
    "const units = Math.max(0, ",
  ]),
  mutant("4.5 negative uses are ignored", [
    ACCOUNT,
    "Math.max(0, settlement.uses[i + 1] ?? 0)",
    "(settlement.uses[i + 1] ?? 0)",
  ]),
  mutant("4.5 a use is dated no later than the end of its lease", [
    ACCOUNT,
    "Math.min(holder.endMs, holder.grantedMs",
    "Math.max(0, holder.grantedMs",
  ]),
  mutant("4.5 a use is dated a margin late", [
    ACCOUNT,
    "const marginMs = marginMsOf(holder.answer.windowMs);",
    "const marginMs = 0;",
  ]),
  mutant("4.5 that margin is the one of the window it was lent under", [
    ACCOUNT,
    "const marginMs = marginMsOf(holder.answer.windowMs);",
    "const marginMs = marginMsOf(window.windowMs);",
  ]),
  mutant("4.2 a lease that has left the old window is forgotten with it", [
    ACCOUNT,
    "remembered(holders.map(toLastMs), resized)",
    "remembered(moved.map(toLastMs), resized)",
  ]),
  mutant("4.7 a lease ends a margin late", [ACCOUNT, " + marginMsOf(inForce.windowMs);", ";"]),
  mutant("4.6 a cost that does not fit lets smaller ones by", [
    ACCOUNT,
    "    if (cost <= left) {",
    "    if (cost <= left && refusedCost === null) {",
  ]),
  mutant("4.7 an asker is lent at most its equal share", [ACCOUNT, "Math.floor(free / isolates)", "free"]),
  mutant("4.7 lends only where something was granted", [
    ACCOUNT,
    "const canLend = taken.granted.includes(true) &&",
    "const canLend =",
  ]),
  mutant("4.7 lends to no more than 64 isolates", [
    ACCOUNT,
    "taken.granted.includes(true) && others.length < HOLDERS_MAX",
    "taken.granted.includes(true)",
  ]),
  mutant("4.9 remembers no more than 64 isolates", [
    ACCOUNT,
    "const holders = others.length < HOLDERS_MAX ? [...others, holder] : others;",
    "const holders = [...others, holder];",
  ]),
  mutant("2 an isolate is forgotten with the slice of its end", [
    ACCOUNT,
    "return holders.every(stays) ? holders : holders.filter(stays);",
    "return window === null ? holders.filter(stays) : holders;",
  ]),
  mutant("2 an isolate is not forgotten before the slice of its end", [
    ACCOUNT,
    "leavesAtMs(holder.endMs, window.windowMs) > window.newestMs",
    "holder.endMs > window.newestMs",
  ]),
  mutant("4.8 a refusal names the smallest cost refused", [
    ACCOUNT,
    "refusedCost = Math.min(refusedCost ?? cost, cost);",
    "refusedCost = Math.max(refusedCost ?? cost, cost);",
  ]),
  mutant("4.8 a retry time is the first moment at which it fits", [
    WINDOW,
    "if (over <= 0) return leavesAtMs(slices[i] ?? 0, sliceMs, windowMs) - newestMs;",
    "if (over < 0) return leavesAtMs(slices[i] ?? 0, sliceMs, windowMs) - newestMs;",
  ]),
  mutant("4.9 what an answer changed is kept", [ACCOUNT, "settled !== current.window || hasMoved", "hasMoved"]),
  mutant("4.9 a plain refusal writes nothing", [
    ACCOUNT,
    "const changed = lent > 0 ||",
    "const changed = lent >= 0 ||",
  ]),
  mutant("5.1 a lease is not used before its sending", [HOLDING, "nowMs >= holding.sentMs && ", ""]),
  mutant("5.1 a lease is not used after its life", [HOLDING, " && nowMs < lease.untilMs", ""]),
  mutant("5.1 a lease grants no more than is left of it", [HOLDING, "lease.left >= cost &&", "lease.left > 0 &&"]),
  mutant("5.1, 5.2 a lease or refusal of another belief is not used", [
    HOLDING,
    "if (holding.belief === null || !isSame(holding.belief, belief)) return UNKNOWN;",
    "if (holding.belief === null) return UNKNOWN;",
  ]),
  mutant("5.1 uses are dated at the end of their bucket", [HOLDING, "(value + 1) * bucketMs", "value * bucketMs"]),
  mutant("5.2 a refusal is tied to its cost", [HOLDING, "&& cost >= refusal.cost", ""]),
  mutant("5.2 a refusal is not used after its time", [HOLDING, "nowMs < refusal.untilMs && ", ""]),
  mutant("5.2 a refusal is not used with an unspent lease in hand", [HOLDING, " && !isHeldBack)", ")"]),
  mutant("5.2 a client is told the rest of the retry time", [
    HOLDING,
    "refusal.retryAtMs - nowMs",
    "refusal.untilMs - nowMs",
  ]),
  mutant("5.3 one call is under way at a time", [
    ISOLATE,
    "if (entry.flight === null) depart(entry);",
    "depart(entry);",
  ]),
  {
    ...mutant("5.4 first contact asks for no lease", [HOLDING, "isFirst || units === 0 ? 0", "units === 0 ? 0"]),
    harmless: "before the first call `sentMs` is 0: by any real clock that is more than a window ago",
  },
  mutant("5.4 no lease is asked for after a window's pause", [LEASE, "if (sinceMs >= windowMs) return 0;", ""]),
  mutant("5.4 a lease is sized by the rate", [
    LEASE,
    "return Math.ceil((HEADROOM * units * lifeMs) / Math.max(sinceMs, lifeMs / 5, 1));",
    "return 1_000_000 * Math.max(sinceMs, lifeMs, units, HEADROOM);",
  ]),
  mutant("5.6 a retry is the same message", [
    ISOLATE,
    "post(message, answered, () => giveUp(entry, flight));\n    }",
    "post({ ...message, ask: { ...message.ask, call: ++calls } }, answered, () => giveUp(entry, flight));\n    }",
  ]),
  mutant("5.7 little is not worth a call of its own", [
    HOLDING,
    "const LEFT_OVER_SHARE = 0.1;",
    "const LEFT_OVER_SHARE = 0;",
  ]),
  mutant("local: at most an eighth of the limit", [LOCAL, "const SHARE = 8;", "const SHARE = 4;"]),
  mutant("local: at most what was last seen remaining", [
    LOCAL,
    "Math.min(lastRemaining ?? limit, Math.floor(limit / SHARE))",
    "Math.floor(limit / SHARE)",
  ]),
];

export const MUTANTS: readonly Mutant[] = [...NAMED, ...OTHERS];
