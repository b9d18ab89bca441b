/** Bodies pass through while they are sent, in both directions, at the pace of whoever is slower. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type ClientRequest, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freshClient, type Gateway, startGateway } from "./gateway.ts";
import { type OwnOrigin, startOwnOrigin } from "./own-origin.ts";
import { residentBytes } from "./process-group.ts";
import { ask } from "./reply.ts";
import { echoTexts, textFrame, textIn } from "./web-socket.ts";

const MB = 1_000_000;
const BODY_BYTES = 50 * MB;
const CHUNK = Buffer.alloc(MB / 10, "0123456789");

/** What the sockets between client, gateway and origin may hold of a body that nobody reads. */
const IN_SOCKETS_BYTES_MAX = 40 * MB;

/** How much a runtime process may grow while a body passes: far less than the body. */
const GROWTH_BYTES_MAX = 20 * MB;

/** A pipe is full when nothing has moved for so long. */
const STILL_MS = 500;

type Handler = (incoming: IncomingMessage, outgoing: ServerResponse) => void;

/** What the origin does at a path; each test brings its own. */
const handlers = new Map<string, Handler>();

let origin: OwnOrigin;
let gateway: Gateway;
beforeAll(async () => {
  origin = await startOwnOrigin((incoming, outgoing) => {
    const handler = handlers.get(incoming.url ?? "");
    if (handler === undefined) outgoing.end("ok");
    else handler(incoming, outgoing);
  }, echoTexts);
  gateway = await startGateway({ env: { ORIGIN_URL: origin.url, ORIGIN_TIMEOUT_MS: "2000" } });
});
afterAll(async () => {
  await gateway?.stop();
  await origin?.close();
});

/** A request whose body the test writes itself. */
function open(path: string, method: string): ClientRequest {
  return request(gateway.url + path, { method, headers: { "CF-Connecting-IP": freshClient() } });
}

async function responseTo(outgoing: ClientRequest): Promise<IncomingMessage> {
  const [incoming] = await once(outgoing, "response");
  return incoming;
}

/** Waits until `done` says so; fails after a while. */
async function until(done: () => boolean): Promise<void> {
  const giveUpMs = performance.now() + 20_000;
  while (!done()) {
    if (performance.now() > giveUpMs) throw new Error(`never came true: ${String(done)}`);
    await sleep(5);
  }
}

/** Waits until `read` gives the same twice, `STILL_MS` apart. */
async function untilStill(read: () => number): Promise<number> {
  for (let before = -1; ; ) {
    const now = read();
    if (now === before) return now;
    before = now;
    await sleep(STILL_MS);
  }
}

/** Writes `total` bytes as fast as they are taken; `written` counts what was handed over. */
function pour(into: ClientRequest | ServerResponse, total: number, written: { bytes: number }): void {
  while (written.bytes < total) {
    written.bytes += CHUNK.byteLength;
    if (!into.write(CHUNK)) {
      into.once("drain", () => pour(into, total, written));
      return;
    }
  }
  into.end();
}

/** Watches what the runtime's processes hold; gives the most that one of them grew. */
function watchMemory(): () => number {
  const runtimes = gateway.processes().filter(({ name }) => name === "workerd");
  expect(runtimes.length).toBeGreaterThan(0);
  const before = new Map(runtimes.map(({ pid }) => [pid, residentBytes(pid)]));
  let most = 0;
  const look = () => {
    for (const [pid, bytes] of before) most = Math.max(most, residentBytes(pid) - bytes);
  };
  const timer = setInterval(look, 20);
  return () => {
    clearInterval(timer);
    look();
    return most;
  };
}

describe("an upload of 50 MB", () => {
  it("reaches the origin while it is still being sent", async () => {
    const got = { bytes: 0 };
    handlers.set("/upload", (incoming, outgoing) => {
      incoming.on("data", (chunk: Buffer) => {
        got.bytes += chunk.byteLength;
      });
      incoming.on("end", () => outgoing.end(String(got.bytes)));
    });
    const memory = watchMemory();
    const upload = open("/upload", "POST");
    upload.write(Buffer.alloc(MB));
    await until(() => got.bytes === MB);
    pour(upload, BODY_BYTES - MB, { bytes: 0 });
    const [answer] = await once(await responseTo(upload), "data");
    expect(String(answer)).toBe(String(BODY_BYTES));
    expect(memory()).toBeLessThan(GROWTH_BYTES_MAX);
  });

  it("waits for an origin that does not read it, outside the gateway's memory", async () => {
    let stalled: IncomingMessage | undefined;
    handlers.set("/stalled-upload", (incoming, outgoing) => {
      stalled = incoming.pause();
      let bytes = 0;
      incoming.on("data", (chunk: Buffer) => {
        bytes += chunk.byteLength;
      });
      incoming.on("end", () => outgoing.end(String(bytes)));
      incoming.pause();
      outgoing.writeHead(200).flushHeaders();
    });
    const memory = watchMemory();
    const written = { bytes: 0 };
    const upload = open("/stalled-upload", "PUT");
    const answered = responseTo(upload);
    pour(upload, BODY_BYTES, written);
    await until(() => stalled !== undefined);
    expect(await untilStill(() => written.bytes)).toBeLessThan(IN_SOCKETS_BYTES_MAX);
    expect(memory()).toBeLessThan(GROWTH_BYTES_MAX);
    stalled?.resume();
    const [answer] = await once(await answered, "data");
    expect(String(answer)).toBe(String(BODY_BYTES));
  });
});

describe("a download of 50 MB", () => {
  it("waits for a client that does not read it, outside the gateway's memory", async () => {
    const written = { bytes: 0 };
    handlers.set("/download", (_, outgoing) => pour(outgoing, BODY_BYTES, written));
    const memory = watchMemory();
    const download = open("/download", "GET");
    download.end();
    const incoming = await responseTo(download);
    expect(await untilStill(() => written.bytes)).toBeLessThan(IN_SOCKETS_BYTES_MAX);
    let bytes = 0;
    for await (const chunk of incoming) bytes += (chunk as Buffer).byteLength;
    expect(bytes).toBe(BODY_BYTES);
    expect(memory()).toBeLessThan(GROWTH_BYTES_MAX);
  });

  it("is not cut by the time that response headers may take", async () => {
    handlers.set("/slow-download", (_, outgoing) => {
      outgoing.write("first ");
      setTimeout(() => outgoing.end("last"), 2_500);
    });
    expect((await gateway.request("/slow-download")).text).toBe("first last");
  });

  it("ends at the origin when the client goes away", async () => {
    const written = { bytes: 0 };
    let ended = false;
    handlers.set("/left", (_, outgoing) => {
      outgoing.once("close", () => {
        ended = true;
      });
      pour(outgoing, 1_000 * MB, written);
    });
    const download = open("/left", "GET");
    download.on("error", () => {});
    download.end();
    await once(await responseTo(download), "data");
    download.destroy();
    await until(() => ended);
    expect(written.bytes).toBeLessThan(1_000 * MB);
  });
});

describe("a stream of events", () => {
  it("arrives event by event: the second is sent only when the first has arrived", async () => {
    let send: ((event: string) => void) | undefined;
    handlers.set("/events", (_, outgoing) => {
      outgoing.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" });
      send = (event) => void outgoing.write(`data: ${event}\n\n`);
      send("first");
    });
    const stream = open("/events", "GET");
    stream.end();
    const incoming = await responseTo(stream);
    expect(incoming.headers["content-type"]).toBe("text/event-stream");
    expect(String((await once(incoming, "data"))[0])).toBe("data: first\n\n");
    for (const event of ["second", "third"]) {
      const arrived = once(incoming, "data");
      send?.(event);
      expect(String((await arrived)[0])).toBe(`data: ${event}\n\n`);
    }
    stream.destroy();
  });
});

describe("a WebSocket", () => {
  it("is handed through, with the fields of the limit on its handshake", async () => {
    const headers = {
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": randomBytes(16).toString("base64"),
      "CF-Connecting-IP": freshClient(),
    };
    const handshake = request(`${gateway.url}/socket`, { headers });
    handshake.end();
    const [incoming, socket] = (await once(handshake, "upgrade")) as [IncomingMessage, Socket];
    expect(incoming.statusCode).toBe(101);
    expect(incoming.headers).toMatchObject({ "x-ratelimit-limit": "200", "x-ratelimit-remaining": "199" });
    socket.write(textFrame("hello", randomBytes(4)));
    const [frame] = await once(socket, "data");
    expect(textIn(frame)).toBe("origin: hello");
    socket.destroy();
  });
});

describe("clients that go away in the middle of being counted", () => {
  it("keep nobody else waiting", async () => {
    const client = freshClient();
    const headers = { "CF-Connecting-IP": client };
    for (let round = 0; round < 12; round += 1) {
      const leaving = Array.from({ length: 10 }, () => request(`${gateway.url}/leaving`, { headers }));
      for (const outgoing of leaving) outgoing.on("error", () => {}).end();
      const staying = gateway.request("/staying", { client });
      await sleep(round);
      for (const outgoing of leaving) outgoing.destroy();
      const startMs = performance.now();
      expect((await staying).status).toBe(200);
      expect((await gateway.request("/staying", { client })).status).toBe(200);
      expect(performance.now() - startMs).toBeLessThan(2_500);
    }
  });
});

describe("an origin that does not answer", () => {
  it("is answered for with 504, and is rid of the request by then", async () => {
    let ended = false;
    handlers.set("/silent", (_, outgoing) => {
      outgoing.once("close", () => {
        ended = true;
      });
    });
    const { status, json } = await gateway.request("/silent");
    expect(status).toBe(504);
    expect(json()).toMatchObject({ type: "https://api.levqor.ai/problems/origin-timeout", status: 504 });
    await until(() => ended);
  });
});

describe("an origin that goes away", () => {
  it("is answered for with 502, and used again when it is back", async () => {
    await origin.close();
    const gone = await gateway.request("/gone");
    await origin.open();
    expect(gone.status).toBe(502);
    expect(gone.headers["content-type"]).toBe("application/problem+json");
    expect(gone.headers["cache-control"]).toBe("no-store");
    expect(gone.json()).toMatchObject({
      type: "https://api.levqor.ai/problems/origin-unreachable",
      status: 502,
      instance: "/gone",
      request_id: gone.headers["x-request-id"],
    });
    expect(gone.limit()).toMatchObject({ profile: "default", q: 200, r: 199 });
    expect((await gateway.request("/back")).text).toBe("ok");
  });
});

describe("ORIGIN_URL", () => {
  it("takes the place of the demo origin, which does not start", async () => {
    await expect(ask(`http://127.0.0.1:${gateway.originPort}/`)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });
});
