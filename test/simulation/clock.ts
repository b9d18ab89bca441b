/** A clock as machines have them: hours off, a little fast or slow, and set right or wrong in mid-flight. */
export interface Clock {
  /** Whole ms that this clock shows at a true time. */
  readonly read: (trueMs: number) => number;
  readonly step: (byMs: number) => void;
  /** ms it runs on in a true ms. */
  readonly rate: number;
}

export function createClock(offsetMs: number, rate: number): Clock {
  let offset = offsetMs;
  return {
    read: (trueMs) => Math.floor(offset + rate * trueMs),
    step(byMs) {
      offset += byMs;
    },
    rate,
  };
}
