/**
 * The peers of a universe as their own entries show them, to those who choose among them: producers
 * and consumers of streams, and whoever looks for an instance.
 */

/** What is known of one peer of the universe. */
export interface PeerInfo {
  /** Its identity as 64 hex digits. */
  readonly id: string;
  /** Its identity, 32 bytes. */
  readonly key: Uint8Array;
  /** Where it can be dialed. */
  readonly addresses: readonly string[];
  /** Words that it says of itself; they prove nothing. */
  readonly tags: ReadonlySet<string>;
  /** Names of the streams that it produces. */
  readonly streams: ReadonlySet<string>;
  /** Ids of the instances that it serves, as hex. */
  readonly instances: ReadonlySet<string>;
  /** Its tickets by reference: class, and BLAKE3 hash of the body as hex. */
  readonly tickets: readonly { readonly class: string; readonly hash: string }[];
  /** Smoothed round-trip time in milliseconds, once it was measured. */
  readonly rtt?: number;
}

/** The universe as one node sees it now. */
export interface CatalogView {
  /** Peers whose lease runs, never oneself, in the order of their ids. */
  peers(): readonly PeerInfo[];
  /** One of them. */
  get(id: string): PeerInfo | undefined;
  /** Calls after each change, once for a group of them; the returned function ends it. */
  onChange(listener: () => void): () => void;
  /** Asks a peer for what it knows, now. Resolves when its answer is in; rejects with a `NetworkError`. */
  syncWith(
    peer: { readonly key: Uint8Array; readonly addresses: readonly string[] },
  ): Promise<void>;
  /** The body of a ticket that a peer's entry names, checked against its hash; undefined if it has none. */
  ticket(id: string, hash: string): Promise<Uint8Array | undefined>;
}

/** What a node says of itself; each change makes a new version of its entry. */
export interface OwnEntry {
  /** Words of at most 32 characters `a-z 0-9 . -`. */
  addTag(tag: string): void;
  /** Takes a word back. */
  removeTag(tag: string): void;
  /** A stream is produced here, or no longer. */
  addStream(name: string): void;
  /** A stream is produced here no longer. */
  removeStream(name: string): void;
  /** Shows a ticket in the place of those of its class; `undefined` takes them back. */
  setTicket(ticketClass: string, body: Uint8Array | undefined): void;
}

/** One change of a catalog. */
export interface CatalogEvent {
  /** `departed` by its own word, or because its lease ended or its place was needed. */
  readonly kind: "discovered" | "updated" | "departed";
  /** The peer as it is now, or as it was last. */
  readonly peer: PeerInfo;
}

/** A catalog that also tells of each change. */
export interface WatchedCatalog extends CatalogView {
  /** Changes from now on; one that is not read in time loses the oldest of what waits. */
  events(): AsyncIterableIterator<CatalogEvent>;
}
