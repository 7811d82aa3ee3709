/** Quotes and collateral with one byte changed, from a seed. */
import type { Collateral } from "../../src/attest/collateral.ts";
import type { Random } from "../protocol/random.ts";

/** The bytes with one of them changed: a flipped bit, or any other value. */
export function spoilt(random: Random, bytes: Uint8Array): { bytes: Uint8Array; at: number } {
  const out = bytes.slice(), at = random.below(out.length);
  out[at] ^= random.below(2) === 0 ? 1 << random.below(8) : 1 + random.below(255);
  return { bytes: out, at };
}

/** Collateral with one byte changed, in a field that is picked by `random`. */
export function spoiltCollateral(
  random: Random,
  collateral: Collateral,
): { collateral: Collateral; field: keyof Collateral; at: number } {
  const field = random.pick(Object.keys(collateral) as (keyof Collateral)[]);
  const { bytes, at } = spoilt(random, collateral[field]);
  return { collateral: { ...collateral, [field]: bytes }, field, at };
}
