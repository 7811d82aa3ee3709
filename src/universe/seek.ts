/**
 * Looks for a first peer where peers of an instance or a universe leave a trace of themselves, for
 * as long as none of this instance is known, and leaves such a trace. What is found is a hint: it is
 * dialed like a bootstrap address, and whoever answers proves who it is and what it serves.
 */
import type { Environment } from "./environment.ts";
import { isAddress } from "./hello.ts";
import { reasonOf } from "./stream.ts";
import type { Rendezvous } from "./transport.ts";

/** The first and the longest pause between two looks, in milliseconds. */
export const SEEK_MS = [500, 60_000] as const;
/** How long one look may take, in milliseconds. */
export const LOOK_MS = 20_000;
/** Addresses that are taken of one look. */
export const MAX_HINTS = 32;
/** Hints that are dialed in a minute, and at a time. */
export const MAX_DIALS = 30, MAX_DIALING = 4;
const MINUTE = 60_000;

/** What looking needs of its node. */
export interface SeekHost {
  readonly environment: Environment;
  readonly rendezvous: readonly Rendezvous[];
  /** Keys to look under, in this order: of the instance, then of the universe. */
  readonly keys: readonly Uint8Array[];
  /** Whether no peer of this instance is known. */
  alone(): boolean;
  /** Dials an address as if it were a bootstrap address. Rejects if nobody of use answers. */
  dial(address: string): Promise<unknown>;
}

/** See the module. */
export class Seek {
  readonly #host: SeekHost;
  readonly #ends: (() => void)[] = [];
  readonly #abort = new AbortController();
  /** Addresses dialed in this minute. */
  readonly #dialed = new Set<string>();
  #minute = 0;
  #pause: number = SEEK_MS[0];
  #cancel: () => void = () => {};

  constructor(host: SeekHost) {
    this.#host = host;
  }

  /** Begins to look; `provides` says whether this node also wants to be found. */
  start(provides: boolean): void {
    const { rendezvous, keys } = this.#host;
    if (rendezvous.length === 0) return;
    if (provides) {
      for (const one of rendezvous) {
        for (const key of keys) this.#ends.push(one.provide(key));
      }
    }
    this.#soon();
  }

  /** Ends it. Idempotent. */
  stop(): void {
    this.#cancel();
    this.#abort.abort();
    for (const end of this.#ends.splice(0)) end();
  }

  #soon(): void {
    if (this.#abort.signal.aborted) return;
    this.#cancel = this.#host.environment.clock.after(this.#pause, () => void this.#look());
  }

  async #look(): Promise<void> {
    if (!this.#host.alone()) {
      this.#pause = SEEK_MS[0];
      // A node that loses all others looks again.
      this.#cancel = this.#host.environment.clock.after(SEEK_MS[1], () => void this.#look());
      return;
    }
    this.#pause = Math.min(2 * this.#pause, SEEK_MS[1]);
    const { keys, rendezvous } = this.#host;
    await Promise.all(rendezvous.map(async (one) => {
      for (const key of keys) {
        if (!this.#host.alone() || this.#abort.signal.aborted) return;
        await this.#find(one, key);
      }
    }));
    this.#soon();
  }

  async #find(one: Rendezvous, key: Uint8Array): Promise<void> {
    const { environment } = this.#host;
    const late = new AbortController();
    const cancel = environment.clock.after(LOOK_MS, () => late.abort());
    try {
      const found = await one.find(key, AbortSignal.any([late.signal, this.#abort.signal]));
      const hints = [...new Set(found)].filter(isAddress).slice(0, MAX_HINTS);
      environment.observe("debug", "looked for a peer", { found: hints.length });
      // One after the other, each as a lane becomes free, until a peer of the instance is known.
      await Promise.all(Array.from({ length: MAX_DIALING }, async () => {
        for (let hint = hints.shift(); hint !== undefined; hint = hints.shift()) {
          if (!this.#host.alone() || this.#abort.signal.aborted) return;
          await this.#dial(hint);
        }
      }));
    } catch (error) {
      environment.observe("debug", "cannot look for a peer", { reason: reasonOf(error) });
    } finally {
      cancel();
    }
  }

  async #dial(address: string): Promise<void> {
    const { clock, observe } = this.#host.environment;
    const minute = Math.floor(clock.now() / MINUTE);
    if (minute !== this.#minute) {
      this.#minute = minute;
      this.#dialed.clear();
    }
    if (this.#dialed.has(address) || this.#dialed.size >= MAX_DIALS) return;
    this.#dialed.add(address);
    try {
      await this.#host.dial(address);
    } catch (error) {
      observe("debug", "hint of no use", { address, reason: reasonOf(error) });
    }
  }
}
