import { once } from "node:events";
import { rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { EXPOSITION_CONTENT_TYPE } from "../../src/operate/exposition.ts";
import { needsTool } from "../tools.ts";
import { queries } from "./dashboard.ts";
import { yamlOf } from "./files.ts";
import { strangersIn } from "./metric-names.ts";
import { copyOfConfiguration, type RunningPrometheus, startPrometheus } from "./prometheus-server.ts";
import { run } from "./run.ts";
import { wholePage } from "./whole-page.ts";

const TOKEN = "a-metrics-token-of-24-characters";

interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly labels?: { readonly severity?: string };
  readonly annotations?: { readonly summary?: string; readonly description?: string };
}

function rulesOf(file: string): readonly Rule[] {
  const [document] = yamlOf(file) as readonly { groups: readonly { rules: readonly Rule[] }[] }[];
  return document?.groups.flatMap(({ rules }) => rules) ?? [];
}

const RECORDED = rulesOf("prometheus/rules.yml");
const ALERTS = rulesOf("prometheus/alerts.rules.yml");

describe("deploy/prometheus", () => {
  it("asks only for metrics and labels that the gateway has, and for series that it records", () => {
    const recorded = new Set(RECORDED.map(({ record }) => record));
    for (const { expr } of [...RECORDED, ...ALERTS]) {
      expect(strangersIn(expr)).toEqual([]);
      for (const [series] of expr.matchAll(/levqor:[\w:]+/g)) expect(recorded).toContain(series);
    }
  });

  it("has an alert for all that an operator must know, each with a severity, a summary and what to do", () => {
    expect(ALERTS.map(({ alert }) => alert)).toEqual([
      "LevqorRefusalsHigh",
      "LevqorTierCritical",
      "LevqorSignalStale",
      "LevqorConfigRefused",
      "LevqorCounterFailures",
      "LevqorBreakerOpen",
      "LevqorOriginErrors",
      "LevqorNotScraped",
    ]);
    for (const { labels, annotations } of ALERTS) {
      expect(["warning", "critical"]).toContain(labels?.severity);
      expect(annotations?.summary).toBeTruthy();
      expect(annotations?.description).toBeTruthy();
    }
  });

  it("tells for every alert a story in which it fires and one in which it does not", () => {
    const [stories] = yamlOf("prometheus/tests/alerts.test.yml") as readonly {
      tests: readonly { alert_rule_test: readonly { alertname: string; exp_alerts: readonly unknown[] }[] }[];
    }[];
    const told = stories?.tests.flatMap((story) => story.alert_rule_test) ?? [];
    const names = (fires: boolean) => told.filter((at) => at.exp_alerts.length > 0 === fires).map((at) => at.alertname);
    for (const { alert } of ALERTS) {
      expect(names(true)).toContain(alert);
      expect(names(false)).toContain(alert);
    }
  });

  it("scrapes one target with the metrics token, out of a file", () => {
    expect(yamlOf("prometheus/prometheus.yml")).toMatchObject([
      {
        rule_files: ["rules.yml", "alerts.rules.yml"],
        scrape_configs: [
          {
            job_name: "levqor-edge",
            scheme: "https",
            metrics_path: "/metrics",
            authorization: { type: "Bearer", credentials_file: "metrics-token" },
            static_configs: [{ targets: ["api.levqor.ai"] }],
          },
        ],
      },
    ]);
  });
});

needsTool("promtool")("deploy/prometheus, as promtool sees it", () => {
  let directory = "";
  beforeAll(() => {
    directory = copyOfConfiguration(TOKEN);
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it.each([
    { name: "takes the configuration with its rules", args: ["check", "config", "prometheus.yml"] },
    { name: "takes the rules", args: ["check", "rules", "rules.yml", "alerts.rules.yml"] },
    { name: "finds every story of the rules true", args: ["test", "rules", "tests/rules.test.yml"] },
    { name: "finds every story of the alerts true", args: ["test", "rules", "tests/alerts.test.yml"] },
  ])("$name", async ({ args }) => {
    const { status, stdout, stderr } = await run("promtool", args, { cwd: directory });
    expect({ status, faults: `${stdout}${stderr}`.match(/FAILED|error|warning/gi) }).toEqual({
      status: 0,
      faults: null,
    });
  });

  it("has nothing to say of the page but that three names of the contract have the word counter in them", async () => {
    const { stdout, stderr } = await run("promtool", ["check", "metrics"], { input: wholePage(1) });
    const said = `${stdout}${stderr}`.trim().split("\n").sort();
    const names = ["levqor_counter_calls_total", "levqor_counter_failures_total", "levqor_counter_rows_written_total"];
    expect(said).toEqual(names.map((name) => `${name} metric name should not include type 'counter'`));
  });

  it("would refuse a page that is broken", async () => {
    const { status } = await run("promtool", ["check", "metrics"], {
      input: wholePage(1).replace('le="+Inf"', 'le="x'),
    });
    expect(status).not.toBe(0);
  });
});

needsTool("prometheus")("deploy/prometheus, in a real Prometheus that scrapes every metric there is", () => {
  let exporter: Server;
  let prometheus: RunningPrometheus;

  beforeAll(async () => {
    let scrapes = 0;
    exporter = createServer((request, response) => {
      const isAllowed = request.headers.authorization === `Bearer ${TOKEN}` && request.url === "/metrics";
      response.writeHead(isAllowed ? 200 : 401, { "Content-Type": EXPOSITION_CONTENT_TYPE });
      response.end(isAllowed ? wholePage(++scrapes) : "");
    });
    exporter.listen(0, "127.0.0.1");
    await once(exporter, "listening");
    prometheus = await startPrometheus(`127.0.0.1:${(exporter.address() as AddressInfo).port}`, TOKEN);
  }, 60_000);
  afterAll(async () => {
    await prometheus?.stop();
    exporter?.closeAllConnections();
    exporter?.close();
  });
  afterEach(async () => {
    expect(await prometheus.query('up{job="levqor-edge"}')).toMatchObject([{ value: 1 }]);
  });

  /** Waits until a query finds figures. */
  async function findsData(expr: string): Promise<void> {
    await expect
      .poll(async () => (await prometheus.query(expr)).filter(({ value }) => Number.isFinite(value)).length, {
        timeout: 30_000,
        interval: 250,
        message: expr,
      })
      .toBeGreaterThan(0);
  }

  it("finds data for every query of the dashboard", { timeout: 60_000 }, async () => {
    for (const { expr } of queries("10s")) await findsData(expr);
  });

  it("finds data for every series that is recorded", { timeout: 60_000 }, async () => {
    for (const { record = "" } of RECORDED) await findsData(record);
  });

  it("watches for every alert, and none of them fails to be evaluated", { timeout: 60_000 }, async () => {
    await expect
      .poll(async () => (await rules()).map(({ health }) => health), { timeout: 30_000, interval: 250 })
      .toEqual(Array<string>(RECORDED.length + ALERTS.length).fill("ok"));
    const names = (await rules()).filter(({ type }) => type === "alerting").map(({ name }) => name);
    expect(names).toEqual(ALERTS.map(({ alert }) => alert));
  });

  async function rules(): Promise<readonly { name: string; type: string; health: string }[]> {
    const response = await fetch(`${prometheus.url}/api/v1/rules`);
    const { data } = (await response.json()) as {
      data: { groups: readonly { name: string; rules: readonly { name: string; type: string; health: string }[] }[] };
    };
    const groups = [...data.groups].sort((a, b) => a.name.localeCompare(b.name));
    return groups.flatMap((group) => group.rules);
  }
});
