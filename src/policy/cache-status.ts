/**
 * `Cache-Status` (RFC 9211): how an answer came about, in one list member.
 *
 * Pure.
 */

/** What the cache did for a request. */
export type CacheEvent =
  /** Given without asking the origin; `stale`: under which directive, if it was stale. */
  | {
      readonly kind: "hit";
      readonly leftMs: number;
      readonly stale: "stale-while-revalidate" | "stale-if-error" | null;
    }
  | {
      readonly kind: "forwarded";
      readonly why: "uri-miss" | "vary-miss" | "stale" | "request" | "bypass";
      /** What the origin said, where that is not what the client gets. */
      readonly status: number | null;
      readonly isStored: boolean;
    }
  /** The origin was asked and failed. `status`: what it said, if anything. */
  | { readonly kind: "stood-in"; readonly leftMs: number; readonly status: number | null };

const NAME = "levqor-edge";

/** The list member for an event; `collapsed`: another request for the same had been waited for. */
export function cacheStatus(event: CacheEvent, collapsed: boolean): string {
  const tail = collapsed ? "; collapsed" : "";
  switch (event.kind) {
    case "hit":
      return `${NAME}; hit; ttl=${seconds(event.leftMs)}${event.stale === null ? "" : `; detail=${event.stale}`}${tail}`;
    case "forwarded":
      return `${NAME}; fwd=${event.why}${statusOf(event.status)}${event.isStored ? "; stored" : ""}${tail}`;
    case "stood-in":
      return `${NAME}; fwd=stale${statusOf(event.status)}; ttl=${seconds(event.leftMs)}; detail=stale-if-error${tail}`;
  }
}

function statusOf(status: number | null): string {
  return status === null ? "" : `; fwd-status=${status}`;
}

function seconds(ms: number): number {
  return Math.floor(ms / 1000);
}
