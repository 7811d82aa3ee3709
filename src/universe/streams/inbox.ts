/**
 * What a consumer has received and not read: a lane for each producer, in its order, and the lanes
 * by turns, so that a loud producer does not hold up the others. A lane is bounded by the window
 * that its producer was given, and gives credit as it is read.
 */
import type { PeerInfo } from "../discovery/view.ts";
import { FrameError } from "../hello.ts";
import type { Window } from "./frames.ts";

/** A datum, and who produced it. */
export interface Received<T> {
  readonly datum: T;
  readonly from: PeerInfo;
}

/** The data of one producer. */
export class Lane<T> {
  readonly #queue: { readonly received: Received<T>; readonly bytes: number }[] = [];
  #window: Window = { items: 0, bytes: 0 };
  /** Received and not credited, in data and bytes. */
  #held = { items: 0, bytes: 0 };
  /** Read and not credited. */
  #owed = { items: 0, bytes: 0 };
  #credit: (window: Window) => void = () => {};

  /** `filled` is called when the lane has data again, `emptied` when it has none left. */
  constructor(readonly filled: () => void, readonly emptied: () => void) {}

  get empty(): boolean {
    return this.#queue.length === 0;
  }

  /** A connection begins, with an empty lane. */
  begin(window: Window, credit: (window: Window) => void): void {
    this.#window = window;
    this.#held = { items: 0, bytes: 0 };
    this.#owed = { items: 0, bytes: 0 };
    this.#credit = credit;
  }

  /** The connection is over; what came stays to be read. */
  end(): void {
    this.#credit = () => {};
  }

  /** Throws a `FrameError` for what exceeds the window. */
  push(received: Received<T>, bytes: number): void {
    const held = { items: this.#held.items + 1, bytes: this.#held.bytes + bytes };
    if (held.items > this.#window.items || held.bytes > this.#window.bytes) {
      throw new FrameError("range", "datum: more than the window");
    }
    this.#held = held;
    this.#queue.push({ received, bytes });
    if (this.#queue.length === 1) this.filled();
  }

  /** The next datum; the lane must have one. */
  take(): Received<T> {
    const { received, bytes } = this.#queue.shift()!;
    const owed = { items: this.#owed.items + 1, bytes: this.#owed.bytes + bytes };
    this.#owed = owed;
    if (2 * owed.items >= this.#window.items || 2 * owed.bytes >= this.#window.bytes) {
      this.#held = { items: this.#held.items - owed.items, bytes: this.#held.bytes - owed.bytes };
      this.#owed = { items: 0, bytes: 0 };
      this.#credit(owed);
    }
    if (this.empty) this.emptied();
    return received;
  }
}

/** All lanes of a consumer, and who waits for a datum. */
export class Inbox<T> {
  readonly #ready: Lane<T>[] = [];
  readonly #readers: ((received: Received<T> | undefined) => void)[] = [];
  #closed = false;

  /** A lane that reports when it was read empty. */
  lane(emptied: () => void): Lane<T> {
    const lane: Lane<T> = new Lane(() => {
      this.#ready.push(lane);
      this.#serve();
    }, emptied);
    return lane;
  }

  /** Readers that wait. */
  get waiting(): number {
    return this.#readers.length;
  }

  /** The next datum, or undefined at the end. */
  next(): Promise<Received<T> | undefined> {
    return new Promise((resolve) => {
      if (this.#closed) return resolve(undefined);
      this.#readers.push(resolve);
      this.#serve();
    });
  }

  /** Forgets what was not read. */
  close(): void {
    this.#closed = true;
    this.#ready.length = 0;
    for (const resolve of this.#readers.splice(0)) resolve(undefined);
  }

  #serve(): void {
    while (this.#ready.length > 0 && this.#readers.length > 0) {
      const lane = this.#ready.shift()!;
      const resolve = this.#readers.shift()!;
      const received = lane.take();
      if (!lane.empty) this.#ready.push(lane);
      resolve(received);
    }
  }
}
