/**
 * Runs the public suite for HTTP caches (cache-tests.fyi) against the gateway, and tells what of it holds.
 *
 *     npm install --no-save http-cache-tests@0.4.5 node-fetch@2 && node test/journeys/cache-suite.ts
 *
 * It is no part of `npm test`: the suite brings a package manager along. Exit 1 where something it calls required fails
 * that is not excused below. `optimal` and `check` are told and not judged: most of them ask for guessed lifetimes.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../free-port.ts";
import { NODE, ROOT, startGateway } from "./gateway.ts";

/** What the suite requires and the gateway does otherwise, by the beginning of its name. */
const EXCUSED: readonly (readonly [id: string, why: string])[] = [
  [
    "age-parse-",
    "RFC 9111 section 5.1 ignores an invalid Age; this release of the suite is older, its present source agrees",
  ],
  [
    "stale-close-",
    "it takes our 502, which has none of its fields, for an answer from the cache; its present source does not",
  ],
  ["headers-store-Content-Length", "the proxy of wrangler dev packs the body, and its length with it"],
  ["304-etag-update-response-Content-Length", "as before"],
  [
    "304-etag-update-response-Content-MD5",
    "RFC 9111 section 3.2 updates it; the suite's present source leaves it open",
  ],
  ["304-etag-update-response-ETag", "a 304 for another entity confirms nothing (section 4.3.4): it is fetched anew"],
  ["headers-store-Set-Cookie", "never kept"],
  ["304-etag-update-response-Set-Cookie", "never kept"],
  ["invalidate-M-SEARCH", "the platform answers 501 to methods it does not know"],
];

interface SuiteTest {
  readonly id: string;
  readonly name: string;
  readonly kind?: "required" | "optimal" | "check";
  readonly browser_only?: boolean;
}
type Suites = readonly { readonly tests: readonly SuiteTest[] }[];
interface Runner {
  runTests(suites: Suites, fetch: unknown, browser: boolean, base: string, atOnce: number): Promise<void>;
  getResults(): Readonly<Record<string, true | readonly [string, string]>>;
}

const LIMITS = { low: 1_000_000, medium: 1_000_000, high: 1_000_000, critical: 1_000_000 };
const suite = (path: string) => join(ROOT, "node_modules/http-cache-tests", path);

async function main(): Promise<number> {
  const runner = (await import(suite("client/runner.mjs"))) as Runner;
  const { default: suites } = (await import(suite("tests/index.mjs"))) as { readonly default: Suites };
  const { default: fetch } = (await import(join(ROOT, "node_modules/node-fetch/lib/index.mjs"))) as {
    readonly default: unknown;
  };
  const port = await freePort();
  const settings = { protocol: "http", port: String(port), pidfile: join(tmpdir(), `cache-suite-${port}.pid`) };
  const named = Object.entries(settings).map(([name, value]) => [`npm_config_${name}`, value]);
  const env = { ...process.env, ...Object.fromEntries(named) };
  const origin = spawn(NODE, [suite("server/server.mjs")], { env, stdio: ["ignore", "pipe", "ignore"] });
  await once(origin.stdout, "data");
  const gateway = await startGateway({ env: { ORIGIN_URL: `http://127.0.0.1:${port}` } });
  try {
    await gateway.putKv("tier-tables", JSON.stringify({ profiles: { default: { limits: LIMITS } } }));
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    await runner.runTests(suites, fetch, false, gateway.url, 40);
  } finally {
    await gateway.stop();
    origin.kill();
  }
  return tell(suites, runner.getResults());
}

function tell(suites: Suites, results: ReturnType<Runner["getResults"]>): number {
  const tally: Record<string, { passed: number; failed: number }> = {};
  let bad = 0;
  for (const { id, name, kind = "required", browser_only } of suites.flatMap(({ tests }) => tests)) {
    if (browser_only === true) continue;
    const counts = tally[kind] ?? { passed: 0, failed: 0 };
    tally[kind] = counts;
    const result = results[id];
    if (result === true) {
      counts.passed += 1;
      continue;
    }
    counts.failed += 1;
    const excuse = EXCUSED.find(([start]) => id.startsWith(start))?.[1];
    if (kind === "required" && excuse === undefined) bad += 1;
    console.log(`${kind}  ${id}: ${name} (${result?.[1] ?? "no result"})${excuse === undefined ? "" : ` - ${excuse}`}`);
  }
  for (const [kind, { passed, failed }] of Object.entries(tally))
    console.log(`${kind}: ${passed} hold, ${failed} do not`);
  console.log(bad === 0 ? "nothing required fails that is not excused" : `${bad} required fail without an excuse`);
  return bad === 0 ? 0 : 1;
}

process.exit(await main());
