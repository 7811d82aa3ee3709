/**
 * Two readers, one log. Records come out of here when both readers have verified them; the first
 * thing on which they differ is an error, since from then on there are two logs.
 */
import type { RoundRecord } from "./record.ts";

/** The readers do not tell the same story. */
export class Disagreement extends Error {
  override readonly name = "Disagreement";
}

/** Records that one reader may be ahead of the other. */
const MAX_AHEAD = 1_000;

/** Compares what the two readers say, over the rounds that both have seen. */
export class Agreement {
  readonly #queues: [RoundRecord[], RoundRecord[]] = [[], []];
  readonly #last: (RoundRecord | undefined)[] = [undefined, undefined];
  #met = false;

  /** Takes a record of reader 0 or 1; answers those that both have now. */
  add(reader: 0 | 1, record: RoundRecord): RoundRecord[] {
    const before = this.#last[reader];
    if (before && (record.round <= before.round || record.previous !== before.hash)) {
      throw new Disagreement(
        `reader ${reader}: round ${record.round} does not extend round ${before.round}`,
      );
    }
    this.#last[reader] = record;
    this.#queues[reader].push(record);
    if (this.#queues[reader].length > MAX_AHEAD) {
      throw new Disagreement(`reader ${reader} is ${MAX_AHEAD} rounds ahead of the other`);
    }
    return this.#take();
  }

  #take(): RoundRecord[] {
    const [first, second] = this.#queues;
    const agreed: RoundRecord[] = [];
    while (first.length && second.length) {
      const [a, b] = [first[0], second[0]];
      if (a.round === b.round && a.hash === b.hash) {
        this.#met = true;
        agreed.push(a);
        first.shift();
        second.shift();
      } else if (a.round === b.round) {
        throw new Disagreement(`the readers differ on round ${a.round}: ${a.hash}, ${b.hash}`);
      } else if (this.#met) {
        const missing = a.round < b.round ? 1 : 0;
        throw new Disagreement(
          `reader ${missing} has no record of round ${Math.min(a.round, b.round)}`,
        );
      } else {
        (a.round < b.round ? first : second).shift();
      }
    }
    return agreed;
  }
}
