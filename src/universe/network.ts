/**
 * The seam between the roles and whatever carries their bytes: typed, length-prefixed, bounded
 * streams between peers of one instance, and the peers that were found. Two columns stand behind
 * it, `libp2p.ts` (TCP + Noise + Yamux) and `memory.ts` (a virtual clock and a seed); one
 * conformance suite passes on both.
 */

import type { OwnEntry, WatchedCatalog } from "./discovery/view.ts";
import type { Counts } from "./limits.ts";

/** What a peer does in its instance. */
export type Role = "server" | "aggregator" | "client" | "reader";

/** A peer of this instance, named by its Ed25519 node identity, which the transport proves. */
export interface Peer {
  /** The identity as 64 hex digits. */
  readonly id: string;
  /** The identity, 32 bytes. */
  readonly key: Uint8Array;
  /** What it does in the instance. */
  readonly role: Role;
  /** Where it can be dialed; empty for those who only dial (clients). */
  readonly addresses: readonly string[];
}

/** The named bounds of one kind of stream. */
export interface StreamKind {
  /** Protocol name, the same on both sides. */
  readonly name: string;
  /** Longest frame in bytes; a longer one ends the stream and names the peer in the log. */
  readonly maxFrame: number;
  /** Bytes that may wait to be sent; a reader slower than that is cut. */
  readonly maxBuffered: number;
  /** Streams of this kind that one peer may have open towards us. */
  readonly maxPerPeer: number;
}

/** One open stream. Frames arrive whole and in order, or the stream closes. */
export interface Stream {
  /** The other end. */
  readonly peer: Peer;
  /**
   * Sends one frame. The bytes must not be changed afterwards. Returns false, and does nothing,
   * when the stream is closed; a frame that overruns `maxBuffered` closes it.
   */
  send(frame: Uint8Array): boolean;
  /**
   * Bounds the frames that arrive from now on, in bytes; never above the kind's `maxFrame`. For
   * owners that do not trust the peer with the whole yet.
   */
  limit(bytes: number): void;
  /**
   * Ends the stream; `closed` is called on both sides, here after the current turn. What was sent
   * before still arrives. The reason stays on this side.
   */
  close(reason?: string): void;
}

/** What the owner of a stream hears. An exception in `frame` closes the stream with its message. */
export interface StreamEvents {
  /** One frame, whole; at most the kind's `maxFrame` bytes. */
  frame(bytes: Uint8Array): void;
  /** Called exactly once; no `frame` comes after it. */
  closed(reason: string): void;
}

/** Decides on an inbound stream: what listens to it, or undefined to refuse it. */
export type Accept = (stream: Stream) => StreamEvents | undefined;

/** How many peers a node knows, and what became of the addresses that it was given. */
export interface Census {
  /** Peers of this universe that are known, those of this instance among them. */
  readonly universe: number;
  /** Peers of this instance that are known. */
  readonly instance: number;
  /** What became of the bootstrap addresses. */
  readonly bootstrap: {
    /** How many were tried, and at how many of them a peer of the universe answered. */
    readonly tried: number;
    readonly answered: number;
    /** Those tried at which none ever did, and why at the last attempt. */
    readonly failures: readonly { readonly address: string; readonly reason: string }[];
  };
}

/** One node on one instance of one universe. */
export interface Network {
  /** This node. */
  readonly self: Peer;
  /** The universe as this node sees it: signed entries of those who can be dialed. */
  readonly catalog: WatchedCatalog;
  /** What this node says of itself; a client, or who does not listen, is heard by nobody. */
  readonly entry: OwnEntry;
  /** Registers who answers inbound streams of a kind from now on. Before `start` or later, or anew. */
  serve(kind: StreamKind, accept: Accept): void;
  /** Listens, and meets the bootstrap peers; it keeps trying in the background. */
  start(): Promise<void>;
  /** Peers of this instance known now (never oneself), of one role if given. Order: by id. */
  peers(role?: Role): Peer[];
  /**
   * Called once for each peer that becomes known, now or later; the returned function ends it. A
   * server or aggregator that was lost stays known for ten minutes, so its return is no news.
   */
  onPeer(listener: (peer: Peer) => void): () => void;
  /**
   * Opens a stream to a peer of this instance. Rejects with a `NetworkError` when the peer cannot
   * be reached, refuses, or belongs to another universe or instance. The newest known addresses
   * are dialed, whatever `peer` holds. Frames are heard as soon as `events` has answered.
   */
  open(peer: Peer, kind: StreamKind, events: (stream: Stream) => StreamEvents): Promise<Stream>;
  /**
   * A member of the committee, by its id: it finds room where strangers find none. What it sends is
   * bounded by its streams' kinds alone, so this is for peers that have proven that they belong.
   */
  favour(id: string): void;
  /** What this node holds now, and what it refused under each limit. */
  counts(): Counts;
  /** What it knows of its surroundings, in numbers. */
  census(): Census;
  /** Says that it leaves, closes every stream and stops listening. Idempotent. */
  stop(): Promise<void>;
}

/** Why a stream could not be opened or a node could not start. */
export class NetworkError extends Error {
  override readonly name = "NetworkError";
  constructor(
    readonly code: "unreachable" | "refused" | "other-instance" | "stopped" | "listen" | "address",
    message: string,
  ) {
    super(message);
  }
}

/** Whoever answered has our own key. */
export class OwnAddress extends NetworkError {
  constructor() {
    super("address", "the address is this node's own");
  }
}
