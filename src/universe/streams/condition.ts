/**
 * Conditions over the peers that a stream is connected with: how many there are, which tags they
 * show, what a predicate says of them. A condition can be waited for again and again: it fires each
 * time it turns from unmet to met, and the first time at once if it is met already.
 */
import type { PeerInfo } from "../discovery/view.ts";
import { StreamError } from "./errors.ts";
import type { Predicate } from "./options.ts";

/** Conditions of one stream that are waited for. */
export const MAX_WATCHED = 1_024;

/** The peers of one side of a stream, and who waits for them to change. */
export class Audience {
  readonly #watching = new Set<Condition>();
  #closed = false;

  /** `peers` are those connected now; `online` is asked of them for `Condition`s about the stream. */
  constructor(readonly peers: () => readonly PeerInfo[]) {}

  /** Peers came, went, or say something else of themselves. */
  changed(): void {
    for (const condition of [...this.#watching]) condition.look();
  }

  /** The stream ends: who waits hears it. */
  close(): void {
    this.#closed = true;
    for (const condition of [...this.#watching]) condition.stop();
  }

  watch(condition: Condition): void {
    if (this.#closed) throw new StreamError("closed", "the stream is closed");
    if (!this.#watching.has(condition) && this.#watching.size >= MAX_WATCHED) {
      throw new StreamError("full", `${MAX_WATCHED} conditions of this stream are waited for`);
    }
    this.#watching.add(condition);
  }

  unwatch(condition: Condition): void {
    this.#watching.delete(condition);
  }
}

/** Something that holds of an audience or not. */
export class Condition {
  readonly #waiting: { resolve: () => void; reject: (error: StreamError) => void }[] = [];
  /** Whether it fired since it was last unmet. */
  #fired = false;
  #watched = false;

  constructor(readonly audience: Audience, readonly holds: () => boolean) {}

  /** Whether it holds now. */
  get met(): boolean {
    return this.holds();
  }

  /** The opposite. */
  unmet(): Condition {
    return new Condition(this.audience, () => !this.holds());
  }

  /** The same, which has not fired yet. */
  clone(): Condition {
    return new Condition(this.audience, this.holds);
  }

  /**
   * Resolves when it fires. Rejects with a `StreamError`: `closed` when the stream or the condition
   * ends, `full` when too many conditions are waited for.
   */
  wait(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.audience.watch(this);
      this.#watched = true;
      if (this.#waiting.length >= MAX_WATCHED) {
        throw new StreamError("full", `${MAX_WATCHED} wait for this condition`);
      }
      this.#waiting.push({ resolve, reject });
      this.look();
    });
  }

  /** Ends the condition: who waits for it hears so, and changes are no longer followed. */
  stop(): void {
    this.audience.unwatch(this);
    this.#watched = false;
    for (const { reject } of this.#waiting.splice(0)) {
      reject(new StreamError("closed", "the stream is closed, or the condition was stopped"));
    }
  }

  /** The audience changed. */
  look(): void {
    if (!this.#watched) return;
    if (!this.holds()) {
      this.#fired = false;
    } else if (!this.#fired && this.#waiting.length > 0) {
      this.#fired = true;
      for (const { resolve } of this.#waiting.splice(0)) resolve();
    }
  }
}

/** At least so many connected peers that satisfy everything asked of them; one unless said. */
export class PeersCondition extends Condition {
  constructor(
    audience: Audience,
    readonly least: number = 1,
    readonly predicates: readonly Predicate[] = [],
  ) {
    super(audience, () => {
      if (least === 0) return true;
      let count = 0;
      for (const peer of audience.peers()) {
        if (predicates.every((predicate) => predicate(peer)) && ++count >= least) return true;
      }
      return false;
    });
  }

  /** At least `n` of them. */
  minimumOf(n: number): PeersCondition {
    return new PeersCondition(this.audience, n, this.predicates);
  }

  /** Who show all of these tags. */
  withTags(...tags: readonly string[]): PeersCondition {
    return this.withPredicate((peer) => tags.every((tag) => peer.tags.has(tag)));
  }

  /** Of whom this holds too. */
  withPredicate(predicate: Predicate): PeersCondition {
    return new PeersCondition(this.audience, this.least, [...this.predicates, predicate]);
  }
}

/** What can be waited for at a producer or consumer. */
export interface When {
  /** The stream's own condition for being online holds. */
  online(): Condition;
  offline(): Condition;
  /** A peer, or as the condition is refined. */
  subscribed(): PeersCondition;
  unsubscribed(): Condition;
}

/** The conditions of a stream whose own condition for being online is `online`. */
export function when(audience: Audience, online: () => boolean): When {
  return {
    online: () => new Condition(audience, online),
    offline: () => new Condition(audience, () => !online()),
    subscribed: () => new PeersCondition(audience),
    unsubscribed: () => new PeersCondition(audience).unmet(),
  };
}
