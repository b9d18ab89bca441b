/**
 * Publishes what the gateway recommends as a CloudWatch metric, once: for the policy in `auto-scaling.template.json`.
 *
 * Run it every minute from one place (a cron job, a systemd timer), with Node 24 and the AWS CLI:
 *   EDGE_URL=https://api.levqor.ai METRICS_TOKEN_FILE=/etc/levqor/metrics-token node publish-recommendation.ts
 * It needs `cloudwatch:PutMetricData` and the metrics token, never the admin token.
 *
 * Where the gateway does not answer, nothing is published: a metric without data scales nobody, a made-up one would.
 */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

/** Where the metric is; the template reads it there. */
const NAMESPACE = "Levqor/Edge";
const METRIC = "RecommendedInstances";

const ANSWER_TIMEOUT_MS = 10_000;
const PUBLISH_TIMEOUT_MS = 30_000;

/** Far above any group: what is more is no recommendation. */
const INSTANCES_MAX = 10_000;

/** A reason not to publish, in one line. */
class NotPublished extends Error {}

type Environment = Readonly<Record<string, string | undefined>>;

async function publish(env: Environment): Promise<string> {
  const url = gatewayUrl(env);
  const instances = await recommendation(url, await tokenFrom(env));
  const dimensions = `Gateway=${url.hostname}`;
  const metric = ["--namespace", NAMESPACE, "--metric-name", METRIC, "--dimensions", dimensions];
  try {
    await promisify(execFile)(
      "aws",
      ["cloudwatch", "put-metric-data", ...metric, "--unit", "Count", "--value", String(instances)],
      { timeout: PUBLISH_TIMEOUT_MS },
    );
  } catch (error) {
    throw new NotPublished(`aws cloudwatch put-metric-data: ${lastLineOf(error)}`);
  }
  return `${NAMESPACE} ${METRIC} ${dimensions}: ${instances}`;
}

function gatewayUrl(env: Environment): URL {
  const url = URL.parse(env["EDGE_URL"] ?? "");
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new NotPublished(`EDGE_URL: expected an http(s) URL, got ${JSON.stringify(env["EDGE_URL"] ?? "")}`);
  return url;
}

async function tokenFrom(env: Environment): Promise<string> {
  const path = env["METRICS_TOKEN_FILE"];
  if (path === undefined) throw new NotPublished("METRICS_TOKEN_FILE: expected a file with the metrics token");
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (error) {
    throw new NotPublished(`METRICS_TOKEN_FILE: ${lastLineOf(error)}`);
  }
}

async function recommendation(url: URL, token: string): Promise<number> {
  const answer = await ask(new URL("/_edge/scaling", url), token);
  const instances = answer?.recommended_instances;
  if (typeof instances !== "number" || !Number.isInteger(instances) || instances < 1 || instances > INSTANCES_MAX)
    throw new NotPublished(`recommended_instances: expected 1..${INSTANCES_MAX}, got ${JSON.stringify(instances)}`);
  return instances;
}

/** A redirect is no answer, and would carry the token elsewhere. */
async function ask(url: URL, token: string): Promise<{ readonly recommended_instances?: unknown } | null> {
  const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  try {
    const response = await fetch(url, { headers: { Authorization: `Bearer ${token}` }, redirect: "error", signal });
    if (response.ok) return (await response.json()) as { readonly recommended_instances?: unknown } | null;
    await response.body?.cancel();
    throw new NotPublished(`${url.href}: answers ${response.status}${HINTS.get(response.status) ?? ""}`);
  } catch (error) {
    if (error instanceof NotPublished) throw error;
    throw new NotPublished(`${url.href}: ${lastLineOf(error)}`);
  }
}

const HINTS: ReadonlyMap<number, string> = new Map([
  [401, ": the token is wrong"],
  [404, ": the gateway has no METRICS_TOKEN"],
]);

/** Of a program that failed, or of a call that did not get through, what says why. */
function lastLineOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? error.cause : error;
  return ("stderr" in cause ? String(cause.stderr) : "").trim().split("\n").at(-1) || cause.message;
}

try {
  process.stdout.write(`${await publish(process.env)}\n`);
} catch (error) {
  if (!(error instanceof NotPublished)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
