/**
 * A client asks to stand in the roster, or to leave it. Every server checks each one itself.
 *
 * Layout of both: instance id (32) ‖ client Ed25519 (32) ‖ client X25519 (32) ‖ u64 session ‖
 * signature (64). They differ in the label under which they are signed.
 */
import { equal, Reader, u64, Writer } from "./bytes.ts";
import { ProtocolError } from "./errors.ts";
import { checkAgreementKey, checkPublicKey, type Signer, verify } from "./keys.ts";

/** Bytes of a registration or a leave. */
export const REGISTRATION_BYTES = 168;

/** Whether a client comes or goes. */
export type RegistrationKind = "register" | "leave";

/** What a client signs; `session` is Unix ms and only rises. */
export interface Registration {
  readonly client: Uint8Array;
  readonly agreement: Uint8Array;
  readonly session: number;
  readonly bytes: Uint8Array;
}

/** Signs a registration or a leave. */
export function createRegistration(
  kind: RegistrationKind,
  signer: Signer,
  fields: {
    readonly instance: Uint8Array;
    readonly agreement: Uint8Array;
    readonly session: number;
  },
): Registration {
  const { instance, agreement, session } = fields;
  const signature = signer.sign(`sign-${kind}`, instance, signer.key, agreement, u64(session));
  const bytes = new Writer().bytes(instance).bytes(signer.key).bytes(agreement).u64(session).bytes(
    signature,
  ).end();
  return { client: signer.key, agreement, session, bytes };
}

/** Reads and checks a registration or leave of `instance`. */
export function decodeRegistration(
  kind: RegistrationKind,
  bytes: Uint8Array,
  instance: Uint8Array,
): Registration {
  const reader = new Reader(bytes, kind);
  const of = reader.bytes(32);
  const client = checkPublicKey(reader.bytes(32)), agreement = reader.bytes(32);
  const session = reader.u64(), signature = reader.bytes(64);
  reader.end();
  if (!equal(of, instance)) throw new ProtocolError("mismatch", `a ${kind} for another instance`);
  if (!verify(client, signature, `sign-${kind}`, of, client, agreement, u64(session))) {
    throw new ProtocolError("signature", `a ${kind} not signed by its client`);
  }
  checkAgreementKey(agreement);
  return { client, agreement, session, bytes };
}
