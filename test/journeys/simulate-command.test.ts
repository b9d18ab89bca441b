/** `npm run simulate`, as a person or a program types it. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, it } from "vitest";
import { NODE, ROOT } from "./gateway.ts";

const folder = mkdtempSync(join(tmpdir(), "simulate-"));
afterAll(() => rmSync(folder, { recursive: true }));

const CALM = {
  name: "calm",
  minutes: 3,
  seed: 1,
  capacity_rpm: 1_000,
  clients: [{ count: 10, profile: "default", rpm: 10, arrivals: "even" }],
};

function fileOf(name: string, document: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, typeof document === "string" ? document : JSON.stringify(document));
  return path;
}

function simulate(...args: readonly string[]) {
  return promisify(execFile)(NODE, ["bench/simulate/main.ts", ...args], { cwd: ROOT });
}

it("plays a scenario of its own by name, and draws it", async () => {
  const svg = join(folder, "chart.svg");
  const { stdout, stderr } = await simulate("tight-limits", "--svg", svg);
  expect(stdout).toMatch(/^tight-limits: 30 minutes[\s\S]+minute +offered +admitted[\s\S]+verdict: ok\n$/);
  expect(stderr).toBe("");
  expect(readFileSync(svg, "utf8")).toMatch(/^<svg [\s\S]+<\/svg>\n$/);
});

it("prints JSON and nothing else", async () => {
  const { stdout, stderr } = await simulate(fileOf("calm.json", CALM), "--json");
  expect(JSON.parse(stdout)).toMatchObject({ tier_changes: [], verdict: "ok", missed: [] });
  expect(stderr).toBe("");
});

it("exits 1 where an expectation is missed, and reports all the same", async () => {
  const scenario = fileOf("missed.json", { ...CALM, expect: { tier_changes: [1, 2] } });
  await expect(simulate(scenario, "--json")).rejects.toMatchObject({
    code: 1,
    stdout: expect.stringContaining('"verdict": "missed"'),
    stderr: "",
  });
});

it("puts proposed tables beside the present ones", async () => {
  const limits = { low: 5, medium: 5, high: 5, critical: 5 };
  const tables = fileOf("tables.json", { profiles: { default: { limits } } });
  const { stdout } = await simulate(fileOf("calm.json", CALM), "--tables", tables);
  expect(stdout).toMatch(/left: the built-in tables\nright: .*tables\.json\n[\s\S]+ 100 +100 +0 .* \| +50 +50 /);
});

it.each([
  { name: "no scenario", args: [], says: "expected one scenario, got 0; usage" },
  { name: "one that is not there", args: ["nope"], says: "nope: cannot be read (ENOENT)" },
  { name: "no JSON", args: [fileOf("cut.json", '{"name":')], says: "cut.json: expected JSON, got" },
  {
    name: "an unknown member",
    args: [fileOf("more.json", { ...CALM, cappacity: 1 })],
    says: "cappacity: expected no such member",
  },
  { name: "an unknown option", args: ["tight-limits", "--wat"], says: "Unknown option '--wat'; usage" },
  {
    name: "a chart that cannot be kept",
    args: [fileOf("calm.json", CALM), "--svg", "/nonexistent/x.svg"],
    says: "/nonexistent/x.svg: cannot be written (ENOENT)",
  },
])("refuses $name with one line and exit 1", async ({ args, says }) => {
  const refused = await simulate(...args).catch((error) => error);
  expect(refused).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining(says) });
  expect(refused.stderr.trimEnd().split("\n")).toHaveLength(1);
});
