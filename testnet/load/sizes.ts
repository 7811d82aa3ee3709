/** How long messages are: a distribution as it is written, and lengths drawn from it. */

/** Longest message of the `dev` preset, in bytes. */
export const MAX_SIZE = 4_096;

/** Sizes in bytes; those of an exponential distribution are cut at `MAX_SIZE`. */
export type Sizes =
  | { readonly kind: "fixed"; readonly bytes: number }
  | { readonly kind: "uniform"; readonly least: number; readonly most: number }
  | { readonly kind: "exponential"; readonly mean: number };

/** What may stand for a distribution. */
export const SIZES = `fixed:N, uniform:A-B or exponential:MEAN, sizes from 1 to ${MAX_SIZE} bytes`;

/** The distribution of a text such as `fixed:200`, or undefined where it is none. */
export function parseSizes(text: string): Sizes | undefined {
  const [kind, rest, ...more] = text.split(":");
  const numbers = (rest ?? "").split("-");
  const whole = (digits: string) => /^\d{1,5}$/.test(digits) && +digits >= 1 && +digits <= MAX_SIZE;
  if (more.length > 0 || !numbers.every(whole)) return undefined;
  const [first, second] = numbers.map(Number);
  if (kind === "uniform" && numbers.length === 2 && first <= second) {
    return { kind, least: first, most: second };
  }
  if (numbers.length !== 1) return undefined;
  if (kind === "fixed") return { kind, bytes: first };
  return kind === "exponential" ? { kind, mean: first } : undefined;
}

/** A length by the distribution; `real` is a number in [0, 1). */
export function drawSize(sizes: Sizes, real: number): number {
  switch (sizes.kind) {
    case "fixed":
      return sizes.bytes;
    case "uniform":
      return sizes.least + Math.floor(real * (sizes.most - sizes.least + 1));
    case "exponential":
      return Math.min(MAX_SIZE, Math.max(1, Math.ceil(exponential(sizes.mean, real))));
  }
}

/** A draw from the exponential distribution with this mean. */
export function exponential(mean: number, real: number): number {
  return -mean * Math.log1p(-real);
}
