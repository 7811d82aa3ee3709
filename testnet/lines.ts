/** The output of a process as lines, within bounds that a broken process cannot pass. */

/** Longest line of standard output, in characters; a record with its certificate is far below. */
export const MAX_LINE = 8 * 1024 * 1024;

/** Puts chunks together to lines; a line over `max` characters throws. */
export class Lines {
  #rest: string[] = [];
  #length = 0;
  readonly #decoder = new TextDecoder();
  constructor(readonly max: number = MAX_LINE) {}

  /** The lines that this chunk ends. */
  push(chunk: Uint8Array): string[] {
    const pieces = this.#decoder.decode(chunk, { stream: true }).split("\n");
    const lines: string[] = [];
    for (const [i, piece] of pieces.entries()) {
      this.#rest.push(piece);
      this.#length += piece.length;
      if (this.#length > this.max) throw new Error(`a line of over ${this.max} characters`);
      if (i === pieces.length - 1) break;
      lines.push(this.#rest.join(""));
      this.#rest = [];
      this.#length = 0;
    }
    return lines;
  }

  /** What came after the last end of a line; empty if nothing did. */
  end(): string {
    return this.#rest.join("") + this.#decoder.decode();
  }
}

/** The last words of a process: the end of what it wrote. */
export class Tail {
  #bytes = new Uint8Array(0);
  constructor(readonly maxBytes: number = 8_192, readonly maxLines: number = 12) {}

  /** Adds a chunk and forgets what it pushes out. */
  push(chunk: Uint8Array): void {
    const kept = this.#bytes.subarray(
      Math.max(0, this.#bytes.length + chunk.length - this.maxBytes),
    );
    const added = chunk.subarray(Math.max(0, chunk.length - this.maxBytes));
    const next = new Uint8Array(kept.length + added.length);
    next.set(kept);
    next.set(added, kept.length);
    this.#bytes = next;
  }

  /** The last lines, raw: escape them before a terminal sees them. */
  lines(): string[] {
    const lines = new TextDecoder().decode(this.#bytes).split("\n").filter((line) => line !== "");
    return lines.slice(-this.maxLines);
  }
}
