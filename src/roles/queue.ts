/** What waits for one slow iteration, with a bound past which the iteration fails rather than lose. */
import { Shutdown } from "./errors.ts";

/** Items pushed at one end, and iterated at the other. */
export class Queue<T> {
  readonly #items: T[] = [];
  #end: { readonly error?: Error } | undefined;
  #wake = () => {};

  constructor(readonly bound: number) {}

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
        while (this.#items.length > 0) yield this.#items.shift()!;
        if (this.#end?.error) throw this.#end.error;
        if (this.#end) return;
        await new Promise<void>((resolve) => this.#wake = resolve);
      }
    } finally {
      done();
    }
  }
}
