/**
 * The words of the release rules: what they are asked with, what they answer, and the code of every
 * rule.
 */
import type { Fingerprint, HeaderHash, RecordHash } from "../protocol/bytes.ts";
import type { Manifest } from "../protocol/manifest.ts";
import type { Context, Signed, Statement } from "../protocol/statements.ts";

/** Where the register lives. */
export interface Store {
  /** The bytes saved last, if any ever were. */
  load(): Uint8Array | undefined;
  /** Replaces the bytes; they are durable once it returns. */
  save(bytes: Uint8Array): void;
}

/** The signature scheme, with this server's key in it. */
export interface Scheme {
  sign<S extends Statement>(statement: S): Signed<S>;
  verify(signed: Signed): boolean;
  /** `sign-manifest` over a fingerprint, 64 bytes. */
  signManifest(fingerprint: Fingerprint): Uint8Array;
}

/** What the rules need of a header; the caller has read the rest of it. */
export interface HeaderView {
  readonly hash: HeaderHash;
  readonly round: number;
  /** Unix ms. */
  readonly time: number;
  readonly previous: RecordHash;
  readonly carry: boolean;
  /** This server's boot nonce in it. */
  readonly nonce: Uint8Array;
}

/** Why a statement is refused: one stable code a rule. PARTIAL may also be refused by `prepare-*`. */
export const REFUSALS = [
  "open-closed",
  "open-behind",
  "open-ahead",
  "open-head",
  "open-nonce",
  "open-time",
  "open-carry",
  "open-content",
  "prepare-closed",
  "prepare-opened",
  "prepare-boot",
  "prepare-voided",
  "prepare-head",
  "prepare-bytes",
  "prepare-strangers",
  "prepare-few",
  "prepare-full",
  "prepare-unproven",
  "prepare-twice",
  "partial-closed",
  "partial-missing",
  "partial-server",
  "partial-header",
  "partial-digest",
  "partial-twice",
  "partial-mine",
  "partial-signature",
  "void-released",
  "void-head",
  "void-ahead",
  "final-closed",
  "final-behind",
  "final-head",
  "final-missing",
  "final-server",
  "final-header",
  "final-shares",
  "final-signature",
  "final-match",
  "close-twice",
  "close-manifest",
  "close-epoch",
  "close-head",
  "close-uncertified",
  "close-content",
] as const;

/** One of `REFUSALS`. */
export type Refusal = typeof REFUSALS[number];

/** A statement, signed, or the rule that forbids it. */
export type Decision<S extends Statement = Statement> =
  | { readonly signed: Signed<S> }
  | { readonly refused: Refusal };

/** What the rules need of the next epoch's manifest; the caller has read the rest of it. */
export type NextEpoch = Pick<Manifest, "fingerprint" | "epoch" | "previous" | "start">;

/** My signature under the next epoch's manifest, 64 bytes, or the rule that forbids it. */
export type Closing = { readonly signature: Uint8Array } | { readonly refused: Refusal };

/** Why an earlier header on this head stands in nobody's way; the caller vouches for `context`. */
export type Evidence =
  | { readonly void: Signed }
  | { readonly convicts: readonly [Signed, Signed]; readonly context?: Context };

/** What the caller knows of the aggregate behind a digest. */
export interface Facts {
  readonly participants: number;
  /** Bits of the bitmap at which nobody stands in the roster. */
  readonly strangers: number;
  /** Whether the bytes behind the digest are here. */
  readonly holdsBytes: boolean;
  readonly evidence: readonly Evidence[];
}

/** What a `ReleaseRules` works with. */
export interface ReleaseOptions {
  /** Ed25519 keys in manifest order. */
  readonly servers: readonly Uint8Array[];
  /** This server's place among them. */
  readonly self: number;
  readonly scheme: Scheme;
  readonly store: Store;
  /** 32 random bytes, fresh each boot and in each epoch. */
  readonly nonce: Uint8Array;
  readonly manifest: Pick<Manifest, "fingerprint" | "epoch">;
  /** What the epoch starts from: round 0 in epoch 0, later the record that the manifest names. */
  readonly genesis: { readonly round: number; readonly hash: RecordHash };
  /** At least 2 counts, whatever is given. */
  readonly minParticipants: number;
}
