/** What a member is made of, and what it tells the role around it. */
import type { Signer } from "../protocol/keys.ts";
import type { Manifest } from "../protocol/manifest.ts";
import type { OpenedHeader } from "../protocol/opened.ts";
import type { CertifiedRecord } from "../protocol/record.ts";
import type { Registration } from "../protocol/registration.ts";
import type { Roster } from "../protocol/roster.ts";
import type { Environment } from "../universe/environment.ts";
import type { Engine, EngineHost } from "./engine.ts";
import type { Start } from "./formed.ts";
import type { Store } from "./release_terms.ts";
import type { Vouch } from "./vouches.ts";

/** Milliseconds that each phase of a round took at this server. */
export type Phases = Readonly<Record<"open" | "fold" | "prepare" | "unblind" | "finalize", number>>;

/** What a member tells the role around it. */
export interface MemberEvents {
  /** All servers OPENed a header; the roster is the one that it names. */
  opened(opened: OpenedHeader, roster: Roster): void;
  /** All servers signed FINAL. `phases` is absent for a record that was only caught up with. */
  finalized(certified: CertifiedRecord, phases?: Phases): void;
  /** A round was given up. */
  voided(round: number, reason: string): void;
  /** A client lost its place because a server does not vouch for it any more. */
  evicted?(client: Uint8Array, server: number): void;
  /** Another server's role said something to this one's. */
  word?(from: number, bytes: Uint8Array): void;
  /** A server convicted itself; `proof` is both statements. */
  equivocation(why: string, server: Uint8Array, proof: Uint8Array): void;
}

/** What a member is made of. */
export interface MemberOptions {
  readonly manifest: Manifest;
  /** What the epoch starts from. */
  readonly start: Start;
  /** The certified record of that, if there is one. */
  readonly record?: Uint8Array;
  /** Clients that stood in the roster of the epoch before. */
  readonly clients?: Iterable<Registration>;
  /** Place in the manifest. */
  readonly self: number;
  readonly signer: Signer;
  readonly store: Store;
  readonly environment: Environment;
  readonly engine: (host: EngineHost, self: number) => Engine;
  /** Why a client may not take part, or undefined. */
  readonly admits: (client: Uint8Array) => string | undefined;
  /** Whether clients stand in the roster only while every server vouches for them. */
  readonly vouching?: boolean;
  /** What this server vouched for in the epoch before. */
  readonly vouches?: Iterable<Vouch>;
  readonly events: MemberEvents;
}
