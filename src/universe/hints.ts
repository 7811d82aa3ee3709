/**
 * Which of the addresses that strangers told are looked at: a few, by chance, and by turns of those
 * who told them, so that nobody's word fills a look.
 */
import { Tally } from "./bucket.ts";
import type { Random } from "./environment.ts";

/** Addresses of one look that are heard: in all, of one node that answers, of one peer named. */
export const MAX_HEARD = 256, MAX_ANSWER = 32, MAX_EACH = 4;

/** Up to `most` of these, by chance: the first of each source before the second of any. */
export function byTurns<T>(
  all: readonly T[],
  sourceOf: (one: T) => string,
  most: number,
  random: Random,
): T[] {
  const bytes = random(4 * all.length), turns = new Tally();
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return all.map((one, i) => ({ one, at: view.getUint32(4 * i) }))
    .sort((a, b) => a.at - b.at)
    .map(({ one }) => {
      const turn = turns.of(sourceOf(one));
      turns.add(sourceOf(one), 1);
      return { one, turn };
    })
    .sort((a, b) => a.turn - b.turn)
    .slice(0, most).map(({ one }) => one);
}

/** What one look hears. */
export class Hints {
  /** Addresses, and who told each first. */
  readonly #told = new Map<string, string>();
  readonly #of = new Tally();
  readonly #by = new Tally();

  /** Whether it has heard enough. */
  get full(): boolean {
    return this.#told.size >= MAX_HEARD;
  }

  /** A node tells an address of a peer. */
  hear(address: string, peer: string, from: string): void {
    if (this.full || this.#told.has(address)) return;
    if (this.#of.of(peer) >= MAX_EACH || this.#by.of(from) >= MAX_ANSWER) return;
    this.#told.set(address, from);
    this.#of.add(peer, 1);
    this.#by.add(from, 1);
  }

  /** Those to look at. */
  choose(most: number, random: Random): string[] {
    return byTurns([...this.#told], ([, from]) => from, most, random).map(([address]) => address);
  }
}
