/** The one error of this folder. Its code is stable; its message says what came and what to do. */

/** Stable reasons of a `RaftError`. */
export type RaftErrorCode =
  /** A call's own arguments are out of range, or contradict each other. */
  | "argument"
  /** The call is not due now: `advance` without `ready`, a snapshot before `advance`. */
  | "order"
  /** A message of another node that does not decode, or that no honest node sends here. */
  | "message"
  /** A response of a node that is not a member. */
  | "peer"
  /** Raft dropped the proposal: no leader is known, or too much is uncommitted. Offer it again. */
  | "dropped"
  /** Raft refused for a reason of its own. */
  | "upstream"
  /** Raft panicked. The node is gone; restart it from its hard state and entries. */
  | "panic"
  /** A call to a node that panicked before. */
  | "dead"
  /** The WebAssembly file is not the one that this source was written for. */
  | "hash";

/** Codes as the shim numbers them (`scripts/raft/shim/errors.go`), from 1. */
const CODES: readonly RaftErrorCode[] = [
  ...["argument", "order", "message", "peer", "dropped", "upstream"] as const,
];

/** A refusal of the engine core. */
export class RaftError extends Error {
  override readonly name = "RaftError";
  constructor(readonly code: RaftErrorCode, message: string) {
    super(message);
  }
}

/** The error that the shim numbers `code`. */
export function refusal(code: number, message: string): RaftError {
  return new RaftError(CODES[code - 1] ?? "upstream", message);
}
