/**
 * The little of WASI (preview 1) that Go's runtime needs when it does no I/O: a clock, randomness,
 * a standard error that keeps its last words, and a way to end. Every other call answers that it
 * does not exist, so the instance reaches no file, no socket and no environment.
 *
 * https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md
 */
import type { Clock, Random } from "../../universe/environment.ts";

const SUCCESS = 0, BAD_DESCRIPTOR = 8, NOT_SUPPORTED = 58;

/** Most that is kept of what the instance says before it ends. */
const MAX_WORDS = 4_096;

/** Nanoseconds that pass while the instance waits; nothing is ever waited for. */
const WAIT = 1_000_000n;

/** Thrown through the instance when it ends itself. */
export class Exit extends Error {
  constructor(readonly status: number) {
    super(`exit ${status}`);
  }
}

/** Where an instance gets time and randomness from, and where its last words are. */
export class Wasi {
  #memory?: WebAssembly.Memory;
  #last = 0n;
  #words = "";

  constructor(readonly clock: Pick<Clock, "now">, readonly random: Random) {}

  /** The memory of the instance, which exists only after its imports. */
  attach(memory: WebAssembly.Memory): void {
    this.#memory = memory;
  }

  /** What it wrote to standard error. */
  get words(): string {
    return this.#words;
  }

  /** The imports for a module, one function for every name that it asks for. */
  imports(module: WebAssembly.Module): WebAssembly.Imports {
    const absent = () => NOT_SUPPORTED;
    const calls: Record<string, CallableFunction> = {
      clock_time_get: (_clock: number, _precision: bigint, at: number) => this.#time(at),
      random_get: (at: number, length: number) => this.#fill(at, length),
      fd_write: (_fd: number, list: number, count: number, at: number) =>
        this.#write(list, count, at),
      fd_prestat_get: () => BAD_DESCRIPTOR,
      args_sizes_get: (count: number, size: number) => this.#none(count, size),
      environ_sizes_get: (count: number, size: number) => this.#none(count, size),
      args_get: () => SUCCESS,
      environ_get: () => SUCCESS,
      sched_yield: () => SUCCESS,
      poll_oneoff: (_in: number, _out: number, _count: number, at: number) => this.#wait(at),
      proc_exit: (status: number) => {
        throw new Exit(status);
      },
    };
    const names = WebAssembly.Module.imports(module).map(({ name }) => name);
    return {
      wasi_snapshot_preview1: Object.fromEntries(
        names.map((name) => [name, calls[name] as WebAssembly.ImportValue ?? absent]),
      ),
    };
  }

  /** The memory as it is now; growing it detaches older views. */
  #view(): DataView {
    if (!this.#memory) throw new Exit(-1);
    return new DataView(this.#memory.buffer);
  }

  /** Go's scheduler wants time to pass: a frozen clock still moves by a nanosecond a reading. */
  #time(at: number): number {
    const now = BigInt(Math.floor(this.clock.now())) * 1_000_000n;
    this.#last = now > this.#last ? now : this.#last + 1n;
    this.#view().setBigUint64(at, this.#last, true);
    return SUCCESS;
  }

  #fill(at: number, length: number): number {
    new Uint8Array(this.#view().buffer, at, length).set(this.random(length));
    return SUCCESS;
  }

  #write(list: number, count: number, at: number): number {
    const view = this.#view();
    let written = 0;
    for (let i = 0; i < count; i++) {
      const start = view.getUint32(list + 8 * i, true);
      const length = view.getUint32(list + 8 * i + 4, true);
      const left = MAX_WORDS - this.#words.length;
      const kept = new Uint8Array(view.buffer, start, Math.min(length, left));
      this.#words += new TextDecoder().decode(kept);
      written += length;
    }
    view.setUint32(at, written, true);
    return SUCCESS;
  }

  #none(count: number, size: number): number {
    this.#view().setUint32(count, 0, true);
    this.#view().setUint32(size, 0, true);
    return SUCCESS;
  }

  #wait(at: number): number {
    this.#last += WAIT;
    this.#view().setUint32(at, 0, true);
    return SUCCESS;
  }
}
