/**
 * What is too large to be put in order, kept beside it by hash for as long as its round may need
 * it. A blob is whatever a peer says it is until the one who uses it has checked it.
 */
import { hex } from "../protocol/bytes.ts";

/** Blobs by the 32-byte id that a command names them with, bounded in number and bytes. */
export class Blobs {
  readonly #blobs = new Map<string, Uint8Array>();
  #bytes = 0;

  /** Drops the oldest beyond `maxCount` blobs or `maxBytes` in all. */
  constructor(readonly maxCount: number, readonly maxBytes: number) {}

  /** Keeps a blob; one that is already there stays. */
  put(id: Uint8Array, bytes: Uint8Array): void {
    const name = hex(id);
    if (this.#blobs.has(name) || bytes.length > this.maxBytes) return;
    this.#blobs.set(name, bytes);
    this.#bytes += bytes.length;
    for (const [oldest, old] of this.#blobs) {
      if (this.#blobs.size <= this.maxCount && this.#bytes <= this.maxBytes) break;
      this.#blobs.delete(oldest);
      this.#bytes -= old.length;
    }
  }

  /** The blob of an id, if it is here. */
  get(id: Uint8Array): Uint8Array | undefined {
    return this.#blobs.get(hex(id));
  }

  /** Forgets a blob, for instance one that turned out to be something else. */
  drop(id: Uint8Array): void {
    const name = hex(id), blob = this.#blobs.get(name);
    if (blob === undefined) return;
    this.#blobs.delete(name);
    this.#bytes -= blob.length;
  }
}
