import { describe, expect, it } from "vitest";
import { type Denial, type Problem, problemBody, problemFor } from "../../src/policy/denial.ts";

const LIMITED = {
  reason: "limit-exceeded",
  profile: "ai-chat",
  tier: "high",
  limit: 20,
  windowMs: 60_000,
  retryAfterMs: 41_001,
  reduced: true,
} as const;
const REDUCED = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity";
const EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded";
const OWN = "https://api.levqor.ai/problems/";

type Told = Omit<Problem, "title" | "detail"> & Partial<Problem>;

/** One denial of each reason; a new reason does not compile until its answer stands here. */
const ANSWERS: { readonly [R in Denial["reason"]]: { denial: Extract<Denial, { reason: R }>; told: Told } } = {
  "limit-exceeded": {
    denial: LIMITED,
    told: {
      status: 429,
      type: REDUCED,
      detail: "ai-chat allows 20 requests per minute while load is high. Retry in 42 s.",
      members: { "violated-policies": ["ai-chat"], profile: "ai-chat", tier: "high", limit: 20, retry_after: 42 },
      retryAfterSeconds: 42,
    },
  },
  "exempt-limit-exceeded": {
    denial: { reason: "exempt-limit-exceeded", limit: 600, retryAfterMs: 900 },
    told: {
      status: 429,
      type: EXCEEDED,
      members: { "violated-policies": ["exempt"], profile: "exempt", limit: 600, retry_after: 1 },
      retryAfterSeconds: 1,
    },
  },
  "counter-unavailable": {
    denial: { reason: "counter-unavailable", profile: "billing" },
    told: { status: 503, type: `${OWN}counter-unavailable`, members: {}, retryAfterSeconds: 2 },
  },
  "origin-unreachable": {
    denial: { reason: "origin-unreachable" },
    told: { status: 502, type: `${OWN}origin-unreachable`, members: {}, retryAfterSeconds: null },
  },
  "origin-timeout": {
    denial: { reason: "origin-timeout" },
    told: { status: 504, type: `${OWN}origin-timeout`, members: {}, retryAfterSeconds: null },
  },
  "circuit-open": {
    denial: { reason: "circuit-open", retryAfterMs: 2_001 },
    told: { status: 503, type: `${OWN}circuit-open`, members: {}, retryAfterSeconds: 3 },
  },
  overloaded: {
    denial: { reason: "overloaded", retryAfterMs: 5_001 },
    told: { status: 503, type: `${OWN}overloaded`, members: {}, retryAfterSeconds: 6 },
  },
  "not-found": {
    denial: { reason: "not-found" },
    told: { status: 404, type: `${OWN}not-found`, members: {}, retryAfterSeconds: null },
  },
  unauthorized: {
    denial: { reason: "unauthorized" },
    told: { status: 401, type: `${OWN}unauthorized`, members: {}, retryAfterSeconds: null },
  },
  "too-many-wrong-tokens": {
    denial: { reason: "too-many-wrong-tokens", retryAfterMs: 41_001 },
    told: { status: 429, type: EXCEEDED, members: { retry_after: 42 }, retryAfterSeconds: 42 },
  },
  unprocessable: {
    denial: { reason: "unprocessable", detail: 'expected a "rate"' },
    told: { status: 422, type: `${OWN}unprocessable`, members: {}, retryAfterSeconds: null },
  },
  "too-large": {
    denial: { reason: "too-large", bytesMax: 65_536 },
    told: { status: 413, type: `${OWN}too-large`, members: {}, retryAfterSeconds: null },
  },
  unavailable: {
    denial: { reason: "unavailable", what: "Workers KV" },
    told: { status: 503, type: `${OWN}unavailable`, members: {}, retryAfterSeconds: 5 },
  },
  internal: {
    denial: { reason: "internal" },
    told: { status: 500, type: `${OWN}internal`, members: {}, retryAfterSeconds: null },
  },
};

describe("problemFor", () => {
  it.each(Object.values(ANSWERS))("tells a client of $denial.reason with $told.status", ({ denial, told }) => {
    const problem = problemFor(denial);
    expect(problem).toMatchObject(told);
    expect(problem.members).toEqual(told.members);
    expect(problem.title).toMatch(/^[A-Z].*[a-z]$/);
    expect(problem.detail).toMatch(/^[A-Za-z].*\.$/);
  });

  it.each([
    { name: "reduced capacity where load has lowered the limit", denial: LIMITED, type: REDUCED },
    {
      name: "an exceeded quota where low load would refuse too",
      denial: { ...LIMITED, reduced: false },
      type: EXCEEDED,
    },
  ])("names $name, with 429 for both", ({ denial, type }) => {
    expect(problemFor(denial)).toMatchObject({ status: 429, type });
  });

  it.each([
    { windowMs: 60_000, span: "minute" },
    { windowMs: 1_000, span: "1 s" },
    { windowMs: 10_000, span: "10 s" },
    { windowMs: 3_600_000, span: "3600 s" },
  ])("words a window of $windowMs ms as $span", ({ windowMs, span }) => {
    expect(problemFor({ ...LIMITED, windowMs }).detail).toBe(
      `ai-chat allows 20 requests per ${span} while load is high. Retry in 42 s.`,
    );
  });

  it.each([0, 1, 1_000, 1_001, 3_660_000])("asks for a wait of at least a second, after %i ms", (retryAfterMs) => {
    for (const denial of [
      { ...LIMITED, retryAfterMs },
      { reason: "exempt-limit-exceeded", limit: 600, retryAfterMs } as const,
    ]) {
      const { retryAfterSeconds, members, detail } = problemFor(denial);
      expect(retryAfterSeconds).toBe(Math.max(1, Math.ceil(retryAfterMs / 1_000)));
      expect(members["retry_after"]).toBe(retryAfterSeconds);
      expect(detail).toContain(`Retry in ${retryAfterSeconds} s.`);
    }
  });

  it("writes the members of a refusal in the agreed order", () => {
    expect(Object.keys(problemFor(LIMITED).members)).toEqual([
      "violated-policies",
      "profile",
      "tier",
      "limit",
      "retry_after",
    ]);
  });
});

describe("problemBody", () => {
  it.each(["/api/ai/chat", '/"quoted"\\', "/\u0000\u2028\ud800", "/%22,%22status%22:200"])(
    "is JSON that names %j as it is, with every member in the agreed order",
    (path) => {
      const text = problemBody(problemFor(LIMITED), path, "7b0c");
      expect(text.endsWith("}\n")).toBe(true);
      expect(Object.entries(JSON.parse(text))).toEqual([
        ["type", "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"],
        ["title", "Temporarily reduced capacity"],
        ["status", 429],
        ["detail", "ai-chat allows 20 requests per minute while load is high. Retry in 42 s."],
        ["instance", path],
        ["violated-policies", ["ai-chat"]],
        ["request_id", "7b0c"],
        ["profile", "ai-chat"],
        ["tier", "high"],
        ["limit", 20],
        ["retry_after", 42],
      ]);
    },
  );
});
