/**
 * What a column has to bring: authenticated framed links between node identities. Everything else
 * (hello, bounds, directory, discovery) is written once in `node.ts` above this interface.
 */

/** What the node hears from a link, in order; nothing after `closed`. */
export interface LinkEvents {
  /** One whole frame, at most `limit` bytes. */
  frame(bytes: Uint8Array): void;
  /** The other side announced a frame over `limit`; none of it was buffered. */
  oversize(length: number): void;
  /** The link ended from outside: by the other side or with its connection. */
  closed(reason: string): void;
}

/** One bidirectional stream of frames to a peer whose identity the transport has proven. */
export interface Link {
  /** The proven Ed25519 identity, 32 bytes. */
  readonly key: Uint8Array;
  /** The same as 64 hex digits. */
  readonly id: string;
  /** Longest frame that may arrive now, in bytes. */
  limit: number;
  /** Who listens; set in the same turn in which the link is handed over. */
  events: LinkEvents;
  /** Bytes sent that the carrier has not taken yet. */
  readonly waiting: number;
  /** Sends a frame, which must not change afterwards. Never throws. */
  send(frame: Uint8Array): void;
  /**
   * Ends the link after the frames sent so far. No event follows on this side. Settles when those
   * have left, or never will.
   */
  close(): Promise<void>;
  /** Ends the link at once, also while it closes. No event follows on this side. */
  abort(): void;
}

/** Whom to reach: a known identity, or whoever answers at an address. */
export interface Target {
  /** The identity that must answer. Without it anyone may. */
  readonly key?: Uint8Array;
  readonly addresses: readonly string[];
}

/** What becomes of a gossiped message: passed on, or dropped, or dropped and its sender scored down. */
export type Verdict = "accept" | "ignore" | "reject";

/** A topic that was joined. */
export interface Gossip {
  /** Neighbours on the topic now. */
  readonly neighbours: number;
  /** Hands a message to the neighbours, who pass it on. Never throws; without neighbours it is lost. */
  publish(message: Uint8Array): void;
  /** Leaves the topic. Idempotent. */
  leave(): void;
}

/** Who hears a topic. */
export interface GossipEvents {
  /** A message new to this node, of whatever length; `from` is the neighbour's id as hex. */
  message(bytes: Uint8Array, from: string): Verdict;
  /** A neighbour on the topic is there. */
  neighbour(id: string): void;
}

/** Where peers that share a key leave a trace of themselves. What is found is a hint. */
export interface Rendezvous {
  /** Keeps this node to be found under a key of 32 bytes, until the returned function is called. */
  provide(key: Uint8Array): () => void;
  /** Addresses of some who provide a key; ends with what was found when the signal says so. */
  find(key: Uint8Array, signal: AbortSignal): Promise<string[]>;
}

/** A column of the universe. */
export interface Transport {
  /** Joins a topic. Call before `listen` or later; messages above its bound are never sent. */
  gossip?(topic: string, events: GossipEvents): Gossip;
  /** Ways to find a first peer, or one of an instance; none unless the node was given some. */
  readonly rendezvous?: readonly Rendezvous[];
  /** Throws a `NetworkError` with code `address` if the address cannot be used here. */
  check(address: string): void;
  /** Registers who gets inbound links of a protocol. Call before `listen`. */
  handle(protocol: string, maxPerPeer: number, inbound: (link: Link) => void): void;
  /** Starts; answers the addresses at which this node can now be dialed. */
  listen(addresses: readonly string[]): Promise<string[]>;
  /**
   * Opens a link, over a connection that exists or a new one. Rejects with a `NetworkError`; may
   * wait for as long as the signal allows.
   */
  open(target: Target, protocol: string, signal: AbortSignal): Promise<Link>;
  /** Cuts every connection with a peer: its links end on both sides. */
  drop(id: string): void;
  /** Ends everything. Idempotent. */
  stop(): Promise<void>;
}
