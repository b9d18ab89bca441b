/**
 * The gateway itself, with a count of what reaches its counters: calls, takes that came with them, and rows.
 *
 * Rows are counted twice over: as the counter reports them, and where they are written, at the storage of the object,
 * alarms included. For counting alone: the speed of this Worker is never measured.
 */
import * as gateway from "../../src/index.ts";

export * from "../../src/index.ts";

/** What has reached the counters of this isolate since it started. */
interface Counts {
  calls: number;
  asks: number;
  rowsReported: number;
  rowsWritten: number;
}

const COUNTS_PATH = "/bench-counts";
const counts: Counts = { calls: 0, asks: 0, rowsReported: 0, rowsWritten: 0 };

/** The gateway's counter; its answers are its own. */
export class CounterShard extends gateway.CounterShard {
  constructor(ctx: DurableObjectState, env: never) {
    super(withCountedStorage(ctx), env);
  }

  override async takeMany(
    ...args: Parameters<gateway.CounterShard["takeMany"]>
  ): ReturnType<gateway.CounterShard["takeMany"]> {
    counts.calls++;
    counts.asks += args[0].asks.length;
    const answer = await super.takeMany(...args);
    counts.rowsReported += answer.rowsWritten;
    return answer;
  }
}

/** An alarm that is set is a row; a key that is put or deleted is one. */
function withCountedStorage(ctx: DurableObjectState): DurableObjectState {
  const { storage } = ctx;
  const { kv } = storage;
  counted(storage, "put", (first) => (typeof first === "string" ? 1 : Object.keys(first as object).length));
  counted(storage, "delete", (first) => (typeof first === "string" ? 1 : (first as unknown[]).length));
  counted(storage, "setAlarm", () => 1);
  counted(kv, "put", () => 1);
  counted(kv, "delete", () => 1);
  return ctx;
}

function counted<K extends string>(owner: object, name: K, rowsOf: (first: unknown) => number): void {
  const methods = owner as Record<K, (...args: unknown[]) => unknown>;
  const method = methods[name].bind(owner);
  methods[name] = (...args) => {
    counts.rowsWritten += rowsOf(args[0]);
    return method(...args);
  };
}

type Fetch = (request: Request, env: unknown, ctx: ExecutionContext) => Response | Promise<Response>;

export default {
  fetch(request: Request, env: unknown, ctx: ExecutionContext): Response | Promise<Response> {
    if (request.url.endsWith(COUNTS_PATH)) return Response.json(counts);
    return (gateway.default.fetch as unknown as Fetch)(request, env, ctx);
  },
};
