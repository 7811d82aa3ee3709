/**
 * The committee over time, as one process knows it: the manifests of successive epochs. One such
 * list is shared by all that reads the log in a process, so that all of it moves on at once. Whether
 * a manifest may be added is judged before, by whoever adds it (`acceptLineage`).
 */
import { equal, type RecordHash } from "../protocol/bytes.ts";
import { Chain } from "../protocol/chain.ts";
import { checkSuccession, type Manifest } from "../protocol/manifest.ts";
import type { Parameters } from "../protocol/parameters.ts";

/** See the module comment. */
export class Epochs {
  readonly #all: Manifest[] = [];
  readonly #listeners = new Set<() => void>();
  /** When the newest committee was heard last, ms. */
  #heardAt = -Infinity;

  /** Begins with successive manifests, oldest first, at least one. */
  constructor(first: readonly Manifest[]) {
    if (first.length === 0) throw new RangeError("no epoch at all");
    this.adopt(first);
  }

  /** All known, oldest first. */
  get all(): readonly Manifest[] {
    return this.#all;
  }

  /** The newest one. */
  get newest(): Manifest {
    return this.#all[this.#all.length - 1];
  }

  /** The parameters of the instance, the same in all epochs. */
  get parameters(): Parameters {
    return this.newest.parameters;
  }

  /** What the very first record known of follows. */
  get root(): RecordHash {
    return this.#all[0].root;
  }

  /** When a record or an opened header of the newest committee was verified last, ms. */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** A record or an opened header of this committee was verified. */
  heard(manifest: Manifest, now: number): void {
    if (manifest === this.newest) this.#heardAt = now;
  }

  /** The manifest with this fingerprint. */
  of(fingerprint: Uint8Array): Manifest | undefined {
    return this.#all.find((manifest) => equal(manifest.fingerprint, fingerprint));
  }

  /**
   * Adds those that are new among successive manifests, and tells the listeners if any were; a
   * `ProtocolError` for one that does not follow the newest.
   */
  adopt(manifests: readonly Manifest[]): void {
    const fresh = manifests.filter(({ fingerprint }) => !this.of(fingerprint));
    for (const next of fresh) {
      if (this.#all.length > 0) checkSuccession(this.newest, next);
      this.#all.push(next);
    }
    if (fresh.length > 0) { for (const listener of [...this.#listeners]) listener(); }
  }

  /** Called after each change, in the order of the calls; the returned function ends it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** A chain over all epochs known now, which takes whatever certified record comes first. */
  chain(): Chain {
    const [first, ...others] = this.#all;
    const chain = new Chain(first, { anywhere: true });
    for (const manifest of others) chain.adopt(manifest);
    return chain;
  }
}
