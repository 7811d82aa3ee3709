/** Why a round does not go on, as text that may come from a stranger. */
import { ProtocolError } from "../protocol/errors.ts";

/** Longest reason, in bytes. */
export const MAX_REASON = 400;

/** A reason as it travels: short printable ASCII. */
export function reasonBytes(reason: string): Uint8Array {
  return new TextEncoder().encode(reason.replace(/[^ -~]/g, "?").slice(0, MAX_REASON));
}

/** Reads it strictly; throws a `ProtocolError`. */
export function reasonText(bytes: Uint8Array): string {
  if (bytes.length > MAX_REASON || bytes.some((b) => b < 32 || b > 126)) {
    throw new ProtocolError("encoding", "a reason that is not short printable ASCII");
  }
  return new TextDecoder().decode(bytes);
}
