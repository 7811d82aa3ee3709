/**
 * Window updates of Yamux, which its library sends for every message that a stream takes, held back
 * until they are worth a frame: a small message would cost its receiver as much to send as to read.
 * What waits is less than half of the window that every stream begins with, so whoever sends always
 * has the other half.
 *
 * | offset | bytes | field of a frame's header, big-endian (Yamux, version 0) |
 * |---|---|---|
 * | 0 | 1 | version, 0 |
 * | 1 | 1 | type, 1 for a window update |
 * | 2 | 2 | flags; with any, the frame says more than its bytes |
 * | 4 | 4 | stream |
 * | 8 | 4 | bytes that the sender may send beyond those it may already |
 */

/** Bytes of a frame's header, and of a frame without data. */
export const FRAME_HEADER_BYTES = 12;
/** Bytes of one stream that are held back at most: half of Yamux's first window. */
export const HELD_BYTES: number = 128 * 1024;
/** Streams of one connection whose updates are held back; beyond, those of the oldest are sent. */
export const MAX_HELD = 256;

const WINDOW_UPDATE = 1;

/** The updates of one connection. */
export class WindowUpdates {
  readonly #held = new Map<number, number>();

  /** The frames to send now in place of this one: itself, or another, or none. */
  pass(frame: Uint8Array): Uint8Array[] {
    if (frame.length !== FRAME_HEADER_BYTES || frame[1] !== WINDOW_UPDATE) return [frame];
    const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
    if (view.getUint16(2) !== 0) return [frame];
    const stream = view.getUint32(4), bytes = (this.#held.get(stream) ?? 0) + view.getUint32(8);
    this.#held.delete(stream);
    if (bytes >= HELD_BYTES) return [update(stream, bytes)];
    this.#held.set(stream, bytes);
    if (this.#held.size <= MAX_HELD) return [];
    const [oldest, waiting] = this.#held.entries().next().value!;
    this.#held.delete(oldest);
    return [update(oldest, waiting)];
  }
}

function update(stream: number, bytes: number): Uint8Array {
  const frame = new Uint8Array(FRAME_HEADER_BYTES), view = new DataView(frame.buffer);
  frame[1] = WINDOW_UPDATE;
  view.setUint32(4, stream);
  view.setUint32(8, bytes);
  return frame;
}
