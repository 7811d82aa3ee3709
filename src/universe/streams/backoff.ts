/**
 * Pauses between attempts: 500 ms and half as much again each time, up to a minute, each of them
 * half more or less by chance; given up five minutes after the first failure. A success starts over.
 */
import type { Environment } from "../environment.ts";

/** The first pause, in milliseconds. */
export const FIRST_MS = 500;
/** What each pause is of the one before. */
export const FACTOR = 1.5;
/** The longest pause before chance, in milliseconds. */
export const LONGEST_MS = 60_000;
/** Failures for so long, and it is given up. */
export const GIVE_UP_MS = 300_000;

/** See the module. */
export class Backoff {
  #pause = FIRST_MS;
  #since: number | undefined;

  constructor(readonly environment: Environment) {}

  /** Something worked. */
  reset(): void {
    this.#pause = FIRST_MS;
    this.#since = undefined;
  }

  /** The pause after one more failure, in milliseconds; undefined to give up. */
  next(): number | undefined {
    const now = this.environment.clock.now();
    this.#since ??= now;
    if (now - this.#since >= GIVE_UP_MS) return undefined;
    const [low, high] = this.environment.random(2);
    const chance = 0.5 + (low + 256 * high) / 65_535;
    const pause = Math.round(this.#pause * chance);
    this.#pause = Math.min(this.#pause * FACTOR, LONGEST_MS);
    return pause;
  }
}
