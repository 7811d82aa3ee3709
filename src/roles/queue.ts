/** What waits for one slow iteration, with a bound past which the iteration fails rather than lose. */
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

/**
 * Items for any number of iterations, each of which gets what was pushed since the one before it
 * began, or, the first, since the start. While half of `bound` wait for the slowest, `push` answers
 * with a promise of room.
 */
export class Backlog<T> {
  readonly #queues = new Set<Queue<T>>();
  /** What came before anyone iterated. */
  #early: T[] = [];
  #held: (() => void)[] = [];
  #end: { readonly error?: Error } | undefined;

  constructor(readonly bound: number) {}

  /** Adds an item; a promise resolves once there is room for the next. */
  push(item: T): void | Promise<void> {
    if (this.#queues.size === 0) this.#early.push(item);
    for (const queue of this.#queues) queue.push(item);
    if (!this.#room) return new Promise((go) => this.#held.push(go));
  }

  /** Ends every iteration, with an error if given; later ones end at once. */
  end(error?: Error): void {
    this.#end ??= { error };
    for (const queue of this.#queues) queue.end(error);
  }

  /** A new iteration. */
  iterate(): AsyncGenerator<T> {
    const queue = new Queue<T>(this.bound, () => this.#taken());
    for (const item of this.#early.splice(0)) queue.push(item);
    if (this.#end) queue.end(this.#end.error);
    this.#queues.add(queue);
    return queue.drain(() => {
      this.#queues.delete(queue);
      this.#taken();
    });
  }

  get #room(): boolean {
    const sizes = [...this.#queues].map(({ size }) => size);
    return 2 * Math.max(this.#early.length, ...sizes) < this.bound;
  }

  #taken(): void {
    if (this.#room) { for (const go of this.#held.splice(0)) go(); }
  }
}
