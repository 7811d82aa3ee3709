/**
 * Virtual time: events in the order of (time, sequence number), one at a time, and after each
 * everything that it set going in promises. Nothing here waits for real time, so a run is as fast
 * as its events and the same every time, as long as whoever awaits real work says so (`work`): time
 * stands still until it is done.
 */
import { setImmediate } from "node:timers";

/** Something that happens at a time. */
export interface TimedEvent {
  /** Virtual milliseconds; fractions order events within one. */
  time: number;
  seq: number;
  /** Whose it is: it waits while its owner is frozen and is dropped once it has crashed. */
  readonly owner: Owner | undefined;
  /** True for what was cancelled. */
  readonly dead: boolean;
  fire(): void;
}

/** A process as virtual time sees it. */
export interface Owner {
  crashed: boolean;
  /** Events that came while it was frozen; undefined while it runs. */
  parked: TimedEvent[] | undefined;
}

/** The binary heap of events and the loop that runs them. */
export class Timeline {
  readonly #heap: TimedEvent[] = [];
  #seq = 0;
  #running = false;
  /** Real work that is not done yet, and the last of it. */
  #working = 0;
  #work: Promise<unknown> = Promise.resolve();
  /** Events fired so far. */
  fired = 0;

  /** `onError` gets what an event threw; the loop goes on. */
  constructor(public now: number, readonly onError: (error: unknown) => void) {}

  /** Adds an event; its `seq` is set here. */
  push(event: TimedEvent): void {
    event.seq = this.#seq++;
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const up = (at - 1) >> 1;
      if (!before(event, heap[up])) break;
      heap[at] = heap[up];
      at = up;
    }
    heap[at] = event;
  }

  /** Does real work, such as native cryptography; one at a time, in the order of the calls. */
  work<T>(task: () => Promise<T>): Promise<T> {
    this.#working++;
    const result = this.#work.then(task);
    this.#work = result.then(() => {}, () => {}).then(() => void this.#working--);
    return result;
  }

  /** Ends after all microtasks, and all real work. */
  async #settled(): Promise<void> {
    await settled();
    while (this.#working > 0) {
      await this.#work;
      await settled();
    }
  }

  /** Time of the next event, Infinity if there is none. */
  get next(): number {
    return this.#heap.length === 0 ? Infinity : this.#heap[0].time;
  }

  /**
   * Runs events up to and including virtual time `end`, until `until` holds (asked after each
   * event). True if it held; else time is `end` afterwards.
   */
  async run(until: () => boolean, end: number): Promise<boolean> {
    if (this.#running) throw new Error("virtual time is running already: await the other run");
    this.#running = true;
    try {
      await this.#settled();
      while (!until()) {
        if (this.next > end) {
          if (end > this.now) this.now = end;
          return false;
        }
        if (this.#step()) await this.#settled();
      }
      return true;
    } finally {
      this.#running = false;
    }
  }

  /** Runs the next event; false if it was one that does not count. */
  #step(): boolean {
    const event = this.#pop();
    if (event.dead || event.owner?.crashed) return false;
    if (event.time > this.now) this.now = event.time;
    if (event.owner?.parked !== undefined) {
      event.owner.parked.push(event);
      return false;
    }
    this.fired++;
    try {
      event.fire();
    } catch (error) {
      this.onError(error);
    }
    return true;
  }

  #pop(): TimedEvent {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop()!;
    const length = heap.length;
    if (length === 0) return top;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      if (down >= length) break;
      if (down + 1 < length && before(heap[down + 1], heap[down])) down++;
      if (!before(heap[down], last)) break;
      heap[at] = heap[down];
      at = down;
    }
    heap[at] = last;
    return top;
  }
}

function before(a: TimedEvent, b: TimedEvent): boolean {
  return a.time < b.time || (a.time === b.time && a.seq < b.seq);
}

/** Ends after all microtasks: a macrotask. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
