/** What waits for one slow iteration, with a bound past which the iteration fails rather than lose. */
import type { Clock } from "../universe/environment.ts";
import { Shutdown } from "./errors.ts";

/** Items pushed at one end, and iterated at the other. */
export class Queue<T> {
  readonly #items: T[] = [];
  #end: { readonly error?: Error } | undefined;
  #wake = () => {};

  /** `taken` hears of every item that leaves. */
  constructor(readonly bound: number, readonly taken: () => void = () => {}) {}

  /** Items that wait. */
  get size(): number {
    return this.#items.length;
  }

  /** Adds an item; one too many ends the iteration with `Shutdown` after those that wait. */
  push(item: T): void {
    if (this.#end) return;
    if (this.#items.length >= this.bound) {
      this.end(new Shutdown(`the reader fell ${this.bound} records behind`));
    } else this.#items.push(item);
    this.#wake();
  }

  /** Ends the iteration once what waits is taken, with an error if given. */
  end(error?: Error): void {
    this.#end ??= { error };
    this.#wake();
  }

  /** The items as they come; `done` is called when nobody wants more. */
  async *drain(done: () => void): AsyncGenerator<T> {
    try {
      for (;;) {
        while (this.#items.length > 0) {
          const item = this.#items.shift()!;
          this.taken();
          yield item;
        }
        if (this.#end?.error) throw this.#end.error;
        if (this.#end) return;
        await new Promise<void>((resolve) => this.#wake = resolve);
      }
    } finally {
      done();
    }
  }
}

/** How long an iteration may take nothing while it holds others back that wait for more, ms. */
export const ABANDONED_MS = 60_000;

/**
 * Items for any number of iterations, each of which gets what was pushed since the one before it
 * began, or, the first, since the start. While half of `bound` wait for the slowest, `push` answers
 * with a promise of room. One that takes nothing more was abandoned, for all that can be told: where
 * another waits for it, it ends with `Shutdown`.
 */
export class Backlog<T> {
  /** When something was taken last, or the iteration began. */
  readonly #queues = new Map<Queue<T>, number>();
  /** What came before anyone iterated. */
  #early: T[] = [];
  #held: (() => void)[] = [];
  #end: { readonly error?: Error } | undefined;
  #cancel: (() => void) | undefined;

  constructor(readonly bound: number, readonly clock: Pick<Clock, "now" | "after">) {}

  /** Adds an item; a promise resolves once there is room for the next. */
  push(item: T): void | Promise<void> {
    if (this.#queues.size === 0) this.#early.push(item);
    for (const queue of this.#queues.keys()) queue.push(item);
    if (this.#room) return;
    this.#watch();
    return new Promise((go) => this.#held.push(go));
  }

  /** Ends every iteration, with an error if given; later ones end at once. */
  end(error?: Error): void {
    this.#end ??= { error };
    this.#cancel?.();
    for (const queue of this.#queues.keys()) queue.end(error);
  }

  /** A new iteration. */
  iterate(): AsyncGenerator<T> {
    const queue: Queue<T> = new Queue<T>(this.bound, () => {
      if (this.#queues.has(queue)) this.#queues.set(queue, this.clock.now());
      this.#taken();
    });
    for (const item of this.#early.splice(0)) queue.push(item);
    if (this.#end) queue.end(this.#end.error);
    this.#queues.set(queue, this.clock.now());
    if (!this.#room) this.#watch();
    return queue.drain(() => {
      this.#queues.delete(queue);
      this.#taken();
    });
  }

  get #room(): boolean {
    const sizes = [...this.#queues.keys()].map(({ size }) => size);
    return 2 * Math.max(this.#early.length, ...sizes) < this.bound;
  }

  #taken(): void {
    if (!this.#room) return;
    this.#cancel?.();
    this.#cancel = undefined;
    for (const go of this.#held.splice(0)) go();
  }

  /** Looks now and then, while there is no room, whether it is for one that was abandoned. */
  #watch(): void {
    if (this.#cancel || this.#end || this.#queues.size < 2) return;
    this.#cancel = this.clock.after(ABANDONED_MS, () => {
      this.#cancel = undefined;
      const before = this.clock.now() - ABANDONED_MS;
      if ([...this.#queues.keys()].some(({ size }) => size === 0)) {
        for (const [queue, at] of this.#queues) {
          if (at > before || 2 * queue.size < this.bound) continue;
          queue.end(new Shutdown(`nothing was taken for ${ABANDONED_MS} ms, while others waited`));
          this.#queues.delete(queue);
        }
      }
      this.#taken();
      if (!this.#room) this.#watch();
    });
  }
}
