/**
 * Frames over a byte stream: a u32 length, little-endian, then the bytes. The length is checked
 * before anything is kept, and bytes are kept as they come, so a claim costs its sender as much
 * as it costs the receiver. An end of stream never completes a frame.
 */

/** Bytes of the length before each frame. */
export const PREFIX = 4;

/** The prefix of a frame of `length` bytes. */
export function prefixOf(length: number): Uint8Array {
  return Uint8Array.of(length, length >>> 8, length >>> 16, length >>> 24);
}

/** What a `FrameReader` asks and tells. Stops for good when `frame` answers false. */
export interface FrameSink {
  /** Longest frame that may come now. */
  limit(): number;
  /** One whole frame in an array of its own; false to read no more. */
  frame(bytes: Uint8Array): boolean;
  /** A frame over the limit was announced; nothing is read after it. */
  oversize(length: number): void;
  /** So many bytes more, or less, are kept for a frame that has begun; false to read no more. */
  kept(bytes: number): boolean;
}

/** Bytes reserved on the word of a prefix alone; more is reserved as more arrives. */
const TRUSTED = 65_536;

/** Cuts chunks into frames. */
export class FrameReader {
  readonly #prefix = new Uint8Array(PREFIX);
  #prefixed = 0;
  #body = new Uint8Array(0);
  #filled = 0;
  #length = 0;
  #dead = false;
  constructor(readonly sink: FrameSink) {}

  /** Takes the next bytes of the stream. They are copied; the caller may reuse them. */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (!this.#dead && at < chunk.length) {
      if (this.#prefixed < PREFIX) {
        this.#prefix[this.#prefixed++] = chunk[at++];
        if (this.#prefixed === PREFIX) this.#begin();
        continue;
      }
      const take = Math.min(this.#length - this.#filled, chunk.length - at);
      this.#reserve(this.#filled + take);
      if (this.#dead) return;
      this.#body.set(chunk.subarray(at, at + take), this.#filled);
      this.#filled += take;
      at += take;
      if (this.#filled === this.#length) this.#complete();
    }
  }

  #begin(): void {
    const [a, b, c, d] = this.#prefix;
    const length = (a | b << 8 | c << 16 | d << 24) >>> 0;
    if (length > this.sink.limit()) {
      this.#dead = true;
      this.sink.oversize(length);
      return;
    }
    this.#length = length;
    this.#filled = 0;
    if (length === 0) return this.#complete();
    this.#grow(Math.min(length, TRUSTED));
  }

  #reserve(needed: number): void {
    if (needed <= this.#body.length) return;
    this.#grow(Math.min(this.#length, Math.max(needed, 2 * this.#body.length)));
  }

  #grow(size: number): void {
    if (!this.sink.kept(size - this.#body.length)) {
      this.#dead = true;
      return;
    }
    const grown = new Uint8Array(size);
    grown.set(this.#body.subarray(0, this.#filled));
    this.#body = grown;
  }

  #complete(): void {
    const frame = this.#body;
    this.#body = new Uint8Array(0);
    this.#prefixed = 0;
    if (frame.length > 0) this.sink.kept(-frame.length);
    if (!this.sink.frame(frame)) this.#dead = true;
  }
}
