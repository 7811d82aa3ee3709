/**
 * The seam behind which small commands get one order for all servers. It is never trusted for
 * safety: whatever order a faulty engine makes up, the release rules hold. It decides only whether
 * rounds go on.
 */

/** Longest command in bytes; vectors travel beside it, by hash. */
export const MAX_COMMAND_BYTES = 1_024;

/** What an engine needs from the server it runs in. */
export interface EngineHost {
  /** Sends an engine message to another server; false where no way is open. It may be lost. */
  send(to: number, message: Uint8Array): boolean;
  /** The next commands in the order, the same on every server; how they are grouped is not. */
  apply(commands: readonly Uint8Array[]): void;
  /** The state that all commands so far have made. */
  snapshot(): Uint8Array;
  /** Replaces the state, before the next `apply`; undefined where the order begins anew, empty. */
  restore(snapshot: Uint8Array | undefined): void;
}

/** Orders commands among the servers, named by their place in the manifest. */
export interface Engine {
  /** The server that drives rounds now, if one does. */
  readonly leader: number | undefined;
  /** Servers that the leader can reach, the leader included; meaningful at the leader. */
  readonly present: ReadonlySet<number>;
  /** Place in the order up to which commands were applied here; the same numbers on all servers. */
  readonly applied: number;
  /** Begins: the host is ready to be called. Called once, before anything else. */
  start(): void;
  /** Ends: nothing is called and no timer runs any more. Idempotent. */
  stop(): void;
  /** Offers a command. It may be lost; the caller offers it again until it sees it applied. */
  propose(command: Uint8Array): void;
  /** A message that another server's engine sent. */
  receive(from: number, message: Uint8Array): void;
  /** A way to another server opened. */
  connected(peer: number): void;
  /** The way to another server is gone. */
  disconnected(peer: number): void;
}
