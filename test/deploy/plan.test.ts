import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, readArguments } from "../../deploy/commands/plan-arguments.ts";
import { run } from "./run.ts";

const PLAN = fileURLToPath(new URL("../../deploy/commands/plan.ts", import.meta.url));
let scratch = "";

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "levqor-plan-"));
});
afterAll(() => {
  rmSync(scratch, { recursive: true });
});

function plan(...args: readonly string[]) {
  return run(process.execPath, [PLAN, ...args]);
}

function written(name: string, text: string): string {
  const path = join(scratch, name);
  writeFileSync(path, text);
  return path;
}

describe("npm run plan", () => {
  it("turns a peak of 500 a second into 8 instances, and names the bottleneck", async () => {
    const { status, stdout, stderr } = await plan("--peak-rps", "500");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(/^500 requests a second at the peak: 8 instances of 1 GB/);
    expect(stdout).toMatch(/^ {2}1 GB +8 +400-800 +800 +160 +80$/m);
    expect(stdout).toMatch(/^ {2}4 GB +3 +600-1200 +1200 +240 +120$/m);
    expect(stdout).toMatch(/^Bottleneck: AI calls and workflows\./m);
    expect(stdout).toMatch(/^ {2}critical +28800 +50 +10 +20 +10 +30$/m);
    expect(stdout.split("\n").every((line) => line.length <= 120)).toBe(true);
  });

  it("says the same in JSON", async () => {
    const { status, stdout } = await plan("--peak-rps", "500", "--json");
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      peak_rps: 500,
      instances: 8,
      instance_types: [
        {
          memory_gb: 1,
          instances: 8,
          fleet_carries: { users: 800, workflows_per_minute: 160, ai_calls_per_minute: 80 },
        },
        { memory_gb: 2, instances: 5 },
        { memory_gb: 4, instances: 3 },
      ],
      bottleneck: { resource: "ai_calls_per_minute", tied_with: ["workflows_per_minute"], basis: "limits" },
      tiers: [{ tier: "low" }, { tier: "medium" }, { tier: "high" }, { tier: "critical", limits: { "ai-chat": 10 } }],
    });
  });

  it("plans with other tables and other rules", async () => {
    const tables = written("tables.json", '{"capacity_rpm":60000,"profiles":{"ai-chat":{"limits":{"low":60}}}}');
    const { stdout } = await plan("--peak-rps", "500", "--rps-per-instance", "100", "--tables", tables, "--json");
    expect(JSON.parse(stdout)).toMatchObject({
      instances: 6,
      tiers: [{ limits: { "ai-chat": 60 } }, {}, {}, {}],
      load_at_peak: { of_the_tables: { capacity_rpm: 60_000, ratio: 0.5, tier: "medium" } },
    });
  });

  it("plans by the rules in the tables, except for what is said to it", async () => {
    const scaling = { min_instances: 9, max_instances: 12, rps_per_instance: 50 };
    const tables = written("scaling.json", JSON.stringify({ scaling }));
    const { stdout } = await plan("--peak-rps", "500", "--tables", tables, "--json");
    expect(JSON.parse(stdout)).toMatchObject({ instances: 11, scaling });
    const other = await plan("--peak-rps", "500", "--tables", tables, "--rps-per-instance", "100", "--json");
    expect(JSON.parse(other.stdout)).toMatchObject({ instances: 9, scaling: { ...scaling, rps_per_instance: 100 } });
  });

  it("says when the maximum is too few", async () => {
    expect((await plan("--peak-rps", "5000")).stdout).toContain("\nToo few: the peak needs 68.\n");
  });

  it("explains itself", async () => {
    const { status, stdout } = await plan("--help");
    expect(status).toBe(0);
    expect(stdout).toContain("--peak-rps N");
  });

  it.each([
    { args: ["--peak-rps", "many"], line: '--peak-rps: expected a number 0..1000000000, got "many"' },
    {
      args: ["--peak-rps", "5", "--max-instances", "1"],
      line: "--max-instances: expected at least --min-instances, which is 2, got 1",
    },
    {
      args: ["--peak-rps", "5", "--tables", "/nowhere"],
      line: '--tables: expected a file that can be read, got "/nowhere" (ENOENT)',
    },
  ])("answers $args with one clear line and exit code 1", async ({ args, line }) => {
    expect(await plan(...args)).toEqual({ status: 1, stdout: "", stderr: `${line}\n` });
  });

  it("refuses tables that the gateway would refuse", async () => {
    const tables = written("faulty.json", '{"tiers":{"medium":0.7}}');
    const { status, stderr } = await plan("--peak-rps", "5", "--tables", tables);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^[^\n]*tiers[^\n]*expected[^\n]*\n$/);
  });
});

describe("readArguments", () => {
  it.each([
    { args: [], line: "--peak-rps: expected requests per second, got nothing" },
    { args: ["--peak-rps"], line: "--peak-rps: expected a value" },
    { args: ["--peak-rps", "-5"], line: "--peak-rps: expected a value" },
    { args: ["--peak-rps", "many"], line: '--peak-rps: expected a number 0..1000000000, got "many"' },
    { args: ["--peak-rps", "1e3"], line: '--peak-rps: expected a number 0..1000000000, got "1e3"' },
    { args: ["--peak-rps", "NaN"], line: '--peak-rps: expected a number 0..1000000000, got "NaN"' },
    { args: ["--peak-rps", "2000000000"], line: '--peak-rps: expected a number 0..1000000000, got "2000000000"' },
    {
      args: ["--peak-rps", "5", "--rps-per-instance", "0"],
      line: '--rps-per-instance: expected a number 0.001..1000000000, got "0"',
    },
    {
      args: ["--peak-rps", "5", "--min-instances", "1.5"],
      line: '--min-instances: expected a whole number 1..1000000000, got "1.5"',
    },
    { args: ["--peek-rps", "5"], line: "Unknown option '--peek-rps'" },
    { args: ["500"], line: "Unexpected argument '500'" },
  ])("refuses $args in one line", ({ args, line }) => {
    expect(() => readArguments(args)).toThrow(new ArgumentError(line));
  });
});
