/** What happened in a catalog, to those who ask for the next; a slow one loses the oldest. */
import type { CatalogEvent } from "./view.ts";

/** Events that wait for one listener. */
export const EVENT_BACKLOG = 128;

/** One listener's queue. `next` waits where nothing waits; `return` ends it. */
export class EventQueue implements AsyncIterableIterator<CatalogEvent> {
  readonly #waiting: CatalogEvent[] = [];
  #wanted: ((result: IteratorResult<CatalogEvent>) => void)[] = [];
  #ended = false;

  constructor(readonly release: (queue: EventQueue) => void) {}

  push(event: CatalogEvent): void {
    const wanted = this.#wanted.shift();
    if (wanted !== undefined) return wanted({ done: false, value: event });
    if (this.#waiting.length >= EVENT_BACKLOG) this.#waiting.shift();
    this.#waiting.push(event);
  }

  next(): Promise<IteratorResult<CatalogEvent>> {
    const value = this.#waiting.shift();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#wanted.push(resolve));
  }

  /** No more events come; those that wait can still be read. */
  end(): void {
    this.#ended = true;
    for (const wanted of this.#wanted) wanted({ done: true, value: undefined });
    this.#wanted = [];
    this.release(this);
  }

  return(): Promise<IteratorResult<CatalogEvent>> {
    this.#waiting.length = 0;
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
