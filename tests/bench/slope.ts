/**
 * Whether memory grows, from samples of it. A collected heap is a saw: a raw sample says where in a
 * tooth it was taken. So the second half of a run, when caches are full and code is compiled, is cut
 * into windows; of each only the smallest sample counts, and a line is laid through these by least
 * squares.
 */
import { leastSquares } from "../../testnet/load/figures.ts";

/** Windows of the second half. */
export const WINDOWS = 10;

/** Rounds that a run has at least, at one sample a round. */
export const LEAST_ROUNDS = 4 * WINDOWS;

/** Rounds after which the caches of a server are full, so that a half behind them is judged. */
export const CACHES_FULL = 1_100;

/**
 * Largest slope of a server then, in KB per 1,000 rounds: one certified record a round, the smallest
 * thing of a round that could be kept by mistake as a whole, is 4,060. Up to 2,400 were measured.
 */
export const MAX_SLOPE_KB = 4_000;

/**
 * The same while caches fill: 512 records of 4 KB in memory, 1,000 commands of the order before its
 * first snapshot. 9,000 to 12,000 were measured over rounds 150 to 300.
 */
export const MAX_YOUNG_SLOPE_KB = 40_000;

/** The bound of a run of so many rounds. */
export function maxSlopeKB(rounds: number): number {
  return rounds >= 2 * CACHES_FULL ? MAX_SLOPE_KB : MAX_YOUNG_SLOPE_KB;
}

/** Resident memory, in bytes, after so many rounds. */
export interface Sample {
  readonly rounds: number;
  readonly bytes: number;
}

/** The smallest sample of each window of the second half, in order; needs 2 samples a window. */
export function floors(samples: readonly Sample[]): Sample[] {
  const half = samples.slice(Math.floor(samples.length / 2));
  if (half.length < 2 * WINDOWS) {
    throw new Error(`${samples.length} samples, expected at least ${4 * WINDOWS}`);
  }
  return Array.from({ length: WINDOWS }, (_, i) => {
    const [from, to] = [i, i + 1].map((at) => Math.floor(at * half.length / WINDOWS));
    return half.slice(from, to).reduce((least, it) => it.bytes < least.bytes ? it : least);
  });
}

/** Bytes that memory grew by a round over the second half. */
export function slope(samples: readonly Sample[]): number {
  return leastSquares(floors(samples).map(({ rounds, bytes }) => ({ x: rounds, y: bytes })))!;
}
