import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { SCALING } from "../../src/policy/scaling.ts";
import { needsTool, pathOf } from "../tools.ts";
import { type Database, loadSpecification, type Template, templateFaults } from "./cloudformation.ts";
import { jsonOf, ROOT, textOf } from "./files.ts";
import { type Ended, run } from "./run.ts";

const TOKEN = "a-metrics-token-of-24-characters";
const PUBLISH = join(ROOT, "deploy/aws/publish-recommendation.ts");
const TEMPLATE = jsonOf("aws/auto-scaling.template.json") as Template;

let scratch = "";
const servers: Server[] = [];

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "levqor-aws-"));
});
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  }
  rmSync(scratch, { recursive: true });
});

async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(answer);
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A gateway that recommends, to whoever has the metrics token. */
function gateway(recommended: unknown): Promise<string> {
  return serve((request, response) => {
    const isAllowed = request.headers.authorization === `Bearer ${TOKEN}` && request.url === "/_edge/scaling";
    response.statusCode = isAllowed ? 200 : 401;
    response.end(JSON.stringify(isAllowed ? { recommended_instances: recommended, peak_rps: 500, triggers: [] } : {}));
  });
}

/** Puts a program named `aws` first on the path. */
function aws(script: string): string {
  writeFileSync(join(scratch, "aws"), `#!/bin/sh\n${script}\n`);
  chmodSync(join(scratch, "aws"), 0o755);
  return `${scratch}${delimiter}${process.env["PATH"]}`;
}

function publish(edgeUrl: string, path: string, env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const token = join(scratch, "token");
  writeFileSync(token, `${TOKEN}\n`);
  return run(process.execPath, [PUBLISH], {
    env: { EDGE_URL: edgeUrl, METRICS_TOKEN_FILE: token, PATH: path, ...env },
  });
}

describe("deploy/aws/auto-scaling.template.json", () => {
  let database: Database;
  beforeAll(async () => {
    database = await loadSpecification();
  });

  it("has only resources and properties that CloudFormation knows, all it requires, each of its type", () => {
    expect(templateFaults(TEMPLATE, database)).toEqual([]);
  });

  it("would be found out if it were wrong", () => {
    const text = textOf("aws/auto-scaling.template.json");
    const wrong = (from: string, to: string) =>
      templateFaults(JSON.parse(text.replace(from, to)) as Template, database);
    expect(wrong('"MinSize": "2",', "")).toEqual(["Instances.MinSize: required"]);
    expect(wrong('"Cooldown"', '"CoolDown"')).toEqual(["Instances.CoolDown: no such property"]);
    expect(wrong('"HealthCheckGracePeriod": 60', '"HealthCheckGracePeriod": "60"')).toHaveLength(1);
    expect(wrong('"Ref": "Subnets"', '"Ref": "Subnet"')).toHaveLength(1);
    expect(wrong('"Stat": "Maximum",', "")).toHaveLength(1);
  });

  it("keeps 2 to 10 instances, checked by the load balancer, with a grace of 60 s and a cooldown of 300 s", () => {
    expect(TEMPLATE.Resources["Instances"]?.Properties).toMatchObject({
      MinSize: String(SCALING.minInstances),
      MaxSize: String(SCALING.maxInstances),
      HealthCheckType: "ELB",
      HealthCheckGracePeriod: 60,
      Cooldown: "300",
    });
    expect(TEMPLATE.Resources["FollowRecommendation"]?.Properties).toMatchObject({
      PolicyType: "TargetTrackingScaling",
      EstimatedInstanceWarmup: 300,
      TargetTrackingConfiguration: { TargetValue: 1 },
    });
  });
});

describe("deploy/aws/publish-recommendation.ts", () => {
  it("publishes the metric that the policy reads, and says so", async () => {
    const path = aws(`printf '%s\\n' "$@" > ${scratch}/arguments`);
    expect(await publish(await gateway(8), path)).toEqual({
      status: 0,
      stdout: "Levqor/Edge RecommendedInstances Gateway=127.0.0.1: 8\n",
      stderr: "",
    });
    expect(readFileSync(join(scratch, "arguments"), "utf8").trim().split("\n")).toEqual([
      ...["cloudwatch", "put-metric-data"],
      ...["--namespace", "Levqor/Edge"],
      ...["--metric-name", "RecommendedInstances"],
      ...["--dimensions", "Gateway=127.0.0.1"],
      ...["--unit", "Count"],
      ...["--value", "8"],
    ]);
    const policy = JSON.stringify(TEMPLATE.Resources["FollowRecommendation"]);
    expect(policy).toContain('"Namespace":"Levqor/Edge","MetricName":"RecommendedInstances"');
    expect(policy).toContain('"Dimensions":[{"Name":"Gateway","Value":{"Ref":"GatewayHost"}}]');
  });

  it.each([
    { name: "the token is wrong", status: 401, line: /_edge\/scaling: answers 401: the token is wrong\n$/ },
    { name: "the gateway has no token", status: 404, line: /answers 404: the gateway has no METRICS_TOKEN\n$/ },
    { name: "the gateway is overloaded", status: 503, line: /answers 503\n$/ },
    { name: "the gateway redirects", status: 302, line: /_edge\/scaling: [^\n]+\n$/ },
  ])("publishes nothing when $name", async ({ status, line }) => {
    const path = aws(`touch ${scratch}/published; exit 9`);
    const url = await serve((_, response) => response.writeHead(status, { Location: "/elsewhere" }).end());
    const ended = await publish(url, path);
    expect(ended).toMatchObject({ status: 1, stdout: "" });
    expect(ended.stderr).toMatch(line);
    expect(ended.stderr).not.toContain("aws");
  });

  it.each([null, 0, 2.5, "8", 1e9])("takes %j for no recommendation", async (recommended) => {
    const { status, stderr } = await publish(await gateway(recommended), aws("exit 9"));
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: `recommended_instances: expected 1..10000, got ${JSON.stringify(recommended)}\n`,
    });
  });

  it("passes on why AWS refuses", async () => {
    const { status, stderr } = await publish(await gateway(8), aws("echo 'AccessDenied: no' >&2; exit 254"));
    expect({ status, stderr }).toEqual({ status: 1, stderr: "aws cloudwatch put-metric-data: AccessDenied: no\n" });
  });

  it.each([
    { name: "EDGE_URL", env: { EDGE_URL: "" }, line: 'EDGE_URL: expected an http(s) URL, got ""\n' },
    {
      name: "METRICS_TOKEN_FILE",
      env: { METRICS_TOKEN_FILE: "/nowhere" },
      line: /^METRICS_TOKEN_FILE: ENOENT[^\n]*\n$/,
    },
  ])("says in one line that $name is wrong", async ({ env, line }) => {
    const ended = await publish("http://127.0.0.1:9", aws("exit 9"), env);
    expect(ended.status).toBe(1);
    expect(ended.stderr).toMatch(line);
  });
});

needsTool("aws")("deploy/aws/publish-recommendation.ts with the real AWS CLI", () => {
  it("puts the metric into CloudWatch", async () => {
    let received = "";
    const cloudWatch = await serve((request, response) => {
      request.setEncoding("utf8").on("data", (text: string) => {
        received += text;
      });
      request.on("end", () => response.writeHead(200, { "Content-Type": "text/xml" }).end("<PutMetricDataResponse/>"));
    });
    const real = pathOf("aws", process.env["PATH"] ?? "");
    const path = aws(`exec ${real} --endpoint-url ${cloudWatch} "$@"`);
    const env = { AWS_ACCESS_KEY_ID: "none", AWS_SECRET_ACCESS_KEY: "none", AWS_DEFAULT_REGION: "eu-west-1" };
    expect(await publish(await gateway(8), path, env)).toMatchObject({
      status: 0,
      stderr: "",
    });
    const decoded = decodeURIComponent(received);
    for (const part of ["Levqor/Edge", "RecommendedInstances", "Gateway", "127.0.0.1", "Count"])
      expect(decoded).toContain(part);
    expect(decoded).toMatch(/Value(?:=|"?: ?)8/);
  });
});
