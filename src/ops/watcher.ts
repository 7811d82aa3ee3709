/**
 * One who watches a page: what is sent waits here until the connection takes it, in arrays that all
 * watchers share. Who takes too little, or nothing for a while, is cut: its place is for others.
 */
import type { Clock } from "../universe/environment.ts";

/** How long something may wait while the connection takes nothing, ms. */
export const STALLED_MS = 30_000;

/** See the module comment. */
export class Watcher {
  /** What is sent, as it is taken. */
  readonly body: ReadableStream<Uint8Array>;
  readonly #queue: Uint8Array[];
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #waiting: number;
  /** When something was taken last, or began to wait. */
  #since: number;
  /** The connection wants more than there is. */
  #wanting: (() => void) | undefined;

  /** `most` bytes may wait, what it begins with among them; `gone` is called where it leaves. */
  constructor(
    first: readonly Uint8Array[],
    readonly most: number,
    readonly clock: Pick<Clock, "now">,
    gone: () => void,
  ) {
    this.#queue = [...first];
    this.#waiting = first.reduce((sum, { length }) => sum + length, 0);
    this.#since = clock.now();
    this.body = new ReadableStream<Uint8Array>({
      start: (controller) => void (this.#controller = controller),
      pull: () => this.#pull(),
      cancel: gone,
    }, { highWaterMark: 0 });
  }

  /** Sends this too; false where that is too much, or nothing was taken for long: then it is cut. */
  send(bytes: Uint8Array): boolean {
    const now = this.clock.now(), waits = this.#queue.length > 0;
    if (this.#waiting + bytes.length > this.most || (waits && now - this.#since >= STALLED_MS)) {
      this.#queue.length = 0;
      this.#controller.error(new Error("too slow"));
      return false;
    }
    if (this.#wanting) {
      this.#controller.enqueue(bytes);
      this.#wanting();
      this.#wanting = undefined;
      return true;
    }
    if (!waits) this.#since = now;
    this.#queue.push(bytes);
    this.#waiting += bytes.length;
    return true;
  }

  /** Ends it: nothing more comes. */
  close(): void {
    this.#controller.close();
    this.#wanting?.();
  }

  #pull(): void | Promise<void> {
    const next = this.#queue.shift();
    if (!next) return new Promise((resolve) => this.#wanting = resolve);
    this.#waiting -= next.length;
    this.#since = this.clock.now();
    this.#controller.enqueue(next);
  }
}
