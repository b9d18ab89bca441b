/**
 * The fleet for people: the whole matrix on eight real isolates, and the crowd of a million clients in memory.
 *
 *     node bench/fleet/run.ts                  all of it, some six minutes
 *     node bench/fleet/run.ts --only matrix    real isolates alone; `--only crowd`: the simulation alone
 *     node bench/fleet/run.ts --svg FILE       the cost curve as a chart
 *
 * Exit 1 where a limit was passed, too little was admitted, or the machine did not carry what a row offers: such a row
 * shows nothing, and is named INVALID. The tests of `test/fleet` check the same and more.
 */
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { type CrowdResult, runCrowd } from "../../test/fleet/crowd.ts";
import { totalOf } from "../../test/fleet/curve.ts";
import { type Run, runUntilCarried } from "../../test/fleet/matrix.ts";
import { CORNER, CROWD, CROWD_SIZES, largeRow, smallRows } from "../../test/fleet/rows.ts";
import { machineName } from "../processors.ts";
import { curveOf } from "./chart.ts";
import { booksReport, decilesReport, matrixReport, totalsReport } from "./report.ts";

const SEED = 20_261_123;
const EFFICIENCY_MIN = 0.95;
/** Loads of the largest limit that a machine can carry. */
const LARGE_LOADS = [0.9, 1, 1.5, 2];

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));

const { values } = parseArgs({ options: { only: { type: "string" }, svg: { type: "string" } } });
const { only, svg } = values;
if (only !== undefined && only !== "matrix" && only !== "crowd")
  throw new RangeError(`--only: expected matrix or crowd, got ${only}`);

console.log(`${machineName()}, ${new Date().toISOString()}`);
const isMatrixKept = only === "crowd" || (await matrix());
const isCrowdKept = only === "matrix" || (await crowd());
process.exitCode = isMatrixKept && isCrowdKept ? 0 : 1;

async function matrix(): Promise<boolean> {
  const groups = [smallRows(), ...LARGE_LOADS.map((load) => [largeRow(load)])];
  const tries: (readonly Run[])[] = [];
  for (const rows of groups) tries.push(await runUntilCarried(rows, SEED));
  const last = tries.flatMap((runs) => runs.slice(-1));
  const rows = last.flatMap(({ outcomes }) => outcomes);
  const simulated = runCrowd(CORNER);
  const { worstShare, efficiency } = totalOf(simulated);
  console.log(`
Eight isolates in one workerd. Worst: the largest share of its limit that any client had in any window, by the counter's
clock. Of log: what was admitted, of what an exact sliding log admits on the same arrivals. Calls: times that a counter
was asked about a client, per 1,000 requests. Trip: until the end of a response. Late: sent after its time.

${matrixReport(rows, simulated)}

${last.map(booksReport).join("\n")}`);
  const every = tries.flat().flatMap(({ outcomes }) => outcomes);
  const isNeverOver = [...every, { worstShare }].every((row) => row.worstShare <= 1);
  return (
    isNeverOver && efficiency >= EFFICIENCY_MIN && rows.every((row) => row.valid && row.efficiency >= EFFICIENCY_MIN)
  );
}

async function crowd(): Promise<boolean> {
  const results: CrowdResult[] = CROWD_SIZES.map((isolates) => runCrowd({ ...CROWD, isolates }));
  if (svg !== undefined) await writeFile(svg, curveOf(results));
  console.log(`
A million clients by Zipf, ${CROWD.perSecond} requests a second, a limit of ${CROWD.limit} a minute; simulated, ${CROWD.windows - CROWD.unmeasured} minutes. Per 1,000
requests: calls are batches, asks are clients in them, rows are writes. Lowest: of clients who reach their limit.

${totalsReport(results)}

Asks per 1,000 requests, by popularity: each line is a tenth of all requests. In brackets: requests of one client that
one isolate sees in a minute.

${decilesReport(results)}`);
  return results.map(totalOf).every(({ worstShare, lowest }) => worstShare <= 1 && lowest >= EFFICIENCY_MIN);
}
