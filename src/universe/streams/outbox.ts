/**
 * What waits for one consumer: data within its window go out at once, the others wait in a bounded
 * buffer for its credit.
 */
import { FrameError } from "../hello.ts";
import { DATUM_HEADER, type Window } from "./frames.ts";

/** See the module. */
export class Outbox {
  readonly #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #flying = { items: 0, bytes: 0 };

  /** `send` takes a frame that may go out now. */
  constructor(
    readonly buffer: Window,
    readonly window: Window,
    readonly send: (frame: Uint8Array) => void,
  ) {}

  /** What waits: data, and their bytes. */
  get waiting(): Window {
    return { items: this.#waiting.length, bytes: this.#waitingBytes };
  }

  /** Whether a datum's frame would be taken. */
  takes(frame: Uint8Array): boolean {
    if (this.#waiting.length === 0 && this.#flies(frame)) return true;
    return this.#waiting.length < this.buffer.items &&
      this.#waitingBytes + sizeOf(frame) <= this.buffer.bytes;
  }

  /** Takes a datum's frame; call `takes` before. */
  push(frame: Uint8Array): void {
    if (this.#waiting.length === 0 && this.#flies(frame)) return this.#fly(frame);
    this.#waiting.push(frame);
    this.#waitingBytes += sizeOf(frame);
  }

  /** The consumer has room again. Throws a `FrameError` for more than was under way. */
  credit({ items, bytes }: Window): void {
    if (items > this.#flying.items || bytes > this.#flying.bytes) {
      throw new FrameError("range", "credit: more than is under way");
    }
    this.#flying = { items: this.#flying.items - items, bytes: this.#flying.bytes - bytes };
    let sent = 0;
    while (sent < this.#waiting.length && this.#flies(this.#waiting[sent])) {
      const frame = this.#waiting[sent++];
      this.#waitingBytes -= sizeOf(frame);
      this.#fly(frame);
    }
    this.#waiting.splice(0, sent);
  }

  #flies(frame: Uint8Array): boolean {
    return this.#flying.items < this.window.items &&
      this.#flying.bytes + sizeOf(frame) <= this.window.bytes;
  }

  #fly(frame: Uint8Array): void {
    this.#flying.items++;
    this.#flying.bytes += sizeOf(frame);
    this.send(frame);
  }
}

function sizeOf(frame: Uint8Array): number {
  return frame.length - DATUM_HEADER;
}
