/**
 * Signs what is forwarded, so that an origin can refuse what came round the gateway.
 *
 * `X-Levqor-Signature: t=<unix s>,v1=<hex>`: HMAC-SHA256 over `t`, method, target as sent, `X-Forwarded-For`,
 * `X-Levqor-Tier` and `X-Request-Id`, joined by line feeds. One `v1` for each secret, so that an origin accepts both
 * while one is replaced.
 */

/** Makes the value of the signature field; null where nothing is signed. */
export type Signer = ((method: string, url: string, headers: Headers, nowMs: number) => Promise<string>) | null;

/** A signer for `secrets`; null for none. Keys are imported once. */
export function createSigner(secrets: readonly string[]): Signer {
  if (secrets.length === 0) return null;
  let keys: Promise<readonly CryptoKey[]> | null = null;
  return async (method, url, headers, nowMs) => {
    keys ??= Promise.all(secrets.map(importKey));
    const t = Math.floor(nowMs / 1000);
    const signed = ["x-forwarded-for", "x-levqor-tier", "x-request-id"].map((name) => headers.get(name) ?? "");
    const message = new TextEncoder().encode([t, method, targetAsSent(url), ...signed].join("\n"));
    const signatures = (await keys).map(async (key) => `v1=${hex(await crypto.subtle.sign("HMAC", key, message))}`);
    return [`t=${t}`, ...(await Promise.all(signatures))].join(",");
  };
}

function importKey(secret: string): Promise<CryptoKey> {
  const bytes = new TextEncoder().encode(secret);
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
}

/** Path and query as `fetch` puts them on the wire: the platform resolves dot segments and backslashes. */
function targetAsSent(url: string): string {
  const { href, origin } = new URL(url);
  return href.slice(origin.length);
}

function hex(bytes: ArrayBuffer): string {
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
