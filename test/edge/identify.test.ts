/** Who is counted, where the runtime names no address, or one that many share. */
import { describe, expect, it } from "vitest";
import { type Isolate, limitOf, startIsolate } from "./gateway.ts";

/** Units left after each of `clients` has sent one. */
async function leftAfter(isolate: Isolate, clients: readonly (string | null)[], headers = {}): Promise<number[]> {
  const left = [];
  for (const client of clients) left.push(limitOf(await isolate.send("/", { client, headers }))?.r ?? -1);
  return left;
}

describe("a client", () => {
  it.each([
    { name: "none", client: null },
    { name: "an empty one", client: "" },
    { name: "a word", client: "localhost" },
    { name: "two", client: "192.0.2.1, 192.0.2.2" },
    { name: "one with a port", client: "192.0.2.1:443" },
    { name: "one in brackets", client: "[2001:db8::1]" },
    { name: "one with a zone", client: "fe80::1%eth0" },
    { name: "one too short", client: "192.0.2" },
    { name: "one out of range", client: "192.0.2.256" },
    { name: "one in octal", client: "0300.0.2.1" },
    { name: "one as a number", client: "3221225985" },
    { name: "one with two gaps", client: "2001::db8::1" },
    { name: "one of nine groups", client: "1:2:3:4:5:6:7:8:9" },
    { name: "very much", client: "1".repeat(10_000) },
  ])("whose address is $name shares its limit with all such", async ({ client }) => {
    const isolate = startIsolate();
    expect(await leftAfter(isolate, [null, client, "garbage"], { "X-Forwarded-For": "198.51.100.1" })).toEqual([
      199, 198, 197,
    ]);
    for (const { headers } of isolate.forwarded) {
      expect(headers.has("X-Forwarded-For")).toBe(false);
      expect(headers.has("X-Real-IP")).toBe(false);
    }
  });

  it.each([
    { name: "one IPv4 address", clients: ["192.0.2.1", "::ffff:192.0.2.1", "::FFFF:C000:0201"], left: [199, 198, 197] },
    { name: "two IPv4 addresses", clients: ["192.0.2.1", "192.0.2.2"], left: [199, 199] },
    {
      name: "one /64 of IPv6",
      clients: ["2001:db8::1", "2001:0DB8:0:0:ffff::", "2001:db8:0:0:1:2:192.0.2.1"],
      left: [199, 198, 197],
    },
    { name: "two /64 of IPv6", clients: ["2001:db8::1", "2001:db8:0:1::1"], left: [199, 199] },
  ])("is told apart by $name", async ({ clients, left }) => {
    expect(await leftAfter(startIsolate(), clients)).toEqual(left);
  });

  it("that is a Worker of another zone is told apart by its zone", async () => {
    const isolate = startIsolate();
    const fromWorkers = (zone: string) => leftAfter(isolate, ["2a06:98c0:3600::103"], { "CF-Worker": zone });
    expect(await fromWorkers("one.example")).toEqual([199]);
    expect(await fromWorkers("two.example")).toEqual([199]);
    expect(await fromWorkers("ONE.example")).toEqual([198]);
    expect(isolate.forwarded.at(-1)?.headers.get("X-Forwarded-For")).toBe("2a06:98c0:3600::103");
  });

  it("that only claims to be one gains nothing", async () => {
    const isolate = startIsolate();
    expect(await leftAfter(isolate, ["192.0.2.1"], { "CF-Worker": "one.example" })).toEqual([199]);
    expect(await leftAfter(isolate, ["192.0.2.1"], { "CF-Worker": "two.example" })).toEqual([198]);
  });
});
