import { describe, expect, it } from "vitest";
import committed from "../../schema/tier-tables.schema.json" with { type: "json" };
import { tierTablesSchema } from "../../schema/tier-tables.ts";

describe("schema/tier-tables.schema.json", () => {
  it("is what the gateway's own schema generates", () => {
    expect(committed).toEqual(JSON.parse(JSON.stringify(tierTablesSchema())));
  });

  it("knows every member the gateway knows, and no others", () => {
    expect(committed.additionalProperties).toBe(false);
    expect(Object.keys(committed.properties)).toEqual([
      "capacity_rpm",
      "tiers",
      "hysteresis",
      "signal",
      "exempt",
      "exempt_limit",
      "enforce",
      "overload",
      "profiles",
      "scaling",
    ]);
  });
});
