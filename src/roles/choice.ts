/**
 * Which of the instance's aggregators a client sends to, and follows the feeds at: the first of an
 * order of its own, so that clients spread over them, and the next where that one fails, is silent,
 * or leaves it out.
 */
import { compare } from "../protocol/bytes.ts";
import { hash } from "../protocol/hash.ts";
import type { Parameters } from "../protocol/parameters.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network, Peer } from "../universe/network.ts";

/** Rounds without a header, each at its longest, after which another aggregator is tried. */
const SILENT_ROUNDS = 2;

/** Silences in a row after which the time until the next try is no longer doubled. */
const MAX_BACK_OFF = 4;

/** What it works with. */
export interface ChoiceOptions {
  readonly network: Network;
  readonly environment: Pick<Environment, "clock" | "observe">;
  readonly client: Uint8Array;
  readonly parameters: Parameters;
  /** Where envelopes go now. */
  readonly present: () => Peer | undefined;
  /** The stream to the present aggregator is to be ended: another opens to the next. */
  readonly move: (reason: string) => void;
}

/** See the module comment. */
export class Choice {
  #silences = 0;
  #settled = false;
  #cancel = () => {};
  #unsubscribe = () => {};

  constructor(readonly options: ChoiceOptions) {}

  /** Watches from now on whether the present aggregator is the right one. */
  start(): void {
    this.#unsubscribe = this.options.network.onPeer((peer) => this.#met(peer));
    this.#listen();
  }

  /** The aggregators that are known, in this client's order: by `H(spread ‖ client ‖ aggregator)`. */
  get candidates(): Peer[] {
    const { network, client } = this.options;
    return network.peers("aggregator")
      .map((peer) => ({ peer, place: hash("spread", client, peer.key) }))
      .sort((a, b) => compare(a.place, b.place))
      .map(({ peer }) => peer);
  }

  /**
   * Whom to follow the feeds at: where envelopes go, since from elsewhere headers may come before
   * they are known there; servers where no aggregator is known.
   */
  get holders(): Peer[] {
    const { network, present } = this.options, { candidates } = this, at = present();
    if (candidates.length === 0) return network.peers("server");
    return at ? [at, ...candidates.filter(({ id }) => id !== at.id)] : candidates;
  }

  /** A header came that is newer than all before. */
  alive(): void {
    this.#silences = 0;
    this.#listen();
  }

  /** An envelope was sent: from now on no better aggregator is worth a round. */
  settle(): void {
    this.#settled = true;
  }

  /** Nothing is watched any more. */
  close(): void {
    this.#unsubscribe();
    this.#cancel();
  }

  #listen(): void {
    this.#cancel();
    const { environment: { clock }, parameters: { roundDeadline, roundPeriod } } = this.options;
    const ms = (SILENT_ROUNDS * (roundDeadline + roundPeriod)) * 2 ** this.#silences;
    this.#cancel = clock.after(ms, () => {
      this.#silences = Math.min(this.#silences + 1, MAX_BACK_OFF);
      this.#listen();
      if (this.candidates.length < 2) return;
      this.options.environment.observe("debug", "aggregator silent", { ms });
      this.options.move("silent");
    });
  }

  /** One was found that this client would rather use, before it has sent anything. */
  #met({ id, role }: Peer): void {
    if (this.#settled || role !== "aggregator") return;
    const { candidates } = this;
    if (candidates.length > 1 && candidates[0].id === id) this.options.move("another comes first");
  }
}
