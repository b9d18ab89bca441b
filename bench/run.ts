/**
 * `npm run bench`: what the gateway costs, beside a bare proxy, a proxy that only writes its fields, a constant refusal,
 * a naive limiter and `hono-rate-limiter`, in bare workerd on this machine.
 *
 *     npm run bench                         all of it, some minutes; writes bench/results.svg
 *     npm run bench -- --quick              under a minute, for orientation
 *     npm run bench -- --json FILE          the figures as JSON
 *     npm run bench -- --svg FILE           the chart, here rather than there
 *     npm run bench -- --strict             exit 1 where a budget is missed
 *     npm run bench -- --only busy,flood    only pairs whose name begins so; no subjects alone, no counting
 *
 * Needs Linux. `apt-get install wrk` gives the load generator it is made for; without wrk it uses autocannon, which
 * takes much more of a processor. Exit 1 where something could not be measured.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { type AloneResult, measureAlone } from "./alone.ts";
import { chartOf } from "./chart.ts";
import { type Cost, countLoad } from "./counting.ts";
import { newEvidence } from "./evidence.ts";
import { GENERATOR } from "./load.ts";
import { measurePaced, PACED } from "./paced.ts";
import { type Ground, measurePair, type PairResult } from "./pair.ts";
import { ALONE, FULL, PAIRS, type PathName, QUICK } from "./plan.ts";
import { checkBaselines, refusalOfGateway } from "./preflight.ts";
import { canPin, layout, machineName } from "./processors.ts";
import { reportOf } from "./report.ts";
import { documentOf, type Results, verdictsOf } from "./results.ts";
import { simulatePaced } from "./simulation.ts";
import { bundleAll, moduleOf, serveOrigin } from "./subjects.ts";

const HERE = fileURLToPath(new URL(".", import.meta.url));

const options = readOptions();

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

async function main(): Promise<number> {
  if (process.platform !== "linux") throw new Error("npm run bench: expected Linux, whose /proc tells CPU time apart");
  installPeers();
  if (GENERATOR === "autocannon") console.log("wrk is not installed: `apt-get install wrk`. Using autocannon.");
  if (!canPin()) console.log("taskset is not installed: `apt-get install util-linux`. Nothing is pinned.");
  const { results, failures } = await measure();
  console.log(`\n${reportOf(results)}`);
  for (const failure of failures) console.error(`NOT MEASURED: ${failure}`);
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(documentOf(results), null, 2)}\n`);
  const isWhole = !options.quick && options.only === undefined && failures.length === 0;
  const chart = options.svg ?? (isWhole ? `${HERE}results.svg` : undefined);
  if (chart !== undefined && results.alone.length > 0) await writeFile(chart, chartOf(results));
  const missed = verdictsOf(results).some(({ met }) => met === false);
  return failures.length > 0 || (options.strict && missed) ? 1 : 0;
}

/** The options, or one line and exit 1. */
function readOptions() {
  try {
    return parseArgs({
      options: {
        quick: { type: "boolean", default: false },
        strict: { type: "boolean", default: false },
        json: { type: "string" },
        svg: { type: "string" },
        only: { type: "string" },
      },
    }).values;
  } catch (error) {
    console.error(`npm run bench: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  }
}

/** What only the benchmark needs is not among the repository's own dependencies. */
function installPeers(): void {
  if (existsSync(`${HERE}node_modules/hono-rate-limiter`)) return;
  console.log("npm ci --prefix bench");
  execFileSync("npm", ["ci", "--prefix", HERE, "--no-fund", "--no-audit"], { stdio: "inherit" });
}

async function measure(): Promise<{ readonly results: Results; readonly failures: readonly string[] }> {
  const effort = options.quick ? QUICK : FULL;
  const prefixes = options.only?.split(",");
  const chosen = PAIRS.filter(
    ({ id, quick }) => prefixes?.some((prefix) => id.startsWith(prefix)) ?? (!options.quick || quick === true),
  );
  if (chosen.length === 0)
    throw new Error(`--only: expected beginnings of ${PAIRS.map(({ id }) => id).join(", ")}, got ${options.only}`);
  const failures: string[] = [];
  const places = layout();
  say("bundling");
  const modules = await bundleAll();
  const origin = await serveOrigin(modules, places.rest);
  const unready = { modules, originUrl: origin.urlOf("origin"), refusal: "" };
  const stage = { ...unready, refusal: await refusalOfGateway(unready) };
  await checkBaselines(stage);
  const evidence = newEvidence();
  const ground: Ground = { stage, originPid: origin.pid, layout: places, effort, evidence };

  /** One thing that fails must not take the rest along. */
  async function attempt<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    say(what);
    try {
      return await work();
    } catch (error) {
      failures.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  }

  const pairs: PairResult[] = [];
  for (const plan of chosen) {
    const what = `${plan.id}: ${plan.subject} beside ${plan.baseline}`;
    const pair = await attempt(what, () => measurePair(plan, ground));
    if (pair !== undefined) pairs.push(pair);
  }

  const alone: AloneResult[] = [];
  const costs = new Map<PathName, Cost>();
  let paced: ReadonlyMap<string, Cost> = new Map();
  if (prefixes === undefined) {
    for (const plan of ALONE) {
      alone.push(...((await attempt(`${plan.path}: each alone`, () => measureAlone(plan, ground))) ?? []));
      const cost = await attempt(`${plan.path}: counter calls`, () => countLoad(plan.load, ground));
      if (cost !== undefined) costs.set(plan.path, cost);
    }
    paced = (await attempt("paced: counter calls", () => measurePaced(stage, effort.pacedWindows))) ?? paced;
  }
  await origin.stop();
  const results: Results = {
    machine: machineName(),
    date: new Date().toISOString(),
    isQuick: options.quick,
    generator: GENERATOR,
    pairs,
    alone,
    costs,
    paced,
    simulated: new Map(PACED.map((plan) => [plan.id, simulatePaced(plan)])),
    bundleKib: gzipSync(readFileSync(moduleOf(modules, "gateway"))).length / 1024,
    shares: evidence.summary(),
  };
  return { results, failures };
}

function say(what: string): void {
  console.log(`${(process.uptime() / 60).toFixed(1).padStart(4)} min  ${what}`);
}
