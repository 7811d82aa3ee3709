/**
 * What can go wrong for someone who uses the channel, as errors with a stable name. Each carries
 * the exit code with which a role that meets it ends.
 */

/** Names of the errors that the SDK throws. */
export type ZipnetErrorName =
  | "WrongUniverse"
  | "ConnectTimeout"
  | "Attestation"
  | "Refused"
  | "Shutdown"
  | "Protocol";

/** Base of all errors of the SDK; its `name` is stable. */
export class ZipnetError extends Error {
  constructor(override readonly name: ZipnetErrorName, message: string, readonly exitCode: number) {
    super(message);
  }
}

/** The universe is not the one that this node belongs to. */
export class WrongUniverse extends ZipnetError {
  constructor(message: string) {
    super("WrongUniverse", message, 3);
  }
}

/** Nobody of the instance answered in time: a typo, another universe, or a committee that is down. */
export class ConnectTimeout extends ZipnetError {
  constructor(message: string) {
    super("ConnectTimeout", message, 3);
  }
}

/** A peer's, or our own, evidence of what code it runs was not accepted. */
export class Attestation extends ZipnetError {
  constructor(message: string) {
    super("Attestation", message, 4);
  }
}

/** The committee does not admit us, or it is not the one that was pinned. */
export class Refused extends ZipnetError {
  constructor(message: string) {
    super("Refused", message, 4);
  }
}

/** The node was closed. */
export class Shutdown extends ZipnetError {
  constructor(message: string) {
    super("Shutdown", message, 1);
  }
}

/** Bytes that break the protocol: an altered record, a message outside the limits. */
export class Protocol extends ZipnetError {
  constructor(message: string) {
    super("Protocol", message, 1);
  }
}
