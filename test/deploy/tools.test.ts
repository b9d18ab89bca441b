import { describe, expect, it } from "vitest";
import { pathOf, standingOf } from "../tools.ts";

describe("pathOf", () => {
  it.each([
    { name: "finds a program on the path", tool: "sh", path: "/nowhere:/bin", found: "/bin/sh" },
    { name: "finds none elsewhere", tool: "sh", path: "/nowhere", found: null },
    { name: "finds none on an empty path", tool: "sh", path: "", found: null },
    { name: "does not take a directory for one", tool: "etc", path: "/", found: null },
    { name: "does not take a file that cannot be run for one", tool: "passwd", path: "/etc", found: null },
  ])("$name", ({ tool, path, found }) => {
    expect(pathOf(tool, path)).toBe(found);
  });
});

describe("a suite that needs a tool", () => {
  it.each([
    { name: "runs where the tool is", env: { PATH: "/bin" }, standing: "run" },
    {
      name: "runs where it is required and there",
      env: { PATH: "/bin", EDGE_TEST_TOOLS: "required" },
      standing: "run",
    },
    { name: "is left out where it is missing", env: { PATH: "/nowhere" }, standing: "left out" },
    { name: "is left out without a path", env: {}, standing: "left out" },
    { name: "fails where it is required", env: { PATH: "/nowhere", EDGE_TEST_TOOLS: "required" }, standing: "failed" },
  ])("$name", ({ env, standing }) => {
    expect(standingOf("sh", env)).toBe(standing);
  });
});
