/**
 * How a server comes to the end of its epoch: it opens no further round, waits until the last record
 * is certified, and signs the manifest that goes on from there.
 */
import { equal, type Fingerprint } from "../protocol/bytes.ts";
import type { Manifest } from "../protocol/manifest.ts";
import { encodeCertified } from "../protocol/record.ts";
import type { Clock } from "../universe/environment.ts";
import type { Seat, Settled } from "./change.ts";
import type { Start } from "./formed.ts";
import type { Heads } from "./heads.ts";
import type { Closing, ReleaseRules } from "./release.ts";

/** What it looks at. */
export interface EpochEndOptions {
  readonly manifest: Manifest;
  readonly start: Start;
  /** The certified record of the start, if there is one. */
  readonly record?: Uint8Array;
  readonly rules: ReleaseRules;
  readonly heads: Heads;
  readonly clock: Clock;
  /** Whether a round is in progress, as far as the order knows. */
  readonly live: () => boolean;
}

/** See the module comment. */
export class EpochEnd implements Seat {
  /** Since when no further round is wanted, ms. */
  #since: number | undefined;

  constructor(readonly options: EpochEndOptions) {}

  /** Whether no further round is wanted. */
  get held(): boolean {
    return this.#since !== undefined;
  }

  get closed(): Fingerprint | undefined {
    return this.options.rules.closed;
  }

  /** A round that does not end, since nobody leads, is waited for until its deadline. */
  get settled(): Settled | undefined {
    const { manifest, start, record = new Uint8Array(0), clock, live } = this.options;
    if (this.#since === undefined) return undefined;
    const late = clock.now() - this.#since >= manifest.parameters.roundDeadline;
    if (live() && !late) return undefined;
    const { head, certified } = this.options.heads;
    if (equal(head.hash, start.hash)) return { hash: start.hash, record };
    return certified && { hash: certified.record.hash, record: encodeCertified(certified) };
  }

  hold(on: boolean): void {
    this.#since = on ? this.#since ?? this.options.clock.now() : undefined;
  }

  close(next: Manifest): Closing {
    const { rules, start, heads: { head, certified } } = this.options;
    const proven = equal(head.hash, start.hash) || certified !== undefined;
    return rules.close(next, { certified: proven });
  }
}
