/**
 * How the aggregate of a round comes into the order: the parts of all aggregators, merged, are
 * offered by the leader, and by another server where the leader did not for too long.
 */
import { type Aggregate, decodeAggregate } from "../protocol/aggregate.ts";
import { equal } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type { Header } from "../protocol/header.ts";
import { merge } from "../protocol/merge.ts";
import type { OpenedHeader } from "../protocol/opened.ts";
import type { Roster } from "../protocol/roster.ts";
import type { Bench } from "./live_round.ts";
import { Parts, patienceOf, reportLeft } from "./parts.ts";
import type { Live } from "./state_terms.ts";

/** Bytes of an aggregator's word that it has nothing to hand over: the header's hash alone. */
export const NOTHING_BYTES = 32;

/** How much longer than the leader another server waits. */
const OTHERS_PATIENCE = 2;

/** See the module comment. */
export class Offering {
  readonly #parts: Parts;
  #opened: { readonly header: Header; readonly roster: Roster } | undefined;
  /** What this server offered: it stands by it, whatever comes later. */
  #offered: Aggregate | undefined;

  constructor(readonly bench: Bench) {
    this.#parts = new Parts(bench.manifest.parameters);
  }

  /** An aggregator came; false where there are too many. */
  join(aggregator: Uint8Array): boolean {
    return this.#parts.join(aggregator);
  }

  /** A stream of an aggregator ended. */
  leave(aggregator: Uint8Array): void {
    this.#parts.leave(aggregator);
  }

  /** All servers opened a header. */
  opened({ header }: OpenedHeader, roster: Roster): void {
    if (this.#opened && equal(this.#opened.header.hash, header.hash)) return;
    this.ended();
    this.#opened = { header, roster };
    this.#parts.begin(header, roster);
  }

  /** The round is over: its parts are nobody's any more. */
  ended(): void {
    const all = this.#offered ? [...this.#parts.all, this.#offered] : this.#parts.all;
    this.bench.exchange.drop(all.map(({ digest }) => digest));
    this.#offered = undefined;
  }

  /**
   * A frame of an aggregator: its part for the live round, or that it has nothing. Throws a
   * `ProtocolError` for one that is wrong; of code `mismatch` where it is late.
   */
  hand(bytes: Uint8Array, from: Uint8Array, live: Live | undefined): void {
    this.#parts.hear(from);
    const { exchange, manifest, environment: { clock } } = this.bench;
    if (!live || !this.#opened || !equal(live.header, this.#opened.header.hash)) {
      throw new ProtocolError("mismatch", "an aggregate while no round is open");
    }
    const { header } = this.#opened;
    if (bytes.length === NOTHING_BYTES) {
      if (!equal(bytes, header.hash)) throw new ProtocolError("mismatch", "another header's word");
      return this.#parts.handed(from);
    }
    const part = decodeAggregate(bytes, header, manifest.parameters);
    if (!equal(part.aggregator, from)) {
      throw new ProtocolError("signature", "an aggregate of another aggregator than hands it over");
    }
    // Once one is in the order, only that one is of use.
    if (live.digest) {
      if (equal(live.digest, part.digest)) exchange.put(part.digest, bytes);
      return;
    }
    const before = this.#parts.take(part, clock.now());
    if (before && !this.#isOffered(before)) exchange.drop([before.digest]);
    exchange.put(part.digest, bytes);
  }

  /** Keys of the aggregators whose parts, as they stand here, are all participants of a record. */
  madeBy(bitmap: Uint8Array): Uint8Array[] {
    const { taken } = this.#parts.choice, all = new Uint8Array(bitmap.length);
    for (const part of taken) part.bitmap.forEach((byte, i) => all[i] |= byte);
    return equal(all, bitmap) ? taken.map(({ aggregator }) => aggregator) : [];
  }

  /** Offers what there is, once it is time. */
  owe(live: Live, leading: boolean): void {
    if (live.digest || !this.#opened || !equal(live.header, this.#opened.header.hash)) return;
    const { proposals, manifest, environment: { clock } } = this.bench;
    if (!this.#offered) {
      const since = this.#parts.usableFor(clock.now());
      if (since === undefined) return;
      const patience = patienceOf(manifest.parameters) * (leading ? 1 : OTHERS_PATIENCE);
      if (since < patience && !(leading && this.#parts.complete)) return;
      this.#offered = this.#merged();
    }
    const { header, digest } = this.#offered;
    proposals.offer("aggregate", { kind: "aggregate", header, digest });
  }

  /** One part as it came; several as one aggregate of this server's, which the others are sent. */
  #merged(): Aggregate {
    const { taken, left } = this.#parts.choice, { roster, header } = this.#opened!;
    const { exchange, environment: { observe } } = this.bench;
    reportLeft(observe, header, roster, left);
    if (taken.length === 1) return taken[0];
    const merged = merge(taken, this.bench.signer);
    exchange.push(merged.digest, merged.bytes);
    return merged;
  }

  #isOffered({ digest }: Aggregate): boolean {
    return this.#offered !== undefined && equal(this.#offered.digest, digest);
  }
}
