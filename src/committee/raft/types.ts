/** What goes into a raft node and what comes out of it, in the field's own terms. */

/** A set of nodes by id. While a joint change is under way, `outgoing` is not empty. */
export interface Members {
  readonly voters: readonly number[];
  readonly learners: readonly number[];
  /** Voters of the configuration that is being left. */
  readonly outgoing: readonly number[];
  /** Nodes that become learners once it is left. */
  readonly nextLearners: readonly number[];
  /** Whether raft leaves the joint configuration by itself. */
  readonly autoLeave: boolean;
}

/** What must be on disk before any message of the same `Ready` leaves. */
export interface HardState {
  readonly term: number;
  /** Node voted for in this term; 0 is none. */
  readonly vote: number;
  readonly commit: number;
}

/** One place of the log. */
export interface Entry {
  readonly type: "normal" | "confChange" | "confChangeV2";
  readonly term: number;
  readonly index: number;
  /** Empty in the entry with which a leader begins its term. */
  readonly data: Uint8Array;
}

/** State that stands for the log up to `index`, with the members at that place. */
export interface Snapshot {
  readonly index: number;
  readonly term: number;
  readonly members: Members;
  readonly data: Uint8Array;
}

/** What a node is in its term. */
export type Role = "follower" | "candidate" | "leader" | "preCandidate";

/** Who leads, as far as this node knows; nothing to store. */
export interface SoftState {
  /** 0 is none. */
  readonly leader: number;
  readonly role: Role;
}

/** Bytes for another node. */
export interface Message {
  readonly to: number;
  /** Whether it carries a snapshot: its sender owes a `reportSnapshot`. */
  readonly snapshot: boolean;
  readonly bytes: Uint8Array;
}

/**
 * Work that is due, in this order: store `hardState`, `entries` and `snapshot` (flushed, if
 * `mustSync`); send `messages`; restore `snapshot`; apply `committed`; call `advance`.
 */
export interface Ready {
  readonly mustSync: boolean;
  readonly hardState?: HardState;
  readonly softState?: SoftState;
  /** They replace whatever the stored log has from the first one's index on. */
  readonly entries: readonly Entry[];
  readonly committed: readonly Entry[];
  readonly snapshot?: Snapshot;
  readonly messages: readonly Message[];
}

/** What a restarted node remembers. Nothing at all is a node that waits to be added. */
export interface Stored {
  readonly snapshot?: Snapshot;
  readonly hardState?: HardState;
  /** From the one after the snapshot on, without a gap. */
  readonly entries?: readonly Entry[];
}

/** Sizes that a node never goes beyond. */
export interface Limits {
  /** Longest proposal. */
  readonly entryBytes: number;
  /** Entries of one message; a single one may be longer. */
  readonly batchBytes: number;
  /** Messages with entries that are under way to one follower. */
  readonly inflight: number;
  /** Entries of a leader that are not committed yet. */
  readonly uncommittedBytes: number;
  readonly snapshotBytes: number;
}

/** A change of the members. */
export interface Change {
  readonly kind: "addVoter" | "remove" | "addLearner";
  readonly id: number;
}

/** What the leader knows of a member. */
export interface Progress {
  readonly id: number;
  /** Last index that it is known to have. */
  readonly match: number;
  readonly next: number;
  readonly state: "probe" | "replicate" | "snapshot";
  /** Heard of since the last check of the quorum. */
  readonly active: boolean;
  readonly learner: boolean;
}

/** A node as it stands. */
export interface Status {
  readonly id: number;
  readonly term: number;
  readonly vote: number;
  /** 0 is none. */
  readonly leader: number;
  readonly role: Role;
  readonly commit: number;
  readonly applied: number;
  /** First and last index that the log in memory holds; empty if `last` is before `first`. */
  readonly first: number;
  readonly last: number;
  /** Index of the snapshot; 0 is none. */
  readonly snapshot: number;
  readonly members: Members;
  /** Of all members, this one included; at a leader only. */
  readonly progress: readonly Progress[];
}
