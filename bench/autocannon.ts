/**
 * The load as autocannon sends it, for where wrk is missing: a process that takes the arguments of `load.lua` after URL
 * and connections, runs until SIGINT and prints the same line of JSON. It needs several times the CPU of wrk.
 */
import autocannon from "autocannon";

const [url = "", connections = "1", kind = "one", clients = "1", first = "0", ...lines] = process.argv.slice(2);
const DRAWS = 65_536;
const shared = Object.fromEntries(lines.map((line) => line.split(": ", 2)));
const draw = drawn(Number(clients));
let turn = 0;
let refused = 0;

const run = autocannon({
  url,
  connections: Number(connections),
  duration: 60,
  requests: [
    {
      setupRequest: (request) => ({
        ...request,
        ...(kind === "urls" ? { path: `${new URL(url).pathname}?n=${turn}` } : {}),
        headers: { ...shared, "CF-Connecting-IP": nextClient() },
      }),
    },
  ],
});
run.on("response", (_client, status) => {
  if (status >= 400) refused++;
});
process.on("SIGINT", () => run.stop());
console.error("ready");
const { requests, latency, errors, timeouts, duration } = await run;
const { user, system } = process.cpuUsage();
const round = {
  requests: requests.total,
  durationUs: duration * 1e6,
  p50Us: latency.p50 * 1000,
  p99Us: latency.p99 * 1000,
  refused,
  broken: errors + timeouts,
  cpuSeconds: (user + system) / 1e6,
};
console.log(JSON.stringify(round));

function nextClient(): string {
  turn++;
  if (kind === "new") return address(Number(first) + turn);
  return address(Number(first) + (draw[turn % DRAWS] ?? 1));
}

function address(n: number): string {
  return [11 + (n >> 24), (n >> 16) & 255, (n >> 8) & 255, n & 255].join(".");
}

/** Numbers of clients in the order in which they ask. */
function drawn(count: number): readonly number[] {
  const weights: number[] = [];
  let sum = 0;
  for (let i = 1; i <= count; i++) {
    sum += kind === "zipf" ? 1 / i : 1;
    weights.push(sum);
  }
  return Array.from({ length: DRAWS }, () => {
    const at = Math.random() * sum;
    return weights.findIndex((weight) => weight >= at) + 1;
  });
}
