import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EXPOSITION_CONTENT_TYPE, type Family, renderExposition } from "../../src/operate/exposition.ts";
import { family, figure, histogram, METRICS, RESPONSE_TIME_BOUNDS } from "../../src/operate/metric-table.ts";
import { readExposition } from "./read-exposition.ts";

/** A family of one sample, for what only its text matters. */
function gauge(value: number, labels: Record<string, string> = {}, help = "Help."): Family {
  return { name: "a_gauge", type: "gauge", help, samples: [{ labels, value }] };
}

describe("renderExposition", () => {
  it("writes a counter with its help, type and labels", () => {
    const requests = family("levqor_requests_total", [
      { labels: { profile: "ai-chat", tier: "high", outcome: "refused" }, value: 7 },
      { labels: { profile: "ai-chat", tier: "high", outcome: "admitted" }, value: 0 },
    ]);
    expect(renderExposition([requests])).toBe(
      `# HELP levqor_requests_total Requests by what became of them.
# TYPE levqor_requests_total counter
levqor_requests_total{profile="ai-chat",tier="high",outcome="refused"} 7
levqor_requests_total{profile="ai-chat",tier="high",outcome="admitted"} 0
`,
    );
  });

  it("makes a histogram's buckets cumulative, and its count their sum", () => {
    const times = histogram("levqor_response_time_seconds", [
      { labels: { profile: "billing" }, counts: [0, 3, 0, 0, 1, 0, 0, 0, 0, 0, 2], sum: 31.25 },
    ]);
    const lines = renderExposition([times]).split("\n").slice(2, -1);
    expect(lines).toEqual([
      ...["0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"].map(
        (le, i) =>
          `levqor_response_time_seconds_bucket{profile="billing",le="${le}"} ${[0, 3, 3, 3, 4, 4, 4, 4, 4, 4, 6][i]}`,
      ),
      'levqor_response_time_seconds_sum{profile="billing"} 31.25',
      'levqor_response_time_seconds_count{profile="billing"} 6',
    ]);
  });

  it("leaves out what nobody knows, and what has no samples", () => {
    expect(renderExposition([figure("levqor_active_workflows", null), family("levqor_load_tier", [])])).toBe("");
  });

  it.each([
    { value: 0, text: "0" },
    { value: -0.5, text: "-0.5" },
    { value: 1e21, text: "1e+21" },
    { value: 1e-7, text: "1e-7" },
    { value: Number.POSITIVE_INFINITY, text: "+Inf" },
    { value: Number.NEGATIVE_INFINITY, text: "-Inf" },
    { value: Number.NaN, text: "NaN" },
  ])("writes $text", ({ value, text }) => {
    expect(renderExposition([gauge(value)])).toContain(`\na_gauge ${text}\n`);
  });

  it("escapes label values and help", () => {
    const page = renderExposition([gauge(1, { path: 'C:\\ "x"\n' }, 'a \\ "b"\nc')]);
    expect(page).toBe('# HELP a_gauge a \\\\ "b"\\nc\n# TYPE a_gauge gauge\na_gauge{path="C:\\\\ \\"x\\"\\n"} 1\n');
  });

  it("refuses a distribution that does not fit its bounds", () => {
    const times = histogram("levqor_response_time_seconds", [{ labels: { profile: "x" }, counts: [1], sum: 1 }]);
    expect(() => renderExposition([times])).toThrow(RangeError);
  });

  it("names the format and its version", () => {
    expect(EXPOSITION_CONTENT_TYPE).toBe("text/plain; version=0.0.4; charset=utf-8");
  });

  it("is read back by a strict reader as what was written", () => {
    const text = fc.string({ unit: "binary", maxLength: 12 });
    // There is no negative zero in the format.
    const value = fc.double().map((figureOf) => figureOf + 0);
    const sets = fc.uniqueArray(text, { minLength: 1, maxLength: 4 });
    const plain = fc.record({ type: fc.constantFrom("counter", "gauge"), help: text, sets, value });
    const counts = fc.array(fc.nat(1_000_000), { minLength: 11, maxLength: 11 });
    fc.assert(
      fc.property(
        fc.array(plain, { maxLength: 4 }),
        fc.uniqueArray(text, { maxLength: 3 }),
        counts,
        (plains, profiles, buckets) => {
          const families: Family[] = plains.map(({ type, help, sets: values, value: figureOf }, i) => ({
            name: `metric_${i}`,
            type,
            help,
            samples: values.map((set) => ({ labels: { first: set, second: "" }, value: figureOf })),
          }));
          const times = profiles.map((profile) => ({ labels: { profile }, counts: buckets, sum: 0.5 }));
          const read = readExposition(
            renderExposition([...families, histogram("levqor_response_time_seconds", times)]),
          );
          for (const [i, { name, type, help, samples }] of families.entries()) {
            expect(read[i]).toMatchObject({ name, type, help });
            expect(read[i]?.samples).toEqual(
              samples.map((sample) => ({
                name,
                labels: new Map(Object.entries(sample.labels)),
                value: "value" in sample ? sample.value : Number.NaN,
              })),
            );
          }
          const last = read[families.length];
          expect(last?.samples.length ?? 0).toBe(profiles.length * (RESPONSE_TIME_BOUNDS.length + 3));
          const total = buckets.reduce((sum, count) => sum + count, 0);
          for (const sample of last?.samples ?? [])
            if (sample.name.endsWith("_count")) expect(sample.value).toBe(total);
        },
      ),
    );
  });
});

describe("METRICS", () => {
  it("has every metric of the contract and two more, with type and labels", () => {
    const shape = Object.entries(METRICS).map(
      ([name, { type, labels }]) => `${type} ${name}(${Object.keys(labels).join()})`,
    );
    expect(shape.sort()).toEqual(
      [
        "counter levqor_circuit_breaker_moves_total(to)",
        "gauge levqor_requests_in_flight()",
        "counter levqor_requests_total(profile,tier,outcome)",
        "counter levqor_responses_total(profile,status)",
        "histogram levqor_response_time_seconds(profile)",
        "gauge levqor_load_ratio()",
        "gauge levqor_load_tier(tier)",
        "gauge levqor_requests_per_minute(kind)",
        "gauge levqor_capacity_requests_per_minute()",
        "gauge levqor_signal_age_seconds()",
        "gauge levqor_uptime_seconds()",
        "counter levqor_tier_changes_total()",
        "counter levqor_config_rejected_total()",
        "counter levqor_counter_calls_total()",
        "counter levqor_counter_rows_written_total()",
        "counter levqor_counter_failures_total()",
        "counter levqor_denied_locally_total()",
        "counter levqor_requests_without_address_total()",
        "gauge levqor_circuit_breaker_open()",
        "gauge levqor_recommended_instances()",
        "gauge levqor_active_workflows()",
        "gauge levqor_approval_queue_pending()",
      ].sort(),
    );
  });
});

describe("readExposition", () => {
  it.each([
    { name: "a missing end of line", page: "# HELP a A.\n# TYPE a gauge\na 1" },
    { name: "a missing HELP", page: "# TYPE a gauge\na 1\n" },
    { name: "a family that comes twice", page: "# HELP a A.\n# TYPE a gauge\na 1\n# HELP a A.\n# TYPE a gauge\na 2\n" },
    { name: "a sample that comes twice", page: "# HELP a A.\n# TYPE a gauge\na 1\na 2\n" },
    { name: "a foreign sample", page: "# HELP a A.\n# TYPE a gauge\nb 1\n" },
    { name: "a value that is none", page: "# HELP a A.\n# TYPE a gauge\na Infinity\n" },
    { name: "a quote that is not escaped", page: '# HELP a A.\n# TYPE a gauge\na{b="""} 1\n' },
    { name: "buckets that fall", page: histogramPage(3, 2, 2) },
    { name: "a count that is not +Inf", page: histogramPage(2, 3, 4) },
  ])("refuses $name", ({ page }) => {
    expect(() => readExposition(page)).toThrow(SyntaxError);
  });
});

function histogramPage(first: number, infinite: number, count: number): string {
  return `# HELP a A.\n# TYPE a histogram\na_bucket{le="1"} ${first}\na_bucket{le="+Inf"} ${infinite}\na_sum 1\na_count ${count}\n`;
}
