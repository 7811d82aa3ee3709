/** A clock that a test turns by hand, for what also awaits work that takes no virtual time. */
import type { Clock } from "../../src/universe/environment.ts";

interface Timer {
  readonly at: number;
  readonly task: () => void;
}

/** Time stands still but for `turn`. */
export class ManualClock implements Clock {
  readonly #timers = new Set<Timer>();
  #armed = Promise.withResolvers<void>();

  constructor(public time: number) {}

  readonly now = (): number => this.time;
  readonly wall = (): number => this.time;
  readonly after = (ms: number, task: () => void): () => void => {
    const timer = { at: this.time + ms, task };
    this.#timers.add(timer);
    this.#armed.resolve();
    return () => this.#timers.delete(timer);
  };

  /** Timers that are set. */
  get pending(): number {
    return this.#timers.size;
  }
  /** Turns on time by `ms` at once, fires what is due by then, and says how much that was. */
  fire(ms: number): number {
    this.time += ms;
    this.#armed = Promise.withResolvers();
    const due = [...this.#timers].filter(({ at }) => at <= this.time);
    for (const timer of due) {
      this.#timers.delete(timer);
      timer.task();
    }
    return due.length;
  }

  /** As `fire`, of a timer at least, and waits until the next one is set. */
  async turn(ms: number): Promise<void> {
    if (this.fire(ms) === 0) throw new RangeError(`no timer within ${ms} ms`);
    await this.#armed.promise;
  }
}
