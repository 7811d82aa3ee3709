/**
 * A message on its way: what its sender sees, known to nobody else, and what its outbox keeps.
 */
import type { HeaderHash, RecordHash } from "../protocol/bytes.ts";

/** Milliseconds until a message expires, unless its sender says otherwise. */
export const DEFAULT_DEADLINE = 300_000;

/** How often a message that was exposed is reserved again. */
export const MAX_AFTER_EXPOSURE = 2;

/** How a message is to be sent. */
export interface SendOptions {
  /** Never sent again after an exposure. */
  readonly once?: boolean;
  /** Milliseconds from now until it expires; `DEFAULT_DEADLINE` if absent. */
  readonly deadline?: number;
}

/**
 * The end of a submission. `expired` says `exposed` (others may know the words, and it did not
 * land), `deadline`, `deadline, exposed` (out of time, and others may know the words or it may yet
 * land), or why the outbox was closed.
 */
export type Outcome =
  | { readonly kind: "landed"; readonly round: number; readonly slot: number }
  | { readonly kind: "expired"; readonly reason: string }
  | { readonly kind: "refused"; readonly reason: string };

/**
 * The end, or a new attempt on the way: the `attempt`-th reservation follows, because the last was
 * `not granted`, in a `void round`, `lapsed` before its slot was sent, `left out` or `exposed`.
 */
export type Progress =
  | Outcome
  | { readonly kind: "retrying"; readonly reason: string; readonly attempt: number };

/** A message on its way. */
export interface Submission {
  /** Rises with every `send` of an outbox, from 1. */
  readonly id: number;
  /** Resolves once; never rejects. */
  readonly outcome: Promise<Outcome>;
  /** The last progress. */
  readonly status: Progress | { readonly kind: "pending" };
  /** Calls `listener`, in a microtask of its own, with the last progress, if any, and all later. */
  onProgress(listener: (progress: Progress) => void): void;
}

/** The submission as its outbox sees it. */
export class Handle implements Submission {
  /** Resolves once. */
  readonly outcome: Promise<Outcome>;
  #status: Submission["status"] = { kind: "pending" };
  #listeners: ((progress: Progress) => void)[] = [];
  readonly #resolve: (outcome: Outcome) => void;

  /** A submission whose fate is open. */
  constructor(readonly id: number) {
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    this.outcome = promise;
    this.#resolve = resolve;
  }

  /** The last progress. */
  get status(): Submission["status"] {
    return this.#status;
  }

  /** Calls `listener` with the last progress, if any, and all later. */
  onProgress(listener: (progress: Progress) => void): void {
    const status = this.#status;
    this.#listeners.push(listener);
    if (status.kind !== "pending") queueMicrotask(() => listener(status));
  }

  /** Tells the sender; anything but `retrying` is the last word. */
  report(progress: Progress): void {
    this.#status = progress;
    for (const listener of this.#listeners) queueMicrotask(() => listener(progress));
    if (progress.kind === "retrying") return;
    this.#listeners = [];
    this.#resolve(progress);
  }
}

/** One reservation and what came of it. */
export interface Attempt {
  readonly salt: Uint8Array;
  readonly commitment: Uint8Array;
  /** The header that carried the reservation, its round, and the record that it extends. */
  readonly header: HeaderHash;
  readonly round: number;
  readonly previous: RecordHash;
  /** Set by the record that granted it. */
  grant?: Grant;
  /** Whether the slot ever left in an envelope. */
  sent: boolean;
}

/** A place in the message vector of the headers that extend `head`. */
export interface Grant {
  readonly head: RecordHash;
  readonly round: number;
  readonly slot: number;
  readonly offset: number;
  readonly length: number;
}

/** A message whose fate is open. */
export interface Pending {
  readonly handle: Handle;
  readonly payload: Uint8Array;
  readonly once: boolean;
  readonly deadline: number;
  /** Headers to pass before the next reservation. */
  wait: number;
  reservations: number;
  /** `k` of the table's first row. */
  lapses: number;
  exposures: number;
  live?: Attempt;
  /** Exposed slots and the last void reservation: their record may come after all. */
  past: Attempt[];
}

/** Whether a message was exposed too often to be reserved again; only an old slot may still land. */
export function given(p: Pending): boolean {
  return p.exposures > (p.once ? 0 : MAX_AFTER_EXPOSURE);
}
