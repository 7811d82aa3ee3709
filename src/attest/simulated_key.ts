/**
 * P-256 keys of the simulated platform. Signing is deterministic (RFC 6979), so that with seeded
 * randomness a whole platform is the same bytes again. Never for what real hardware should vouch.
 */
import { p256 } from "@noble/curves/nist.js";

/** A source of `length` unpredictable bytes. */
export type Random = (length: number) => Uint8Array;

/** A key pair. */
export interface SimulatedKey {
  /** Secret scalar, 32 bytes. */
  readonly secret: Uint8Array;
  /** Public key x ‖ y, 64 bytes. */
  readonly xy: Uint8Array;
}

/** A new key pair. */
export function simulatedKey(random: Random): SimulatedKey {
  const secret = p256.utils.randomSecretKey(random(p256.lengths.seed!));
  return { secret, xy: p256.getPublicKey(secret, false).subarray(1) };
}

/** The key pair of a secret scalar. Throws an `Error` for one out of range. */
export function simulatedKeyOf(secret: Uint8Array): SimulatedKey {
  return { secret, xy: p256.getPublicKey(secret, false).subarray(1) };
}

/** r ‖ s over the SHA-256 of `message`, 64 bytes. */
export function sign(key: SimulatedKey, message: Uint8Array): Uint8Array {
  return p256.sign(message, key.secret);
}
