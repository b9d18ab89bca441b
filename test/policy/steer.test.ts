import { describe, expect, it } from "vitest";
import { type Course, type Sight, steer } from "../../src/policy/steer.ts";
import { THRESHOLDS, type Tier } from "../../src/policy/tier.ts";

const T = 1_764_000_000_000;
const S = 1_000;
const HYSTERESIS = { margin: 0.05, holdMs: 30_000 };

interface Step {
  /** Seconds after `T`. */
  readonly at: number;
  readonly load: number;
  readonly steep?: Tier;
  /** Load one tier looser; as now where it is left out, unknown where it is null. */
  readonly looser?: number | null;
  readonly tier: Tier;
}

/** Capacity so large that a count has no noise, where a story does not say otherwise. */
const NOISELESS = 1e12;

function tell(steps: readonly Step[], capacityRpm: number | null = NOISELESS, start: Course | null = null): Course {
  let course = start;
  for (const { at, load, steep = "low", looser = load, tier } of steps) {
    const predicted = looser === null ? null : { low: looser, medium: looser, high: looser, critical: load };
    const sight: Sight = { load, steep, predicted, capacityRpm };
    course = steer(course, sight, THRESHOLDS, HYSTERESIS, T + at * S);
    expect(course.tier, `at ${at} s with load ${load}`).toBe(tier);
  }
  if (course === null) throw new RangeError("steps: expected one at least");
  return course;
}

describe("steer", () => {
  it.each<{ name: string; steps: readonly Step[]; capacityRpm?: number | null }>([
    { name: "starts at what load names", steps: [{ at: 0, load: 0.65, tier: "high" }] },
    {
      name: "tightens at once, by as many tiers as load says",
      steps: [
        { at: 0, load: 0.1, tier: "low" },
        { at: 1, load: 0.8, tier: "critical" },
      ],
    },
    {
      name: "tightens at once to what a steep rise names, before load does",
      steps: [
        { at: 0, load: 0.1, tier: "low" },
        { at: 1, load: 0.2, steep: "critical", tier: "critical" },
      ],
    },
    {
      name: "relaxes one tier at a time, each after a whole hold",
      steps: [
        { at: 0, load: 0.9, tier: "critical" },
        { at: 1, load: 0.1, tier: "critical" },
        { at: 30.9, load: 0.1, tier: "critical" },
        { at: 31, load: 0.1, tier: "high" },
        { at: 60.9, load: 0.1, tier: "high" },
        { at: 61, load: 0.1, tier: "medium" },
        { at: 91, load: 0.1, tier: "low" },
        { at: 999, load: 0.1, tier: "low" },
      ],
    },
    {
      name: "steps down as many tiers as holds have passed while nobody looked",
      steps: [
        { at: 0, load: 0.9, tier: "critical" },
        { at: 1, load: 0, tier: "critical" },
        { at: 3_600, load: 0, tier: "low" },
      ],
    },
    {
      name: "stays while load is within the margin",
      steps: [
        { at: 0, load: 0.6, tier: "high" },
        { at: 10, load: 0.55, tier: "high" },
        { at: 1_000, load: 0.55, tier: "high" },
      ],
    },
    {
      name: "starts the hold anew when load comes back in between",
      steps: [
        { at: 0, load: 0.6, tier: "high" },
        { at: 10, load: 0.5, tier: "high" },
        { at: 30, load: 0.56, tier: "high" },
        { at: 31, load: 0.5, tier: "high" },
        { at: 60.9, load: 0.5, tier: "high" },
        { at: 61, load: 0.5, tier: "medium" },
      ],
    },
    {
      name: "stays where the looser tier could not carry what it would let in",
      steps: [
        { at: 0, load: 0.9, tier: "critical" },
        { at: 10, load: 0.5, looser: 0.75, tier: "critical" },
        { at: 1_000, load: 0.5, looser: 0.75, tier: "critical" },
        { at: 1_001, load: 0.5, looser: 0.7499, tier: "critical" },
        { at: 1_031, load: 0.5, looser: 0.7499, tier: "high" },
      ],
    },
    {
      name: "keeps four standard deviations of a minute's count clear of the threshold",
      capacityRpm: 1_000,
      steps: [
        { at: 0, load: 0.6, tier: "high" },
        { at: 10, load: 0.51, tier: "high" },
        { at: 1_000, load: 0.51, tier: "high" },
        { at: 1_001, load: 0.5, tier: "high" },
        { at: 1_031, load: 0.5, tier: "medium" },
      ],
    },
    {
      name: "keeps no more clear than half the band below, however small the counts",
      capacityRpm: 10,
      steps: [
        { at: 0, load: 0.8, tier: "critical" },
        { at: 1, load: 0.69, tier: "critical" },
        { at: 31, load: 0.69, tier: "high" },
      ],
    },
    {
      name: "goes by the margin alone where the load is no count of ours",
      capacityRpm: null,
      steps: [
        { at: 0, load: 0.6, tier: "high" },
        { at: 10, load: 0.549, looser: null, tier: "high" },
        { at: 40, load: 0.549, looser: null, tier: "medium" },
      ],
    },
    {
      name: "takes no steep rise within a window after relaxing: that is what was held back",
      steps: [
        { at: 0, load: 0.6, tier: "high" },
        { at: 1, load: 0.2, tier: "high" },
        { at: 31, load: 0.2, tier: "medium" },
        { at: 40, load: 0.25, steep: "critical", tier: "medium" },
        { at: 41, load: 0.25, tier: "medium" },
        { at: 97, load: 0.25, steep: "critical", tier: "critical" },
      ],
    },
    {
      name: "tightens by load within that window all the same",
      steps: [
        { at: 0, load: 0.6, tier: "high" },
        { at: 1, load: 0.2, tier: "high" },
        { at: 31, load: 0.2, tier: "medium" },
        { at: 40, load: 0.8, tier: "critical" },
      ],
    },
    {
      name: "restarts the hold when the clock steps back",
      steps: [
        { at: 100, load: 0.6, tier: "high" },
        { at: 110, load: 0.2, tier: "high" },
        { at: 50, load: 0.2, tier: "high" },
        { at: 79.9, load: 0.2, tier: "high" },
        { at: 80, load: 0.2, tier: "medium" },
      ],
    },
  ])("$name", ({ steps, capacityRpm = NOISELESS }) => {
    tell(steps, capacityRpm);
  });

  it.each([{ predicted: null }, { predicted: { low: 0, medium: 0, high: 0, critical: 0 } }])(
    "leaves a tier whose margin is as wide as its threshold at no load, predicted $predicted",
    ({ predicted }) => {
      const wide = { margin: 0.5, holdMs: 30_000 };
      let course: Course | null = null;
      for (const [at, load] of [
        [0, 0.9],
        [1, 0],
        [91, 0],
      ] as const)
        course = steer(course, { load, steep: "low", predicted, capacityRpm: 1_000 }, THRESHOLDS, wide, T + at * S);
      expect(course?.tier).toBe("low");
    },
  );

  it("doubles the hold with each relapse within three minutes, to ten minutes at most", () => {
    let at = 0;
    let course: Course | null = null;
    const holds: number[] = [];
    const look = (load: number) => {
      course = steer(
        course,
        { load, steep: "low", predicted: null, capacityRpm: null },
        THRESHOLDS,
        HYSTERESIS,
        T + at * S,
      );
      return course.tier;
    };
    for (let relapse = 0; relapse < 8; relapse++) {
      expect(look(0.6)).toBe("high");
      const fromSecond = ++at;
      while (look(0.5) === "high") at++;
      holds.push(at - fromSecond);
      at += 60;
    }
    expect(holds).toEqual([30, 60, 120, 240, 480, 600, 600, 600]);
  });

  it("sets the hold back once a step down has lasted", () => {
    const relapsed = tell([
      { at: 0, load: 0.6, tier: "high" },
      { at: 1, load: 0.5, tier: "high" },
      { at: 31, load: 0.5, tier: "medium" },
      { at: 100, load: 0.6, tier: "high" },
      { at: 101, load: 0.5, tier: "high" },
      { at: 160, load: 0.5, tier: "high" },
      { at: 161, load: 0.5, tier: "medium" },
    ]);
    expect(relapsed.holds).toBe(2);
    tell(
      [
        { at: 500, load: 0.6, tier: "high" },
        { at: 501, load: 0.5, tier: "high" },
        { at: 531, load: 0.5, tier: "medium" },
      ],
      NOISELESS,
      relapsed,
    );
  });
});
