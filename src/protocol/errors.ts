/**
 * The one error of this floor. Its code is stable and says which kind of rule was broken; its
 * message says what was expected and what came. It never holds a key, a pad or a payload.
 */

/** Stable reasons of a `ProtocolError`. */
export type ProtocolErrorCode =
  /** Too few bytes, or a fixed length missed. */
  | "length"
  /** Bytes after the end of a layout. */
  | "trailing"
  /** A field outside its range. */
  | "range"
  /** A value in other than its one encoding: unused bits set, padding, order. */
  | "encoding"
  /** Not bytes at all, or a message of a kind that is not expected here. */
  | "type"
  /** A signature that does not verify. */
  | "signature"
  /** A key that must not be used: small order, not canonical, given twice. */
  | "key"
  /** Another instance, committee or header than the one that is expected. */
  | "mismatch"
  /** A record, header or manifest that does not extend the one before. */
  | "chain";

/** A byte string, or a statement, that breaks a rule of the protocol. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
  constructor(readonly code: ProtocolErrorCode, message: string) {
    super(message);
  }
}
