/**
 * Whether whoever a follower asks keeps up: it is late where nothing new came for long, and soon
 * after others showed that there is more. Each time it is late in a row it is given twice as long.
 */
import type { Parameters } from "../protocol/parameters.ts";
import type { Clock } from "../universe/environment.ts";

/** Rounds without anything new, each at its longest, that are too many. */
const SILENT_ROUNDS = 2;

/** Time for a record that others showed to be there, ms. */
export const BEHIND_MS = 3_000;

/** Times in a row after which the time until the next is no longer doubled. */
const MAX_BACK_OFF = 4;

/** What it works with. */
export interface LagOptions {
  readonly clock: Clock;
  readonly parameters: Parameters;
  /** It is late: behind others, or there is nothing new at all. */
  readonly late: (behind: boolean) => void;
}

/** See the module comment. */
export class Lag {
  #cancel = () => {};
  #due = Infinity;
  #behind = false;
  #late = 0;
  #held = 0;

  constructor(readonly options: LagOptions) {
    this.#wait(this.#silence);
  }

  /** Something new came. */
  came(): void {
    this.#behind = false;
    this.#late = 0;
    this.#wait(this.#silence);
  }

  /** There is more than what came. */
  behind(): void {
    const { clock } = this.options, ms = BEHIND_MS * 2 ** this.#late;
    if (this.#behind) return;
    this.#behind = true;
    if (clock.now() + ms < this.#due) this.#wait(ms);
  }

  /** The listener keeps what came to itself until the returned function is called: nobody is late. */
  hold(): () => void {
    this.#held++;
    return () => {
      this.#held--;
      this.came();
    };
  }

  /** Nobody is late any more. */
  close(): void {
    this.#cancel();
    this.#cancel = this.#wait = () => {};
  }

  get #silence(): number {
    const { roundDeadline, roundPeriod } = this.options.parameters;
    return SILENT_ROUNDS * (roundDeadline + roundPeriod) * 2 ** this.#late;
  }

  #wait = (ms: number): void => {
    const { clock, late } = this.options;
    this.#cancel();
    this.#due = clock.now() + ms;
    this.#cancel = clock.after(ms, () => {
      if (this.#held > 0) return this.#wait(this.#silence);
      const behind = this.#behind;
      this.#late = Math.min(this.#late + 1, MAX_BACK_OFF);
      this.#behind = false;
      this.#wait(this.#silence);
      late(behind);
    });
  };
}
