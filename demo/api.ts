/**
 * Levqor's own paths, as the demo origin serves them: AI chat, workflows, billing, health.
 *
 * Enough of each to be called and looked at. Everything a client sends is checked and bounded; everything that is
 * answered is derived from what is really held.
 */
import { availableParallelism, freemem, loadavg, totalmem } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { type Context, Hono } from "hono";
import { streamSSE } from "hono/streaming";
import * as v from "valibot";
import { type Checked, checked, objectFault } from "./checked.ts";
import { BODY_BYTES_MAX, type OriginEnv, readBody, readJson } from "./request.ts";
import type { Switch } from "./switch.ts";
import { createWorkflowStore, type WorkflowStore } from "./workflows.ts";

/** What the API needs from the origin that carries it. */
export interface ApiParts {
  readonly nowMs: () => number;
  readonly demoSwitch: Switch;
}

/** A reply has this many words, and so many events: a stream that is over in half a second. */
const REPLY = ["The", " gateway", " let", " this", " through."];
const EVENT_EVERY_MS = 100;

const ChatSchema = v.looseObject(
  {
    message: v.optional(v.pipe(v.string("expected text"), v.maxLength(8000, "expected at most 8000 characters"))),
    stream: v.optional(v.boolean("expected true or false"), false),
  },
  objectFault,
);

const WorkflowSchema = v.looseObject(
  {
    name: v.pipe(
      v.string("expected text"),
      v.minLength(1, "expected 1 to 200 characters"),
      v.maxLength(200, "expected 1 to 200 characters"),
    ),
    needs_approval: v.optional(v.boolean("expected true or false"), false),
  },
  objectFault,
);

const CheckoutSchema = v.looseObject(
  {
    plan: v.optional(v.picklist(["starter", "growth"], 'expected "starter" or "growth"'), "growth"),
  },
  objectFault,
);

/** The routes under `/api`. */
export function createApi({ nowMs, demoSwitch }: ApiParts): Hono<OriginEnv> {
  const api = new Hono<OriginEnv>();
  const workflows = createWorkflowStore(nowMs());
  let served = 0;
  const nextId = (prefix: string) => {
    served += 1;
    return `${prefix}_${served}`;
  };

  api.post("/ai/chat", async (c) => {
    const chat = await bodyAs(c, ChatSchema);
    if (chat instanceof Response) return chat;
    const id = nextId("chat");
    if (!chat.stream && !c.req.header("accept")?.includes("text/event-stream")) {
      return c.json({ id, reply: REPLY.join(""), message: chat.message ?? null });
    }
    return streamSSE(c, async (stream) => {
      for (const [index, text] of REPLY.entries()) {
        if (index > 0) await sleep(EVENT_EVERY_MS);
        if (stream.aborted) return;
        await stream.writeSSE({ event: "token", id: String(index), data: JSON.stringify({ id, text }) });
      }
      await stream.writeSSE({ event: "done", data: "[DONE]" });
    });
  });

  api.get("/workflows", (c) => c.json({ workflows: workflows.list() }));
  api.post("/workflows", async (c) => {
    const workflow = await bodyAs(c, WorkflowSchema);
    if (workflow instanceof Response) return workflow;
    const made = workflows.create(workflow, nowMs());
    return c.json(made, 201, { Location: `/api/workflows/${made.id}` });
  });
  api.get("/workflows/:id", (c) => {
    const workflow = workflows.get(c.req.param("id"));
    return workflow === undefined ? c.json({ error: "no such workflow" }, 404) : c.json(workflow);
  });

  api.get("/billing/plan", (c) => c.json({ plan: "growth", price_cents: 4900, currency: "EUR", renews: "monthly" }));
  api.post("/billing/checkout", async (c) => {
    const order = await bodyAs(c, CheckoutSchema);
    return order instanceof Response
      ? order
      : c.json({ checkout_id: nextId("co"), plan: order.plan, status: "open" }, 201);
  });
  api.on("POST", ["/billing/webhook", "/billing/webhook-event"], async (c) => {
    const { bytes, byteLength } = await readBody(c.env.incoming, BODY_BYTES_MAX);
    if (bytes === null) return c.json({ error: tooLong(byteLength) }, 413);
    return c.json({ received: true });
  });

  api.get("/health", (c) => c.json({ status: "ok" }));
  api.get("/health/summary", (c) => {
    const { database } = demoSwitch.read(nowMs());
    const summary = summarise(workflows, database);
    return c.json(summary, database === "ok" ? 200 : 503);
  });
  return api;
}

/** The body, checked; or the refusal to send. */
async function bodyAs<S extends v.GenericSchema>(
  c: Context<OriginEnv>,
  schema: S,
): Promise<v.InferOutput<S> | Response> {
  const body = await readJson(c.env.incoming);
  if (!body.ok) return c.json({ error: body.error }, body.status);
  const result: Checked<v.InferOutput<S>> = checked(schema, body.value, "body");
  return result.ok ? result.value : c.json({ error: result.error }, 400);
}

function tooLong(byteLength: number): string {
  return `body: expected at most ${BODY_BYTES_MAX} bytes, got ${byteLength}`;
}

function summarise(workflows: WorkflowStore, database: "ok" | "down") {
  const share = (value: number) => Math.round(Math.min(1, Math.max(0, value)) * 100) / 100;
  return {
    status: database === "ok" ? "healthy" : "unhealthy",
    checks: { database, scheduler: "ok" },
    metrics: {
      active_workflows: workflows.count("active"),
      approval_queue: workflows.count("awaiting_approval"),
      cpu: share((loadavg()[0] ?? 0) / availableParallelism()),
      memory: share(1 - freemem() / totalmem()),
    },
  };
}
