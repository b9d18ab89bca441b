/** `npm run load`, as an operator types it beside a running gateway. */
import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Gateway, NODE, ROOT, startGateway } from "./gateway.ts";

/** A change of a document is seen within this. */
const SEEN_WITHIN_MS = 5_000;

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(() => gateway?.stop());

async function load(...args: readonly string[]): Promise<string> {
  const env = { ...process.env, STATE_DIR: gateway.stateDir };
  return (await promisify(execFile)(NODE, ["deploy/commands/load.ts", ...args], { cwd: ROOT, env })).stdout;
}

/** The first tier that a client is told other than `before`. */
async function tierAfter(before: string): Promise<string | undefined> {
  const untilMs = Date.now() + SEEN_WITHIN_MS;
  for (;;) {
    const tier = (await gateway.request("/echo")).limit()?.tier;
    if (tier !== before || Date.now() > untilMs) return tier;
    await sleep(50);
  }
}

it("publishes a rate, pins a load over it, and lets go of it again", async () => {
  await load("publish", "650");
  expect(await tierAfter("low")).toBe("high");
  await load("pin", "0.9", "--for", "10m");
  expect(await tierAfter("high")).toBe("critical");
  expect(await load("show")).toMatch(/"until"[\s\S]+load +0\.90 \(pinned\)\ntier +critical/);
  await load("unpin");
  expect(await tierAfter("critical")).toBe("high");
});

it.each([
  { args: ["pin", "2"], says: "LOAD: expected a number 0..1, got 2" },
  { args: ["pin", "0.5", "--for", "soon"], says: "--for: expected a duration such as 90s, 10m or 2h, got soon" },
  { args: ["publish", "-1"], says: "Unknown option '-1'" },
  { args: ["publish"], says: "RPM: expected a number 0..9007199254740991, got nothing" },
  { args: ["hold"], says: "expected show, publish, pin or unpin, got hold" },
])("refuses $args with a line that says why", async ({ args, says }) => {
  await expect(load(...args)).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining(says) });
});
