/** Why a typed stream did not do what it was asked. */

/** Stable reasons of a `StreamError`. */
export type StreamErrorCode =
  /** This side was closed. */
  | "closed"
  /** Too much waits already. */
  | "full"
  /** The codec refused the datum, or it is longer than the stream allows. */
  | "encoding"
  /** This node produces the stream already. */
  | "exists";

/** See `code`. */
export class StreamError extends Error {
  override readonly name = "StreamError";
  constructor(readonly code: StreamErrorCode, message: string) {
    super(message);
  }
}
