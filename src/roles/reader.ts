/**
 * The event loop of a reader: it follows the records, verifies each, and hands on what landed. It
 * stops at the first record of a server that does not verify; whoever else sends one is passed over.
 */
import { equal } from "../protocol/bytes.ts";
import type { ProtocolError } from "../protocol/errors.ts";
import type { Verified } from "../protocol/chain.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network, Peer } from "../universe/network.ts";
import type { Epochs } from "./epochs.ts";
import { Protocol } from "./errors.ts";
import { Follower } from "./follower.ts";
import { feedHolders } from "./holders.ts";
import type { Mirror } from "./mirror.ts";
import { SEARCH_MS } from "./search.ts";

/**
 * Rounds before the first one wanted from which records are asked for: its messages are read at the
 * places that the record before it grants, and there may be void rounds between the two.
 */
export const LEAD_ROUNDS = 16;

/** A verified record, and how the round went as this reader saw it. */
export interface Seen extends Verified {
  /** Round numbers since the record before that have none: void rounds. */
  readonly skipped: number;
  /** Ms from the header's time to its N OPENs here, and from there to the certified record. */
  readonly phases?: { readonly open: number; readonly close: number };
}

/** What a reader is made of. */
export interface ReaderOptions {
  readonly network: Network;
  readonly environment: Environment;
  readonly epochs: Epochs;
  /**
   * First round wanted, 0 for all. Where no record is held within `LEAD_ROUNDS` before it, the
   * first record comes without its messages and `linked` is false.
   */
  readonly from: number;
  /** The certified record to go on after, whatever `from` says. */
  readonly after?: Uint8Array;
  /** What it serves on, where it does. */
  readonly mirror?: Mirror;
  /** A verified record; a promise holds further ones back. */
  readonly record: (seen: Seen) => void | Promise<void>;
  /** The committee shows that it is there. */
  readonly alive?: () => void;
  /** Records are missing that no holder has. */
  readonly gap?: (from: number, to: number) => void;
  /** It stopped: which record is false, and why. */
  readonly stopped: (error: Protocol) => void;
}

/** A running reader. */
export class ReaderRole {
  readonly #follower: Follower;
  #opened: { readonly round: number; readonly at: number; readonly wall: number } | undefined;
  #last: number | undefined;

  /** Throws a `ProtocolError` where `after` is no record of this committee. */
  constructor(options: ReaderOptions) {
    const { network, environment, epochs, from, after, alive, mirror } = options;
    this.#follower = new Follower({
      network,
      environment,
      epochs,
      from,
      after,
      lead: LEAD_ROUNDS,
      complete: SEARCH_MS,
      candidates: () => feedHolders(network, "records"),
      live: () => feedHolders(network, "headers"),
      choosy: true,
      events: {
        opened: (opened) => {
          const { clock } = environment;
          this.#opened = { round: opened.header.round, at: clock.now(), wall: clock.wall() };
          mirror?.opened(opened);
        },
        record: (verified) => {
          mirror?.record(verified);
          const { round, time } = verified.record.header;
          const seen = this.#opened?.round === round ? this.#opened : undefined;
          const phases = seen && {
            open: Math.max(0, seen.wall - time),
            close: environment.clock.now() - seen.at,
          };
          const skipped = verified.linked ? round - 1 - (this.#last ?? 0) : 0;
          this.#last = round;
          if (after || round >= from) return options.record({ ...verified, skipped, phases });
        },
        gap: (from, to) => {
          environment.observe("warn", "records missed", { from, to });
          options.gap?.(from, to);
        },
        alive,
        bad: (error: ProtocolError, peer: Peer) => {
          if (!epochs.all.some(({ servers }) => servers.some((key) => equal(key, peer.key)))) {
            return true;
          }
          options.stopped(
            new Protocol(
              `stopped after round ${this.#follower.chain.head.round}: ${error.message}`,
            ),
          );
          return false;
        },
      },
    });
    if (after) this.#last = this.#follower.chain.head.round;
  }

  /** Stops reading; the network is the caller's to stop. */
  stop(): void {
    this.#follower.close();
  }
}
