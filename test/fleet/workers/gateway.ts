/**
 * The gateway as it is deployed, with a log of the truth beside it and two ways to be hurt.
 *
 * Commands, for the fleet's own sockets: `GET /~fleet/truth` reads the log and empties it; `POST /~fleet/die` makes this
 * isolate one that has died; `POST /~fleet/abort` resets every counter that was ever called here.
 *
 * A dead isolate answers nobody and reaches no counter any more, so that neither a request nor a timer of it can settle
 * what it had borrowed; what was under way is lost. workerd cannot end a single isolate in earnest.
 */
import gateway, { CounterShard as Shard } from "../../../src/index.ts";
import { type Truth, truth } from "./truth.ts";

type Env = Parameters<typeof gateway.fetch>[1];
type Counters = Env["COUNTERS"];

const COMMANDS = "/~fleet/";
const shards = new Set<string>();
let isDead = false;

/** The gateway's counter; its answers are its own. */
export class CounterShard extends Shard {
  constructor(ctx: DurableObjectState, env: never) {
    super(ctx, env);
    if (ctx.id.name !== undefined) shards.add(ctx.id.name);
    truth.loads.push(Date.now());
  }

  override async takeMany(...args: Parameters<Shard["takeMany"]>): ReturnType<Shard["takeMany"]> {
    const [{ isolate, asks }] = args;
    for (const { profile, client, ask } of asks) truth.asked.push({ isolate, call: ask.call, profile, client });
    const answer = await super.takeMany(...args);
    truth.rows += answer.rowsWritten;
    return answer;
  }

  /** What a crash of its process does: memory and what is not yet written are gone, and so are answers under way. */
  reset(): void {
    this.ctx.abort("reset by the fleet");
  }
}

export default {
  async fetch(request, env, ctx) {
    const start = request.url.indexOf(COMMANDS);
    if (start >= 0) return await command(request.url.slice(start + COMMANDS.length), env);
    if (isDead) return new Response(null, { status: 503 });
    const response = await gateway.fetch(request, hurtable(env), ctx);
    return isDead ? new Response(null, { status: 503 }) : response;
  },
} satisfies ExportedHandler<Env>;

async function command(name: string, { COUNTERS }: Env): Promise<Response> {
  switch (name) {
    case "truth":
      return Response.json(readTruth());
    case "die":
      isDead = true;
      return new Response();
    case "abort": {
      const namespace = COUNTERS as unknown as DurableObjectNamespace<CounterShard>;
      await Promise.allSettled([...shards].map((shard) => namespace.getByName(shard).reset()));
      return new Response();
    }
    default:
      return new Response(null, { status: 404 });
  }
}

function readTruth(): Truth {
  const read = { ...truth };
  Object.assign(truth, { calls: 0, uses: [], grants: [], asked: [], rows: 0, loads: [] });
  return read;
}

let hurt: Env | null = null;

/** The same environment, but for counters that a dead isolate cannot reach. */
function hurtable(env: Env): Env {
  hurt ??= { ...env, COUNTERS: cuttable(env.COUNTERS) };
  return hurt;
}

function cuttable(namespace: Counters): Counters {
  const getByName = (...args: Parameters<Counters["getByName"]>) => {
    const stub = namespace.getByName(...args);
    const takeMany = (...[batch]: Parameters<Shard["takeMany"]>) => {
      if (isDead) return new Promise(() => {});
      truth.isolate = batch.isolate;
      truth.calls++;
      return stub.takeMany(batch);
    };
    return { takeMany };
  };
  return { getByName, idFromName: (name: string) => namespace.idFromName(name) } as unknown as Counters;
}
