/**
 * Rates, as buckets that fill with time: what is in one may be taken at once, and no more. Of many
 * keys, with a bound on how many are remembered.
 */
import type { Rate } from "./limits.ts";

/** One bucket. Full at its start. */
export class Bucket {
  #level: number;
  #at: number;

  constructor(readonly rate: Rate, now: number) {
    this.#level = rate.burst;
    this.#at = now;
  }

  /** Takes so much, and answers true; or nothing, and false. `now` in milliseconds. */
  take(amount: number, now: number): boolean {
    this.#fill(now);
    // What is larger than the bucket itself passes once it is full.
    if (Math.min(amount, this.rate.burst) > this.#level) return false;
    this.#level = Math.max(0, this.#level - amount);
    return true;
  }

  #fill(now: number): void {
    const passed = Math.max(0, now - this.#at) / 1_000;
    this.#level = Math.min(this.rate.burst, this.#level + passed * this.rate.perSecond);
    this.#at = now;
  }
}

/** A bucket for each key; the one used longest ago is forgotten beyond `bound` keys. */
export class Buckets {
  readonly #all = new Map<string, Bucket>();

  constructor(readonly rate: Rate, readonly bound: number) {}

  /** As `Bucket.take`, of the key's own. */
  take(key: string, amount: number, now: number): boolean {
    const bucket = this.#all.get(key) ?? new Bucket(this.rate, now);
    // The map is in the order of use.
    this.#all.delete(key);
    this.#all.set(key, bucket);
    if (this.#all.size > this.bound) this.#all.delete(this.#all.keys().next().value!);
    return bucket.take(amount, now);
  }

  /** Keys remembered. */
  get size(): number {
    return this.#all.size;
  }
}

/** A sum for each key, and the sum of all. */
export class Tally {
  readonly #sums = new Map<string, number>();
  #total = 0;

  /** The sum of all keys. */
  get total(): number {
    return this.#total;
  }

  /** The sum of a key. */
  of(key: string): number {
    return this.#sums.get(key) ?? 0;
  }

  /** Adds to a key; a sum that comes to 0 takes no room. */
  add(key: string, amount: number): void {
    const sum = this.of(key) + amount;
    this.#total += amount;
    if (sum === 0) this.#sums.delete(key);
    else this.#sums.set(key, sum);
  }

  /** The key with the largest sum. */
  largest(): string | undefined {
    let found: string | undefined, most = 0;
    for (const [key, sum] of this.#sums) {
      if (sum > most) [found, most] = [key, sum];
    }
    return found;
  }
}
