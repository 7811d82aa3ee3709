/**
 * Follows both feeds from whoever holds them, verifies what comes, and moves to another holder when
 * one falls silent or sends something false.
 */
import { Reader, u64 } from "../protocol/bytes.ts";
import { Chain, type Verified } from "../protocol/chain.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type { Manifest } from "../protocol/manifest.ts";
import { checkOpens, decodeOpened, openedBytes, type OpenedHeader } from "../protocol/opened.ts";
import { decodeProof, type RosterProof } from "../protocol/roster.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network, Peer } from "../universe/network.ts";
import { NEWEST } from "./feed.ts";
import { Link } from "./link.ts";
import { instanceStreams } from "./streams.ts";

/** What a follower hears; everything in it was verified. */
export interface FollowerEvents {
  /** All servers OPENed a header. That it extends the head is for the listener to check. */
  opened?(opened: OpenedHeader, proof: RosterProof | undefined): void;
  /** A certified record that extends the chain. */
  record(verified: Verified): void;
  /** Records were missed: the chain goes on from a later one. */
  gap?(from: number, to: number): void;
  /** A holder sent a record that does not verify. Return true to go on with another holder. */
  bad(error: ProtocolError, peer: Peer): boolean;
}

/** What a follower needs. */
export interface FollowerOptions {
  readonly network: Network;
  readonly environment: Environment;
  readonly manifest: Manifest;
  /** First round wanted; `NEWEST` for the newest record and what follows. */
  readonly from: number;
  /** Holders that would do, best first. */
  readonly candidates: () => readonly Peer[];
  /** Whether opened headers are wanted too. */
  readonly live: boolean;
  readonly events: FollowerEvents;
}

/** Follows the feeds until it is closed. */
export class Follower {
  #chain: Chain;
  #started: boolean;
  readonly #broadcasts: Link;
  readonly #live: Link | undefined;
  #ended = false;

  constructor(readonly options: FollowerOptions) {
    const { network, environment, manifest, candidates } = options;
    const streams = instanceStreams(manifest);
    this.#chain = new Chain(manifest, { anywhere: true });
    this.#started = false;
    const common = { network, clock: environment.clock, candidates };
    this.#broadcasts = new Link({
      ...common,
      kind: streams.broadcasts,
      events: (stream) => {
        stream.send(u64(this.#started ? this.#chain.head.round + 1 : options.from));
        return { frame: (bytes) => this.#record(bytes, stream.peer), closed: () => {} };
      },
    });
    if (options.live) {
      this.#live = new Link({
        ...common,
        kind: streams.liveRound,
        events: () => ({ frame: (bytes) => this.#opened(bytes), closed: () => {} }),
      });
    }
  }

  /** The chain so far. */
  get chain(): Chain {
    return this.#chain;
  }

  /** Whether the record feed is connected. */
  get connected(): boolean {
    return this.#broadcasts.stream !== undefined;
  }

  /** Takes other holders, for instance when the present ones fell silent. */
  move(reason: string): void {
    this.#broadcasts.drop(reason);
    this.#live?.drop(reason);
  }

  /** Stops following. */
  close(): void {
    this.#ended = true;
    this.#broadcasts.close();
    this.#live?.close();
  }

  #opened(bytes: Uint8Array): void {
    if (this.#ended) return;
    const { manifest, events } = this.options;
    const reader = new Reader(bytes, "live round");
    const opened = decodeOpened(
      reader.vector(openedBytes(manifest.servers.length), "opened header"),
      manifest,
    );
    const proof = reader.left > 0 ? decodeProof(reader.bytes(reader.left)) : undefined;
    if (opened.header.round <= this.#chain.head.round) return;
    checkOpens(manifest, opened);
    events.opened?.(opened, proof);
  }

  #record(bytes: Uint8Array, peer: Peer): void {
    if (this.#ended) return;
    const { events } = this.options;
    const before = this.#chain.head.round;
    let verified: Verified;
    try {
      verified = this.#chain.extend(bytes);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      const later = this.#later(bytes);
      if (!later) return this.#bad(error, peer);
      verified = later;
      events.gap?.(before, verified.record.header.round);
    }
    if (!this.#started && this.options.from !== NEWEST && !verified.linked) {
      events.gap?.(before, verified.record.header.round);
    }
    this.#started = true;
    events.record(verified);
  }

  /** A certified record of a later round that does not link: what lies between was missed. */
  #later(bytes: Uint8Array): Verified | undefined {
    const chain = new Chain(this.options.manifest, { anywhere: true });
    try {
      const verified = chain.extend(bytes);
      if (verified.record.header.round <= this.#chain.head.round) return undefined;
      // Only a link that is missing may be passed over, nothing that is false.
      if (verified.linked) return undefined;
      this.#chain = chain;
      return verified;
    } catch {
      return undefined;
    }
  }

  #bad(error: ProtocolError, peer: Peer): void {
    this.options.environment.observe("warn", "record refused", {
      peer: peer.id,
      reason: error.message,
    });
    if (this.options.events.bad(error, peer)) this.move("a record that does not verify");
    else this.close();
  }
}
