/**
 * What the origin says of itself: its health summary, in either dialect it may speak.
 *
 * One names its checks, `{"checks":{"database":"ok"},"metrics":{"active_workflows":3}}`, one is flat,
 * `{"db_ok":true,"scheduler_ok":true}`; where a summary speaks both, a named check counts. Whatever else stands there is
 * `unknown` and never a guess: a summary that cannot be read says nothing of a database.
 *
 * The price: an origin that says its checks in words of its own ("up", "green") is unknown until it learns these.
 *
 * Pure.
 */

/** How one part of the whole is. */
export type CheckState = "ok" | "degraded" | "down" | "unknown";

/** Figures of the origin's own; null: it does not report them. */
export interface OriginMetrics {
  readonly activeWorkflows: number | null;
  /** Approvals that are pending. */
  readonly approvalQueue: number | null;
  /** >= 0. */
  readonly cpuPercent: number | null;
  /** >= 0. */
  readonly memoryPercent: number | null;
}

/** The origin, as far as its answer shows. */
export interface OriginHealth {
  /** `failing`: it answers, and not well; `unknown`: it was not asked. */
  readonly reach: "reached" | "failing" | "unreachable" | "unknown";
  readonly database: CheckState;
  readonly scheduler: CheckState;
  readonly metrics: OriginMetrics;
}

/** Octets of a summary, at most: far above any real one. Whoever reads the answer stops there. */
export const SUMMARY_BYTES_MAX = 65_536;

const NO_METRICS: OriginMetrics = Object.freeze({
  activeWorkflows: null,
  approvalQueue: null,
  cpuPercent: null,
  memoryPercent: null,
});

/** An origin that was not asked yet. */
export const ORIGIN_UNASKED: OriginHealth = silent("unknown");

/** An origin that gave no answer in time, or none at all. */
export const ORIGIN_UNREACHABLE: OriginHealth = silent("unreachable");

/** What a proxy before the origin answers in its place when it cannot reach it; the last are Cloudflare's own. */
const IN_ITS_PLACE: ReadonlySet<number> = new Set([502, 504, 520, 521, 522, 523, 524, 525, 526, 527, 530]);

type Members = Readonly<Record<string, unknown>>;

/**
 * Reads the origin's answer; never throws.
 *
 * A status of 5xx alone is `failing`: a summary may use it to say that something is down, and then says what.
 *
 * @param text its body, at most `SUMMARY_BYTES_MAX`; what is longer or was cut is no JSON and so unknown.
 */
export function readOriginHealth(status: number, text: string): OriginHealth {
  const summary = membersOf(parsed(text));
  if (summary === null) return IN_ITS_PLACE.has(status) ? ORIGIN_UNREACHABLE : silent(reachOf(status));
  const checks = membersOf(summary["checks"]);
  return {
    reach: reachOf(status),
    database: checkOf(checks?.["database"], summary["db_ok"]),
    scheduler: checkOf(checks?.["scheduler"], summary["scheduler_ok"]),
    metrics: metricsOf(membersOf(summary["metrics"])),
  };
}

function silent(reach: OriginHealth["reach"]): OriginHealth {
  return Object.freeze({ reach, database: "unknown", scheduler: "unknown", metrics: NO_METRICS });
}

function reachOf(status: number): "reached" | "failing" {
  return status >= 500 ? "failing" : "reached";
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function membersOf(value: unknown): Members | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Members) : null;
}

function checkOf(named: unknown, flat: unknown): CheckState {
  if (named === "ok" || named === "degraded" || named === "down") return named;
  if (typeof flat !== "boolean") return "unknown";
  return flat ? "ok" : "down";
}

function metricsOf(metrics: Members | null): OriginMetrics {
  if (metrics === null) return NO_METRICS;
  return {
    activeWorkflows: amount(metrics["active_workflows"]),
    approvalQueue: amount(metrics["approval_queue"]),
    cpuPercent: amount(metrics["cpu_percent"]) ?? shareInPercent(metrics["cpu"]),
    memoryPercent: amount(metrics["memory_percent"]) ?? shareInPercent(metrics["memory"]),
  };
}

/** JSON has no infinity, but a number too large for ours is read as one. */
function amount(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : null;
}

/** Without a unit in its name it is a share of 0..1; what is above may be anything, and is not guessed at. */
function shareInPercent(value: unknown): number | null {
  const share = amount(value);
  return share === null || share > 1 ? null : Math.round(share * 10_000) / 100;
}
