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

/**
 * Base of all errors of the SDK; its `name` is stable.
 *
 * @example
 * ```ts
 * import { Refused, ZipnetError } from "zipnet";
 * const error: ZipnetError = new Refused("not on the list");
 * if (error.name !== "Refused" || error.exitCode !== 4) throw error;
 * ```
 */
export class ZipnetError extends Error {
  /** A stable name, a message for a person, and the exit code of a process that it ends. */
  constructor(override readonly name: ZipnetErrorName, message: string, readonly exitCode: number) {
    super(message);
  }
}

/**
 * The universe is not the one that this node belongs to.
 *
 * @example
 * ```ts
 * import { WrongUniverse, Zipnet } from "zipnet";
 * try {
 *   Zipnet.bind("", "acme.mainnet");
 * } catch (error) {
 *   if (!(error instanceof WrongUniverse)) throw error;
 * }
 * ```
 */
export class WrongUniverse extends ZipnetError {
  /** What was expected, what came, and what to do. */
  constructor(message: string) {
    super("WrongUniverse", message, 3);
  }
}

/**
 * Nobody of the instance answered in time: a typo, another universe, or a committee that is down.
 *
 * @example
 * ```ts
 * import { ConnectTimeout, simulate, Zipnet } from "zipnet";
 * const world = await simulate({ seed: 1, clients: 3 });
 * // The nodes of this binding look for another instance than the one that runs.
 * const { environment } = world.binding("me");
 * const zipnet = Zipnet.bind("mosaik.universe", "typo", { ...world.binding("me"), environment, connectTimeout: 1 });
 * const error = await world.settle(zipnet.submitter().catch((error) => error));
 * if (!(error instanceof ConnectTimeout)) throw error;
 * ```
 */
export class ConnectTimeout extends ZipnetError {
  /** What was expected, what came, and what to do. */
  constructor(message: string) {
    super("ConnectTimeout", message, 3);
  }
}

/**
 * A peer's, or our own, evidence of what code it runs was not accepted.
 *
 * @example
 * ```ts
 * import { Attestation } from "zipnet";
 * if (new Attestation("no quote").exitCode !== 4) throw new Error();
 * ```
 */
export class Attestation extends ZipnetError {
  /** What was expected, what came, and what to do. */
  constructor(message: string) {
    super("Attestation", message, 4);
  }
}

/**
 * The committee does not admit us, or it is not the one that was pinned.
 *
 * @example
 * ```ts
 * import { Refused, simulate, Zipnet } from "zipnet";
 * const world = await simulate({ seed: 1, clients: 3 });
 * const committee = "00".repeat(32);
 * const zipnet = Zipnet.bind("mosaik.universe", "simulated", { ...world.binding("me"), committee });
 * const error = await world.settle(zipnet.reader().catch((error) => error));
 * if (!(error instanceof Refused)) throw error;
 * ```
 */
export class Refused extends ZipnetError {
  /** What was expected, what came, and what to do. */
  constructor(message: string) {
    super("Refused", message, 4);
  }
}

/**
 * The node was closed.
 *
 * @example
 * ```ts
 * import { Shutdown, Zipnet } from "zipnet";
 * const zipnet = Zipnet.bind("mosaik.universe", "acme.mainnet");
 * await zipnet.close();
 * const error = await zipnet.reader().catch((error) => error);
 * if (!(error instanceof Shutdown)) throw error;
 * ```
 */
export class Shutdown extends ZipnetError {
  /** What was expected, what came, and what to do. */
  constructor(message: string) {
    super("Shutdown", message, 1);
  }
}

/**
 * Bytes that break the protocol: an altered record, a message outside the limits.
 *
 * @example
 * ```ts
 * import { Protocol, simulate, Zipnet } from "zipnet";
 * const world = await simulate({ seed: 1, clients: 3 });
 * const zipnet = Zipnet.bind("mosaik.universe", "simulated", world.binding("me"));
 * const submitter = await world.settle(zipnet.submitter());
 * try {
 *   submitter.send(new Uint8Array(0));
 * } catch (error) {
 *   if (!(error instanceof Protocol)) throw error;
 * }
 * await world.settle(zipnet.close());
 * ```
 */
export class Protocol extends ZipnetError {
  /** What was expected, what came, and what to do. */
  constructor(message: string) {
    super("Protocol", message, 1);
  }
}
