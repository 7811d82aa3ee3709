/**
 * A slot carries one message, and its commitment makes it verifiable without a key: garbled,
 * truncated, stolen and empty slots are told from good ones by anyone.
 *
 * Layout, 64 × units bytes: salt (16) ‖ u32 n ‖ payload (n) ‖ zeros.
 */
import { equal, type HeaderHash, isZero, Reader, Writer } from "./bytes.ts";
import { ProtocolError } from "./errors.ts";
import { hashVector } from "./hash.ts";
import { type Parameters, slotBytes, unitsOf } from "./parameters.ts";

/** Bytes of a commitment. */
export const COMMITMENT_BYTES = 16;

/** A slot of `payload` under a new random `salt` of 16 bytes. */
export function createSlot(
  salt: Uint8Array,
  payload: Uint8Array,
  parameters: Parameters,
): Uint8Array {
  const max = parameters.maxMessageBytes;
  if (payload.length < 1 || payload.length > max) {
    throw new ProtocolError("range", `a message has 1 to ${max} bytes, got ${payload.length}`);
  }
  if (salt.length !== 16) {
    throw new ProtocolError("length", `a salt of ${salt.length} bytes, expected 16`);
  }
  const slot = new Uint8Array(slotBytes(payload.length));
  slot.set(new Writer().bytes(salt).vector(payload).end());
  return slot;
}

/** `H(message ‖ h ‖ slot)[0..16]`, with the `h` of the round that carries the reservation. */
export function commitment(h: HeaderHash, slot: Uint8Array): Uint8Array {
  return hashVector("message", slot, h).subarray(0, COMMITMENT_BYTES);
}

/** What a slot turned out to be. */
export type SlotReading =
  | { readonly good: true; readonly payload: Uint8Array }
  | { readonly good: false; readonly reason: "empty" | "garbled" | "malformed" };

/** Reads the bytes of a granted slot against the commitment reserved for it under `h`. */
export function readSlot(
  slot: Uint8Array,
  granted: { readonly commitment: Uint8Array },
  h: HeaderHash,
  parameters: Parameters,
): SlotReading {
  if (isZero(slot)) return { good: false, reason: "empty" };
  if (!equal(commitment(h, slot), granted.commitment)) return { good: false, reason: "garbled" };
  const reader = new Reader(slot.subarray(16), "slot");
  const n = reader.u32();
  const fits = n >= 1 && n <= parameters.maxMessageBytes && 64 * unitsOf(n) === slot.length;
  if (!fits || !isZero(slot.subarray(20 + n))) return { good: false, reason: "malformed" };
  return { good: true, payload: slot.subarray(20, 20 + n) };
}
