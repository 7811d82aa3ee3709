/**
 * Why a server does not go on with a header, in its own signed words: the order has any member's
 * commands, and none may stop a round in another's name.
 *
 * Layout: header hash (32) ‖ signature (64) ‖ reason, short printable ASCII. The signature is over
 * sign-decline ‖ header hash ‖ reason.
 */
import { type HeaderHash, Reader, Writer } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { type Signer, verify } from "../protocol/keys.ts";
import { reasonBytes, reasonText } from "./reason.ts";

/** One server's refusal of a header. */
export interface Decline {
  readonly header: HeaderHash;
  readonly reason: string;
  readonly signature: Uint8Array;
}

/** Signs a refusal. */
export function createDecline(signer: Signer, header: HeaderHash, reason: string): Decline {
  const bytes = reasonBytes(reason), signature = signer.sign("sign-decline", header, bytes);
  return { header, reason: reasonText(bytes), signature };
}

/** The layout of a refusal. */
export function encodeDecline({ header, reason, signature }: Decline): Uint8Array {
  return new Writer().bytes(header).bytes(signature).bytes(reasonBytes(reason)).end();
}

/** Reads a refusal; its signature is checked by `checkDecline`. */
export function decodeDecline(bytes: Uint8Array): Decline {
  const reader = new Reader(bytes, "decline");
  const header = reader.bytes(32), signature = reader.bytes(64);
  return { header, reason: reasonText(reader.bytes(reader.left)), signature };
}

/** Throws a `ProtocolError` for a refusal that this server did not sign. */
export function checkDecline({ header, reason, signature }: Decline, server: Uint8Array): void {
  if (verify(server, signature, "sign-decline", header, reasonBytes(reason))) return;
  throw new ProtocolError("signature", "a decline not signed by its server");
}
