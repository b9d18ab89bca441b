/**
 * Who is counted: an address as the runtime names it, reduced to one partition key per client.
 *
 * IPv4 counts as it is. IPv6 counts by its /64: a single host owns all of one, so anything finer is no limit at all;
 * the price is that hosts which share a /64 share a limit. IPv4-mapped IPv6 is the IPv4 address it maps. Workers of
 * other zones all call from one address and are told apart by the zone that Cloudflare names. What has no readable
 * address shares one key, so that leaving it out buys nothing.
 *
 * Pure. Sources: RFC 4291 section 2.2 (text form), RFC 5952 (canonical form).
 */

/** Who is counted. */
export interface Client {
  /** Partition key; at most 64 characters of an address, or `worker:` and a host name of at most 253. */
  readonly key: string;
  /** The address in canonical form; null where there was none to read. */
  readonly address: string | null;
  /** false: many who call may share this key, from anywhere. */
  readonly isOneAddress: boolean;
}

/** All Workers of other zones call from here. */
const FOREIGN_WORKERS = "2a06:98c0:3600::103";
const NO_ADDRESS: Client = Object.freeze({ key: "no-address", address: null, isOneAddress: false });
const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?$/;
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;

/**
 * The client behind an address.
 *
 * @param connectingIp `CF-Connecting-IP` as received; null when absent.
 * @param workerZone `CF-Worker` as received; null when absent. Believed only from the address that Workers call from.
 */
export function clientOf(connectingIp: string | null, workerZone: string | null): Client {
  if (connectingIp === null) return NO_ADDRESS;
  if (IPV4.test(connectingIp)) return { key: connectingIp, address: connectingIp, isOneAddress: true };
  const groups = parseIpv6(connectingIp);
  if (groups === null) return NO_ADDRESS;
  const mapped = mappedIpv4(groups);
  if (mapped !== null) return { key: mapped, address: mapped, isOneAddress: true };
  const address = formatIpv6(groups);
  if (address === FOREIGN_WORKERS) return { key: workerKey(workerZone), address, isOneAddress: false };
  return { key: `${formatIpv6([...groups.slice(0, 4), 0, 0, 0, 0])}/64`, address, isOneAddress: true };
}

function workerKey(zone: string | null): string {
  const name = zone?.toLowerCase() ?? "";
  return HOST_NAME.test(name) ? `worker:${name}` : "worker:";
}

/** Eight groups of 16 bits; null if `text` is no IPv6 address. A zone index (`%eth0`) is none: it never leaves a link. */
function parseIpv6(text: string): readonly number[] | null {
  if (text.length > 45) return null;
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const head = parseGroups(halves[0] ?? "", halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? "", true) : [];
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1) return missing === 0 ? head : null;
  return missing >= 1 ? [...head, ...Array<number>(missing).fill(0), ...tail] : null;
}

/** The groups of one side of `::`. Only at the end of the address may the last 32 bits be written as IPv4. */
function parseGroups(text: string, isEnd: boolean): number[] | null {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16));
    else if (isEnd && index === parts.length - 1 && IPV4.test(part)) groups.push(...groupsOfIpv4(part));
    else return null;
  }
  return groups;
}

function groupsOfIpv4(text: string): [number, number] {
  const [a = 0, b = 0, c = 0, d = 0] = text.split(".").map(Number);
  return [a * 256 + b, c * 256 + d];
}

/** `::ffff:0:0/96`. */
function mappedIpv4(groups: readonly number[]): string | null {
  const [a, b, c, d, e, f, high = 0, low = 0] = groups;
  if (a !== 0 || b !== 0 || c !== 0 || d !== 0 || e !== 0 || f !== 0xffff) return null;
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

/** RFC 5952: lower case, no leading zeros, the first longest run of two or more zero groups as `::`. */
function formatIpv6(groups: readonly number[]): string {
  let start = -1;
  let length = 1;
  for (let i = 0; i < groups.length; i++) {
    let end = i;
    while (groups[end] === 0) end++;
    if (end - i > length) [start, length] = [i, end - i];
  }
  const hex = (part: readonly number[]) => part.map((group) => group.toString(16)).join(":");
  return start < 0 ? hex(groups) : `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`;
}
