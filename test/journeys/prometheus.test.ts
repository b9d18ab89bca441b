/** A real Prometheus scrapes the real gateway under traffic, and knows to the request what was sent. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { queries } from "../deploy/dashboard.ts";
import { type RunningPrometheus, startPrometheus } from "../deploy/prometheus-server.ts";
import { needsTool } from "../tools.ts";
import { type Gateway, startGateway } from "./gateway.ts";

const TOKEN = "a-metrics-token-of-24-characters";

needsTool("prometheus")("a Prometheus on the shipped configuration", () => {
  let gateway: Gateway;
  let prometheus: RunningPrometheus;

  beforeAll(async () => {
    gateway = await startGateway({ env: { METRICS_TOKEN: TOKEN } });
    prometheus = await startPrometheus(`127.0.0.1:${gateway.port}`, TOKEN);
  });
  afterAll(async () => {
    await prometheus?.stop();
    await gateway?.stop();
  });

  /** The value of a query that finds one series; null while it finds none. */
  async function value(expr: string): Promise<number | null> {
    const found = await prometheus.query(expr);
    expect(found.length, expr).toBeLessThanOrEqual(1);
    return found[0]?.value ?? null;
  }

  it("counts what was sent, to the request", async () => {
    // Counters that are scraped at 0 first have a rate from the first request on.
    await expect.poll(() => value('sum(levqor_requests_total{profile="ai-chat"})'), { timeout: 30_000 }).toBe(0);
    const chat = { method: "POST", body: "{}", headers: { "Content-Type": "application/json" } };
    for (let i = 0; i < 53; i += 1) await gateway.request("/api/ai/chat", { ...chat, client: "203.0.113.1" });
    for (let i = 0; i < 12; i += 1) await gateway.request("/?demo_status=404");
    for (let i = 0; i < 7; i += 1) await gateway.request("/?demo_cut=before-headers");
    for (let i = 0; i < 5; i += 1) await gateway.request("/api/billing/webhook", { method: "POST" });
    for (let i = 0; i < 9; i += 1) await gateway.request("/api/health/summary");
    const expected = {
      'levqor_requests_total{profile="ai-chat",outcome="admitted"}': 50,
      'levqor_requests_total{profile="ai-chat",outcome="refused"}': 3,
      'levqor_requests_total{profile="default",outcome="admitted"}': 12,
      'levqor_requests_total{profile="default",outcome="failed"}': 7,
      'levqor_requests_total{outcome="exempt"}': 5,
      'levqor_requests_total{profile="health",outcome="cached"}': 9,
      'levqor_responses_total{profile="default",status="4xx"}': 12,
      'levqor_response_time_seconds_count{profile="ai-chat"}': 50,
      'levqor_response_time_seconds_bucket{profile="ai-chat",le="+Inf"}': 50,
      levqor_counter_failures_total: 0,
      levqor_circuit_breaker_open: 0,
    };
    const told = async () =>
      Object.fromEntries(
        await Promise.all(Object.keys(expected).map(async (expr) => [expr, await value(`sum(${expr})`)])),
      );
    await expect.poll(told, { timeout: 60_000, interval: 1_000 }).toEqual(expected);
    // And it stays so: nothing is counted twice.
    await sleep(8_000);
    expect(await told()).toEqual(expected);
    expect(await value('levqor_requests_per_minute{kind="offered"}')).toBe(50 + 3 + 12 + 7 + 9);
    expect(await value('levqor_requests_per_minute{kind="admitted"}')).toBe(50 + 12 + 7);
  });

  it("finds data for every query of the dashboard", async () => {
    const unanswered = async () => {
      const empty: string[] = [];
      for (const { panel, expr } of queries("15s"))
        if ((await prometheus.query(expr)).length === 0) empty.push(`${panel}: ${expr}`);
      return empty;
    };
    await expect.poll(unanswered, { timeout: 60_000, interval: 2_000 }).toEqual([]);
  });

  it("sees what the gateway sees of load, and the recording rules agree with it", async () => {
    const tiers = await prometheus.query("levqor_load_tier == 1");
    expect(tiers.map(({ metric }) => metric["tier"])).toHaveLength(1);
    const recorded = await prometheus.query('{__name__=~"levqor:.*"}');
    expect(new Set(recorded.map(({ metric }) => metric["__name__"])).size).toBeGreaterThanOrEqual(6);
  });
});
