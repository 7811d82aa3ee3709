/** What the replicated state consists of, and what it tells of its changes. */
import type { HeaderHash, RecordHash } from "../protocol/bytes.ts";
import type { Signed } from "../protocol/statements.ts";
import type { Decline } from "./decline.ts";

/** The round in progress. Arrays are by place in the manifest. */
export interface Live {
  readonly round: number;
  readonly header: HeaderHash;
  readonly opens: (Signed | undefined)[];
  /** `D` of the aggregate that came first. */
  digest?: Uint8Array;
  readonly prepares: (Signed | undefined)[];
  readonly partials: (Signed | undefined)[];
  /** Who declined to sign, by their own word. */
  readonly declined: Map<number, Decline>;
  /** Why it is given up as soon as somebody says VOID. */
  givingUp?: string;
}

/** A record that servers are signing, or have all signed. */
export interface Finals {
  readonly round: number;
  readonly record: RecordHash;
  readonly signatures: (Signed | undefined)[];
}

/** What applying a command meant, beyond the state itself. */
export interface StateEvents {
  /** The live round was given up. */
  voided?(live: Live, reason: string): void;
  /** All servers signed FINAL for a record: it is the head now. */
  finalized?(finals: Finals): void;
  /** A client's place was freed because of absence. */
  expired?(client: Uint8Array): void;
  /** A client lost its place because a server does not vouch for it any more. */
  evicted?(client: Uint8Array, server: number): void;
  /** Two statements that convict their server. */
  equivocation?(why: string, a: Signed, b: Signed): void;
}
