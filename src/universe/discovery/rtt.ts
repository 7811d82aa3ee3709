/** Round-trip times, smoothed as RFC 6298 does: ⅛ of each new sample, ¼ of each new deviation. */

/** What is known of the way to one peer, in milliseconds. */
export interface RoundTrip {
  readonly smoothed: number;
  readonly variation: number;
}

/** The longest sample that is taken for one. */
export const MAX_SAMPLE_MS = 60_000;

/** With one more sample; what is no sample (negative, not finite, over a minute) changes nothing. */
export function smooth(before: RoundTrip | undefined, sample: number): RoundTrip | undefined {
  if (!(sample >= 0 && sample <= MAX_SAMPLE_MS)) return before;
  if (before === undefined) return { smoothed: sample, variation: sample / 2 };
  const deviation = Math.abs(before.smoothed - sample);
  return {
    variation: before.variation * 3 / 4 + deviation / 4,
    smoothed: before.smoothed * 7 / 8 + sample / 8,
  };
}
