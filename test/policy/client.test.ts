import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { clientOf } from "../../src/policy/client.ts";

/** Random cases take their time on a machine that does something else as well. */
vi.setConfig({ testTimeout: 60_000 });

const NOBODY = { key: "no-address", address: null, isOneAddress: false };
const FOREIGN = "2a06:98c0:3600::103";

describe("clientOf", () => {
  it.each([
    { name: "IPv4 as it is", ip: "203.0.113.9", key: "203.0.113.9", address: "203.0.113.9" },
    { name: "the lowest IPv4", ip: "0.0.0.0", key: "0.0.0.0", address: "0.0.0.0" },
    { name: "the highest IPv4", ip: "255.255.255.255", key: "255.255.255.255", address: "255.255.255.255" },
    { name: "mapped IPv4 as IPv4", ip: "::ffff:203.0.113.9", key: "203.0.113.9", address: "203.0.113.9" },
    { name: "mapped IPv4 in hex as IPv4", ip: "::ffff:cb00:7109", key: "203.0.113.9", address: "203.0.113.9" },
    { name: "mapped IPv4 in capitals", ip: "::FFFF:CB00:7109", key: "203.0.113.9", address: "203.0.113.9" },
    { name: "mapped IPv4 in full", ip: "0:0:0:0:0:ffff:203.0.113.9", key: "203.0.113.9", address: "203.0.113.9" },
    { name: "mapped IPv4 of zeros", ip: "::ffff:0:0", key: "0.0.0.0", address: "0.0.0.0" },
    { name: "IPv6 by its /64", ip: "2001:db8:1:2:3:4:5:6", key: "2001:db8:1:2::/64", address: "2001:db8:1:2:3:4:5:6" },
    { name: "IPv6 in capitals", ip: "2001:DB8::A", key: "2001:db8::/64", address: "2001:db8::a" },
    { name: "IPv6 with zeros written", ip: "2001:0db8:0:0:0:0:0:0001", key: "2001:db8::/64", address: "2001:db8::1" },
    { name: "IPv6 with zeros in front", ip: "0:0:1:2::9", key: "0:0:1:2::/64", address: "0:0:1:2::9" },
    { name: "a single zero group", ip: "1:0:2:3:4:5:6:7", key: "1:0:2:3::/64", address: "1:0:2:3:4:5:6:7" },
    { name: "a :: for a single group", ip: "1::2:3:4:5:6:7", key: "1:0:2:3::/64", address: "1:0:2:3:4:5:6:7" },
    { name: "the first of two longest runs", ip: "1:0:0:2:0:0:3:4", key: "1:0:0:2::/64", address: "1::2:0:0:3:4" },
    { name: "the longer of two runs", ip: "1:0:0:2:0:0:0:4", key: "1:0:0:2::/64", address: "1:0:0:2::4" },
    { name: "a :: at the end", ip: "1:2:3:4:5:6:7::", key: "1:2:3:4::/64", address: "1:2:3:4:5:6:7:0" },
    { name: "the unspecified address", ip: "::", key: "::/64", address: "::" },
    { name: "the loopback", ip: "::1", key: "::/64", address: "::1" },
    {
      name: "IPv4 at the end that is not mapped",
      ip: "64:ff9b::192.0.2.1",
      key: "64:ff9b::/64",
      address: "64:ff9b::c000:201",
    },
    { name: "IPv4 that is compatible, not mapped", ip: "::192.0.2.1", key: "::/64", address: "::c000:201" },
    { name: "ffff one group further up", ip: "::ffff:0:203.0.113.9", key: "::/64", address: "::ffff:0:cb00:7109" },
    {
      name: "the longest spelling",
      ip: "2001:0db8:0001:0002:0003:0004:255.255.255.255",
      key: "2001:db8:1:2::/64",
      address: "2001:db8:1:2:3:4:ffff:ffff",
    },
    {
      name: "the neighbour of foreign Workers",
      ip: "2a06:98c0:3600::104",
      key: "2a06:98c0:3600::/64",
      address: "2a06:98c0:3600::104",
    },
  ])("counts $name", ({ ip, key, address }) => {
    expect(clientOf(ip, null)).toEqual({ key, address, isOneAddress: true });
    expect(clientOf(ip, "evil.example"), "a zone buys nothing from here").toEqual({ key, address, isOneAddress: true });
  });

  it.each([
    { name: "no field", ip: null },
    { name: "an empty field", ip: "" },
    { name: "a blank", ip: " " },
    { name: "a word", ip: "localhost" },
    { name: "IPv4 with a space", ip: " 1.2.3.4" },
    { name: "IPv4 with a line end", ip: "1.2.3.4\n" },
    { name: "IPv4 with a dot", ip: "1.2.3.4." },
    { name: "IPv4 with a leading zero", ip: "01.2.3.4" },
    { name: "IPv4 with 256", ip: "1.2.3.256" },
    { name: "IPv4 of three numbers", ip: "1.2.3" },
    { name: "IPv4 of five numbers", ip: "1.2.3.4.5" },
    { name: "IPv4 in hex", ip: "0x1.2.3.4" },
    { name: "IPv4 as one number", ip: "16909060" },
    { name: "IPv4 with a port", ip: "1.2.3.4:80" },
    { name: "IPv4 with a mask", ip: "1.2.3.4/32" },
    { name: "IPv4 in foreign digits", ip: "\u0661.2.3.4" },
    { name: "two addresses", ip: "1.2.3.4, 5.6.7.8" },
    { name: "IPv6 in brackets", ip: "[2001:db8::1]" },
    { name: "IPv6 with a zone", ip: "fe80::1%eth0" },
    { name: "IPv6 with an encoded zone", ip: "fe80::1%25eth0" },
    { name: "IPv6 of seven groups", ip: "1:2:3:4:5:6:7" },
    { name: "IPv6 of nine groups", ip: "1:2:3:4:5:6:7:8:9" },
    { name: "IPv6 with a :: for nothing", ip: "1:2:3:4::5:6:7:8" },
    { name: "IPv6 with two ::", ip: "1::2::3" },
    { name: "IPv6 with three colons", ip: "1:::2" },
    { name: "nothing but three colons", ip: ":::" },
    { name: "one colon", ip: ":" },
    { name: "IPv6 with a colon in front", ip: ":1:2:3:4:5:6:7:8" },
    { name: "IPv6 with a colon behind", ip: "1:2:3:4:5:6:7:8:" },
    { name: "IPv6 with five digits", ip: "2001:db8::00001" },
    { name: "IPv6 with a letter past f", ip: "2001:db8::g" },
    { name: "IPv6 with a mask", ip: "2001:db8::/64" },
    { name: "IPv4 in front of ::", ip: "1.2.3.4::" },
    { name: "IPv4 in the middle", ip: "::1.2.3.4:5" },
    { name: "IPv4 after too many groups", ip: "1:2:3:4:5:6:7:1.2.3.4" },
    { name: "mapped IPv4 with 256", ip: "::ffff:1.2.3.256" },
    { name: "mapped IPv4 of three numbers", ip: "::ffff:1.2.3" },
    { name: "ten thousand colons", ip: ":".repeat(10_000) },
    { name: "ten thousand groups", ip: "1:".repeat(10_000) },
    { name: "ten thousand numbers", ip: "1.".repeat(10_000) },
  ])("lets all without a readable address share one key: $name", ({ ip }) => {
    expect(clientOf(ip, null)).toEqual(NOBODY);
    expect(clientOf(ip, "app.example"), "a zone buys nothing from here").toEqual(NOBODY);
  });

  it.each([
    { name: "a zone", zone: "app.example", key: "worker:app.example" },
    { name: "a zone in capitals", zone: "App.EXAMPLE", key: "worker:app.example" },
    { name: "a zone of one letter", zone: "a", key: "worker:a" },
    { name: "a zone of 253 characters", zone: "a".repeat(253), key: `worker:${"a".repeat(253)}` },
    { name: "no zone", zone: null, key: "worker:" },
    { name: "an empty zone", zone: "", key: "worker:" },
    { name: "a zone of 254 characters", zone: "a".repeat(254), key: "worker:" },
    { name: "a zone with a space", zone: "app example", key: "worker:" },
    { name: "a zone with a slash", zone: "app/example", key: "worker:" },
    { name: "a zone with a line end", zone: "app.example\n", key: "worker:" },
    { name: "a zone that begins with a dot", zone: ".example", key: "worker:" },
    { name: "a zone outside ASCII", zone: "\u00e4.example", key: "worker:" },
  ])("tells foreign Workers apart by $name", ({ zone, key }) => {
    for (const ip of [FOREIGN, "2A06:98C0:3600:0:0:0:0:103", "2a06:98c0:3600:0000::0.0.1.3"])
      expect(clientOf(ip, zone)).toEqual({ key, address: FOREIGN, isOneAddress: false });
  });
});

const aGroup = fc.oneof(fc.constantFrom(0, 0, 0, 1, 0xffff), fc.nat(0xffff));
const anAddress = fc.tuple(aGroup, aGroup, aGroup, aGroup, aGroup, aGroup, aGroup, aGroup);

/** One of the many texts of an address, chosen by numbers: digits, case, where `::` stands, IPv4 at the end. */
function spelled(groups: readonly number[], [digits, zeros, length, end]: readonly number[]): string {
  const group = (value: number, index: number) => {
    const hex = value.toString(16).padStart(1 + (((digits ?? 0) >> (2 * index)) & 3), "0");
    return ((digits ?? 0) >> (16 + index)) & 1 ? hex.toUpperCase() : hex;
  };
  const parts = groups.map(group);
  const [high = 0, low = 0] = groups.slice(6);
  if (end === 0) parts.splice(6, 2, [high >> 8, high & 255, low >> 8, low & 255].join("."));
  const from = (zeros ?? 0) % parts.length;
  let to = from;
  while (to < parts.length && to - from <= (length ?? 0) && groups[to] === 0 && !parts[to]?.includes(".")) to++;
  if (to === from) return parts.join(":");
  return `${parts.slice(0, from).join(":")}::${parts.slice(to).join(":")}`;
}

const aSpelling = fc.tuple(fc.nat(0xffffff), fc.nat(7), fc.nat(7), fc.nat(3));

/** What the URL standard makes of a text as an IPv6 host: its canonical form, or null. */
function byUrlStandard(text: string): string | null {
  return /^[0-9a-f:.]*$/i.test(text) ? (URL.parse(`http://[${text}]/`)?.hostname.slice(1, -1) ?? null) : null;
}

/** Any sequence of UTF-16 units, lone surrogates among them. */
const anyText = fc
  .array(fc.oneof(fc.nat(0x7f), fc.nat(0xffff)), { maxLength: 60 })
  .map((units) => String.fromCharCode(...units));

describe("clientOf, over random addresses", () => {
  it("gives every spelling of an address one key and one address", () => {
    fc.assert(
      fc.property(anAddress, aSpelling, aSpelling, (groups, one, other) => {
        const client = clientOf(spelled(groups, one), null);
        expect(client.isOneAddress).toBe(true);
        expect(clientOf(spelled(groups, other), null)).toEqual(client);
      }),
      { numRuns: 3_000 },
    );
  });

  it("gives two addresses one key exactly when they share a /64", () => {
    fc.assert(
      fc.property(anAddress, anAddress, fc.nat(4), fc.nat(0xffff), aSpelling, (one, other, at, value, how) => {
        // Under ::/64 lie the mapped addresses, which count as IPv4.
        fc.pre(one.slice(0, 4).some((group) => group !== 0));
        const near = [...one.slice(0, 4), ...other.slice(4)];
        const moved = near.map((group, index) => (index === at ? value : group));
        fc.pre(moved.slice(0, 4).some((group) => group !== 0));
        const key = clientOf(spelled(one, how), null).key;
        expect(clientOf(spelled(near, how), null).key).toBe(key);
        expect(clientOf(spelled(moved, how), null).key === key).toBe(at === 4 || one[at] === value);
      }),
      { numRuns: 3_000 },
    );
  });

  it("gives two IPv4 addresses two keys, and the mapped form of each its own", () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.ipV4(), (one, other) => {
        expect(clientOf(one, null).key).toBe(one);
        expect(clientOf(`::ffff:${other}`, null)).toEqual(clientOf(other, null));
      }),
    );
  });

  it("writes an address as the URL standard does", () => {
    fc.assert(
      fc.property(anAddress, aSpelling, (groups, how) => {
        fc.pre(groups.slice(0, 5).some((group) => group !== 0) || groups[5] !== 0xffff);
        expect(clientOf(spelled(groups, how), null).address).toBe(byUrlStandard(spelled(groups, how)));
      }),
      { numRuns: 3_000 },
    );
  });

  it("reads as IPv6 what the URL standard reads, and nothing else", () => {
    const piece = fc.constantFrom(
      ":",
      ":",
      "::",
      "0",
      "1",
      "ffff",
      "ABCD",
      "12345",
      "g",
      "1.2.3.4",
      "1.2.3",
      ".",
      "00",
    );
    const text = fc.oneof(
      fc.array(piece, { maxLength: 16, size: "max" }).map((pieces) => pieces.join("")),
      fc
        .array(fc.constantFrom("0", "1", "fe80", "ffff", "", "1.2.3.4"), { maxLength: 9 })
        .map((groups) => groups.join(":")),
    );
    fc.assert(
      fc.property(text, (ip) => {
        fc.pre(ip.includes(":"));
        expect(clientOf(ip, null).address === null).toBe(byUrlStandard(ip) === null);
      }),
      { numRuns: 5_000 },
    );
  });

  it("answers any text with a bounded key", () => {
    fc.assert(
      fc.property(anyText, fc.option(anyText), (ip, zone) => {
        expect(clientOf(ip, zone).key.length).toBeLessThanOrEqual(64);
        expect(clientOf(FOREIGN, zone).key.length).toBeLessThanOrEqual("worker:".length + 253);
      }),
      { numRuns: 2_000 },
    );
  });
});
