/**
 * One round at an aggregator: envelopes of its clients, and parts of aggregators below it, become
 * one aggregate that is handed over when it is time.
 */
import { Fold } from "../protocol/aggregate.ts";
import { equal } from "../protocol/bytes.ts";
import { checkEnvelope, decodeEnvelope, type Envelope } from "../protocol/envelope.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type { Signer } from "../protocol/keys.ts";
import { choose, merge } from "../protocol/merge.ts";
import type { OpenedHeader } from "../protocol/opened.ts";
import type { Parameters } from "../protocol/parameters.ts";
import type { Roster } from "../protocol/roster.ts";
import { type Parts, patienceOf, reportLeft } from "../committee/parts.ts";
import type { Environment } from "../universe/environment.ts";

/** Parts below the minimum are handed over again at most this often in the time there is to fold. */
const AGAIN_PER_FOLD = 8;

/** What it works with. */
export interface FoldingOptions {
  readonly opened: OpenedHeader;
  readonly roster: Roster;
  readonly parameters: Parameters;
  readonly signer: Signer;
  readonly environment: Pick<Environment, "clock" | "observe">;
  /** What aggregators below hand over; its round has begun. */
  readonly parts: Parts;
  /** Hands over: an aggregate, or the header's hash; `participants` are in it. */
  readonly send: (frame: Uint8Array, participants: number) => void;
}

/** See the module comment. */
export class Folding {
  readonly #fold: Fold;
  #due: number | undefined;
  /** Clients in what was handed over last; none yet where undefined. */
  #handed: { readonly size: number; readonly at: number } | undefined;
  #closed = false;
  #cancelDeadline = () => {};
  #cancelWait: (() => void) | undefined;

  constructor(readonly options: FoldingOptions) {
    const { opened: { header }, parameters, environment: { clock } } = options;
    this.#fold = new Fold(header, parameters);
    this.#cancelDeadline = clock.after(parameters.foldDeadline, () => this.#fall());
  }

  /** Nothing is handed over any more. */
  end(): void {
    this.#closed = true;
    this.#cancelDeadline();
    this.#cancelWait?.();
  }

  /** The envelope of a frame, decoded for this round; throws a `ProtocolError`. */
  decode(bytes: Uint8Array): Envelope {
    return decodeEnvelope(bytes, this.options.opened.header, this.options.parameters);
  }

  /** Folds an envelope, once; false where it is too late. Throws for one that may not be folded. */
  add(envelope: Envelope): boolean {
    const before = this.#fold.folded(envelope.index);
    if (before !== undefined) {
      if (!equal(before, envelope.hash)) {
        throw new ProtocolError("encoding", "a second envelope under one header");
      }
    } else {
      checkEnvelope(envelope, this.options.roster.at(envelope.index)?.client);
      if (this.#closed) return false;
      this.#fold.add(envelope);
    }
    return true;
  }

  /** Something came: hands over if it is time. */
  changed(): void {
    const { parts, roster } = this.options;
    if (this.#fold.size + parts.choice.size >= roster.count) this.#due ??= this.#now;
    this.#handOver();
  }

  get #now(): number {
    return this.options.environment.clock.now();
  }

  #fall(): void {
    this.#due ??= this.#now;
    this.#handOver();
  }

  /**
   * Hands over once it is time. That was the last word where enough took part; below that others may
   * have the rest, and who still comes is added.
   */
  #handOver(): void {
    if (this.#closed || this.#due === undefined) return;
    const { parts, parameters, signer, opened, roster, send } = this.options, now = this.#now;
    const patient = this.#due + patienceOf(parameters) / 2;
    if (!parts.complete && now < patient) return this.#wait(patient - now);
    const mine = { bitmap: this.#fold.bitmap, aggregator: signer.key };
    const choice = choose([
      { ...mine, whole: () => this.#fold.seal(signer) },
      ...parts.all.map((part) => ({ ...part, whole: () => part })),
    ]);
    const { size, taken } = choice;
    const enough = size >= parameters.minParticipants;
    if (this.#handed && !enough) {
      const again = this.#handed.at + parameters.foldDeadline / AGAIN_PER_FOLD;
      if (size === this.#handed.size) return;
      if (now < again) return this.#wait(again - now);
    }
    if (enough) this.end();
    this.#handed = { size, at: now };
    if (size === 0) return send(opened.header.hash, 0);
    reportLeft(this.options.environment.observe, opened.header, roster, choice.left);
    const [first, ...others] = taken.map((part) => part.whole());
    const own = others.length === 0 && equal(first.aggregator, signer.key);
    send((own ? first : merge([first, ...others], signer)).bytes, size);
  }

  #wait(ms: number): void {
    this.#cancelWait ??= this.options.environment.clock.after(ms, () => {
      this.#cancelWait = undefined;
      this.#handOver();
    });
  }
}
