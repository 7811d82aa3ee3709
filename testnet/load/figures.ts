/** Sums over what was measured: percentiles and slopes. */

/** A point of a line. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** The smallest value that so large a part of all (0 to 1) does not exceed; undefined of none. */
export function percentile(values: readonly number[], part: number): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)];
}

/** How much `y` rises with `x` by least squares; undefined where the points tell none. */
export function leastSquares(points: readonly Point[]): number | undefined {
  const mean = (of: (point: Point) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const x = mean((point) => point.x), y = mean((point) => point.y);
  const spread = mean((point) => (point.x - x) ** 2);
  return spread > 0 ? mean((point) => (point.x - x) * (point.y - y)) / spread : undefined;
}

/** Points that a slope needs: of fewer it tells how a process warms up, and no more. */
export const LEAST_POINTS = 40;

/** The slope over the second half of the points, which are in order of `x`; undefined of too few. */
export function lateSlope(points: readonly Point[]): number | undefined {
  if (points.length < LEAST_POINTS) return undefined;
  return leastSquares(points.slice(Math.floor(points.length / 2)));
}
