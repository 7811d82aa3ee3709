/** How much of something each of many may do: a bucket each, refilled by time, in a bounded map. */

/** Buckets that one quota holds; beyond it the one unused for longest is forgotten. */
export const MAX_BUCKETS = 4_096;

/** See the module. */
export class Quota {
  readonly #buckets = new Map<string, { left: number; at: number }>();

  /** `burst` at once, then `perSecond`. */
  constructor(readonly burst: number, readonly perSecond: number) {}

  /** Takes one, if there is one. */
  take(id: string, now: number): boolean {
    const before = this.#buckets.get(id);
    const passed = before === undefined ? 0 : Math.max(0, now - before.at);
    const left = before === undefined
      ? this.burst
      : Math.min(this.burst, before.left + passed * this.perSecond / 1_000);
    this.#buckets.delete(id);
    if (this.#buckets.size >= MAX_BUCKETS) {
      this.#buckets.delete(this.#buckets.keys().next().value!);
    }
    this.#buckets.set(id, { left: left >= 1 ? left - 1 : left, at: now });
    return left >= 1;
  }
}
