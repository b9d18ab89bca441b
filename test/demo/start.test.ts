/** What `npm start` makes of its environment, and what it shows of the gateway's output. */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { killMarked, MARK_NAME, marked } from "../../demo/descendants.ts";
import { gatewayLogFilter } from "../../demo/gateway-log.ts";
import { expectFreePort } from "../../demo/ports.ts";
import { type Environment, readSettings } from "../../demo/settings.ts";
import { welcome } from "../../demo/welcome.ts";

const read = (env: Environment) => readSettings(env, { root: "/repo", workingDirectory: "/srv/here" });

describe("readSettings", () => {
  const DEFAULTS = {
    port: 8787,
    originPort: 8788,
    originUrl: "http://127.0.0.1:8788",
    stateDir: "/repo/.wrangler/state",
    vars: {
      ORIGIN_URL: "http://127.0.0.1:8788",
      ADMIN_TOKEN: "dev",
      SIGNAL_REFRESH_SECONDS: "1",
      COUNTER_TIMEOUT_MS: "3000",
    },
  };

  it("needs nothing", () => {
    expect(read({})).toEqual(DEFAULTS);
  });

  it("reads an empty value as unset", () => {
    expect(read({ PORT: "", ORIGIN_URL: "", STATE_DIR: "", ADMIN_TOKEN: "", COUNTER_SHARDS: "" })).toEqual(DEFAULTS);
  });

  it("puts the gateway in front of another origin, and starts none", () => {
    const settings = read({ ORIGIN_URL: "https://api.example.com/v1", ORIGIN_PORT: "not even read" });
    expect(settings).toMatchObject({ originPort: null, originUrl: "https://api.example.com/v1" });
    expect(settings.vars).toMatchObject({ ORIGIN_URL: "https://api.example.com/v1" });
  });

  it("passes vars on as they are written, whatever is in them", () => {
    const vars = {
      COUNTER_SHARDS: "16",
      PUBLISH_SECONDS: "2",
      ORIGIN_TIMEOUT_MS: "600000",
      COUNTER_TIMEOUT_MS: "1",
      SIGNAL_REFRESH_SECONDS: "3600",
      CORS_ALLOW_ORIGINS: "https://a.example:8443,https://b.example",
      ADMIN_TOKEN: 'a:b,"c" d',
      METRICS_TOKEN: "m",
      SIGNAL_TOKEN: "s",
      ORIGIN_SECRET: "new,old",
    };
    expect(read(vars).vars).toEqual({ ORIGIN_URL: "http://127.0.0.1:8788", ...vars });
  });

  it("passes nothing else on", () => {
    expect(read({ HOME: "/root", ORIGIN: "x", EDGE_KV: "y" })).toEqual(DEFAULTS);
  });

  it.each([
    { given: "state", becomes: "/srv/here/state" },
    { given: "/var/state", becomes: "/var/state" },
  ])("reads STATE_DIR=$given from where it was typed", ({ given, becomes }) => {
    expect(read({ STATE_DIR: given }).stateDir).toBe(becomes);
  });

  it.each([
    [{ PORT: "0" }, 'PORT: expected a port 1..65535, got "0"'],
    [{ PORT: "65536" }, 'PORT: expected a port 1..65535, got "65536"'],
    [{ PORT: "80.5" }, 'PORT: expected a port 1..65535, got "80.5"'],
    [{ PORT: " 80" }, 'PORT: expected a port 1..65535, got " 80"'],
    [{ PORT: "0x50" }, 'PORT: expected a port 1..65535, got "0x50"'],
    [{ ORIGIN_PORT: "http" }, 'ORIGIN_PORT: expected a port 1..65535, got "http"'],
    [{ PORT: "9000", ORIGIN_PORT: "9000" }, 'ORIGIN_PORT: expected another port than PORT, got "9000"'],
    [{ ORIGIN_URL: "api.example.com" }, 'ORIGIN_URL: expected an http or https URL, got "api.example.com"'],
    [{ ORIGIN_URL: "ftp://x" }, 'ORIGIN_URL: expected an http or https URL, got "ftp://x"'],
    [{ COUNTER_SHARDS: "0" }, 'COUNTER_SHARDS: expected a whole number 1..1024, got "0"'],
    [{ COUNTER_SHARDS: "1025" }, 'COUNTER_SHARDS: expected a whole number 1..1024, got "1025"'],
    [{ COUNTER_SHARDS: "8.5" }, 'COUNTER_SHARDS: expected a whole number 1..1024, got "8.5"'],
    [{ SIGNAL_REFRESH_SECONDS: "0.5" }, 'SIGNAL_REFRESH_SECONDS: expected a number 1..3600, got "0.5"'],
    [{ PUBLISH_SECONDS: "-1" }, 'PUBLISH_SECONDS: expected a number 1..3600, got "-1"'],
    [{ ORIGIN_TIMEOUT_MS: "30s" }, 'ORIGIN_TIMEOUT_MS: expected a number 1..600000, got "30s"'],
    [{ COUNTER_TIMEOUT_MS: "60001" }, 'COUNTER_TIMEOUT_MS: expected a number 1..60000, got "60001"'],
    [{ COUNTER_TIMEOUT_MS: "NaN" }, 'COUNTER_TIMEOUT_MS: expected a number 1..60000, got "NaN"'],
  ])("refuses %o in one line", (env, line) => {
    expect(() => read(env)).toThrow(expect.objectContaining({ name: "SettingError", message: line }));
  });
});

describe("expectFreePort", () => {
  it("names the setting whose port is taken, and is content once it is free", async () => {
    const taker = createServer();
    const port = await new Promise<number>((resolve) => {
      taker.listen(0, "127.0.0.1", () => resolve(portOf(taker.address())));
    });
    await expect(expectFreePort("PORT", port)).rejects.toThrow(
      `PORT: port ${port} on 127.0.0.1 cannot be opened: it is taken`,
    );
    await new Promise((resolve) => taker.close(resolve));
    await expectFreePort("PORT", port);
  });

  function portOf(address: ReturnType<ReturnType<typeof createServer>["address"]>): number {
    return typeof address === "object" ? (address?.port ?? 0) : 0;
  }
});

describe("killMarked", () => {
  it.skipIf(process.platform !== "linux")("ends a child's child that has lost its parent", async () => {
    const mark = randomUUID();
    const grandchild = `spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" }).unref()`;
    const child = spawn(process.execPath, ["-e", `require("child_process").${grandchild}`], {
      env: { ...process.env, [MARK_NAME]: mark },
    });
    await once(child, "exit");
    expect(marked(mark)).toHaveLength(1);
    expect(await killMarked(mark, 2000)).toBe(true);
    expect(marked(mark)).toEqual([]);
  });
});

describe("welcome", () => {
  it("names both addresses and gives commands that a shell takes as they are", () => {
    const text = welcome({ ...read({ PORT: "9001" }), stateDir: "/tmp/it's here" });
    expect(text).toContain("http://127.0.0.1:9001");
    expect(text).toContain("http://127.0.0.1:8788");
    expect(text.match(/curl /g)).toHaveLength(3);
    expect(text).toContain(`--persist-to '/tmp/it'\\''s here'`);
  });
});

describe("the gateway's output", () => {
  it("shows the Worker's lines and every error, not the start nor a line per request", () => {
    const isWorthShowing = gatewayLogFilter();
    const lines = [
      "Your Worker has access to the following bindings:",
      "[wrangler:error] something is wrong at once",
      "[wrangler:info] Ready on http://127.0.0.1:8787",
      "[wrangler:info] GET /api/ai/chat 200 OK (3ms)",
      "tables: version 2 in force",
      "[wrangler:error] Error: boom",
      "    at Object.fetch",
    ];
    expect(lines.filter(isWorthShowing)).toEqual([
      "[wrangler:error] something is wrong at once",
      "tables: version 2 in force",
      "[wrangler:error] Error: boom",
      "    at Object.fetch",
    ]);
  });
});
