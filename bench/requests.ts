/**
 * What the load is made of: who asks, how often, and with which header fields.
 */
import type { Path } from "./tables.ts";

/** Who the clients of a load are. */
export type Crowd =
  /** One client, as fast as it can. */
  | { readonly kind: "one" }
  /** One client, each request with a query of its own. */
  | { readonly kind: "urls" }
  /** Every request from an address never seen before. */
  | { readonly kind: "new" }
  /** This many clients, each as likely as any other. */
  | { readonly kind: "even"; readonly clients: number }
  /** This many clients; the n-th of them asks 1/n times as often as the first. */
  | { readonly kind: "zipf"; readonly clients: number };

/** A stream of requests. */
export interface Load {
  readonly path: Path;
  readonly crowd: Crowd;
  /** Header fields of each request, `Host` and `CF-Connecting-IP` among them. */
  readonly headers: 2 | 15;
  readonly connections: number;
}

/** What a browser sends besides `Host` and the address: thirteen more. */
const BROWSER: readonly string[] = [
  "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
  "Accept: application/json, text/plain, */*",
  "Accept-Language: en-GB,en;q=0.9,de;q=0.8",
  "Accept-Encoding: gzip, deflate, br, zstd",
  "Referer: https://app.levqor.ai/workflows/42",
  "Origin: https://app.levqor.ai",
  "Cookie: session=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08; theme=dark",
  'Sec-Ch-Ua: "Chromium";v="142", "Not_A Brand";v="99"',
  "Sec-Ch-Ua-Mobile: ?0",
  'Sec-Ch-Ua-Platform: "Linux"',
  "Sec-Fetch-Dest: empty",
  "Sec-Fetch-Mode: cors",
  "Sec-Fetch-Site: same-site",
];

/** The fields of a load besides `Host` and `CF-Connecting-IP`, as lines. */
export function furtherFields({ headers }: Load): readonly string[] {
  return headers === 15 ? BROWSER : [];
}
