/**
 * ECDSA over P-256 with SHA-256, verified by WebCrypto: natively, off the event loop, so that two
 * cores verify at once. A signature is r ‖ s and a key x ‖ y, 64 bytes each, big-endian.
 *
 * ECDSA has two signatures for each message, (r, s) and (r, n − s), and both verify: a signature,
 * or a hash over one, names nothing.
 */
import { DerReader } from "./der.ts";
import type { ReasonCode } from "./reasons.ts";

/** Bytes of a signature, and of a public key. */
export const SIGNATURE_BYTES = 64;

const ECDSA = { name: "ECDSA", namedCurve: "P-256" };
const WITH_SHA256 = { name: "ECDSA", hash: "SHA-256" };

/** A key that verifies. Undefined where the bytes cannot be one. */
export type VerifyingKey = CryptoKey | undefined;

/** The key of x ‖ y. A point off the curve shows when a signature is verified, as `false`. */
export async function verifyingKey(xy: Uint8Array): Promise<VerifyingKey> {
  const point = new Uint8Array(65);
  point[0] = 4;
  point.set(xy, 1);
  try {
    return await crypto.subtle.importKey("raw", point, ECDSA, false, ["verify"]);
  } catch {
    return undefined;
  }
}

/** Whether `signature` is of `message` under the key. */
export async function verifies(
  key: VerifyingKey,
  signature: Uint8Array,
  message: Uint8Array,
): Promise<boolean> {
  if (key === undefined || signature.length !== SIGNATURE_BYTES) return false;
  try {
    return await crypto.subtle.verify(
      WITH_SHA256,
      key,
      signature as Uint8Array<ArrayBuffer>,
      message as Uint8Array<ArrayBuffer>,
    );
  } catch {
    // The key is not a point of the curve.
    return false;
  }
}

/** r ‖ s of the signature that certificates and lists carry: a DER sequence of two integers. */
export function readSignature(der: Uint8Array, code: ReasonCode): Uint8Array {
  const outer = new DerReader(der, code);
  const pair = outer.inside();
  outer.end();
  const r = pair.unsigned(32), s = pair.unsigned(32);
  pair.end();
  const out = new Uint8Array(SIGNATURE_BYTES);
  out.set(r, 32 - r.length);
  out.set(s, 64 - s.length);
  return out;
}
