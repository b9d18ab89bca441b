/**
 * The least a proxy can be: Hono, one handler, the request handed to the origin as it is and the answer handed back as
 * it is. It reads no header, sets none and decides nothing.
 */
import { Hono } from "hono";
import { targetOf } from "./target.ts";

const app = new Hono<{ Bindings: { ORIGIN_URL: string } }>();
app.all("*", (c) => fetch(c.env.ORIGIN_URL + targetOf(c.req.url), c.req.raw));

export default app;
