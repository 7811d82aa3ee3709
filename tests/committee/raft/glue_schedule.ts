/** Events in virtual time: the earliest first, those of one moment in the order they were made. */

interface Event {
  readonly at: number;
  readonly order: number;
  task: (() => void) | undefined;
}

/** A heap of events. */
export class Schedule {
  readonly #heap: Event[] = [];
  #orders = 0;
  /** Virtual ms. */
  now = 0;

  /** When the next event is; never, if there is none. */
  get next(): number {
    return this.#heap[0]?.at ?? Infinity;
  }

  /** Runs `task` after so long, unless the answer is called before. */
  after(ms: number, task: () => void): () => void {
    const event: Event = { at: this.now + ms, order: this.#orders++, task };
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    for (let up = (at - 1) >> 1; at > 0 && before(event, heap[up]); at = up, up = (at - 1) >> 1) {
      heap[at] = heap[up];
    }
    heap[at] = event;
    return () => void (event.task = undefined);
  }

  /** Runs the next event. */
  step(): void {
    const heap = this.#heap, first = heap[0], last = heap.pop()!;
    this.now = first.at;
    let at = 0;
    for (let down = 1; heap.length > 0 && down < heap.length; down = 2 * at + 1) {
      if (down + 1 < heap.length && before(heap[down + 1], heap[down])) down++;
      if (!before(heap[down], last)) break;
      heap[at] = heap[down];
      at = down;
    }
    if (heap.length > 0) heap[at] = last;
    first.task?.();
  }
}

function before(a: Event, b: Event): boolean {
  return a.at !== b.at ? a.at < b.at : a.order < b.order;
}
