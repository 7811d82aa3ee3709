/**
 * A server that knows no record of its epoch may have forgotten it, and all others with it. Before
 * it opens a round it asks every aggregator for the newest record: no round comes about without one
 * of them anyway, and they remember what servers without a disk forget.
 */
import { u64 } from "../protocol/bytes.ts";
import type { Verified } from "../protocol/chain.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network, Peer, Stream } from "../universe/network.ts";
import type { Epochs } from "./epochs.ts";
import { instanceStreams } from "./streams.ts";
import { MISSING_BYTES, NEWEST } from "./window.ts";

/** How long, after the first answer, the other aggregators have to give theirs. */
const OTHERS_MS = 3_000;
/** How often those who did not answer are asked again. */
const AGAIN_MS = 500;
/** Most aggregators that are asked. */
const MAX_ASKED = 64;

/** What it works with. */
export interface RecallOptions {
  readonly network: Network;
  readonly environment: Pick<Environment, "clock">;
  readonly epochs: Epochs;
  /** At least one aggregator has answered: the newest record that any of them has, if one has any. */
  readonly over: (newest: Verified | undefined) => void;
}

/** See the module comment. */
export class Recall {
  /** Streams to those who are asked; undefined while one opens. */
  readonly #asked = new Map<string, Stream | undefined>();
  readonly #answered = new Set<string>();
  #newest: Verified | undefined;
  #over = false;
  #cancel = () => {};
  #cancelLast: (() => void) | undefined;
  readonly #unsubscribe: () => void;

  constructor(readonly options: RecallOptions) {
    this.#unsubscribe = options.network.onPeer(() => this.#ask());
    const again = () => {
      this.#cancel = options.environment.clock.after(AGAIN_MS, again);
      this.#ask();
    };
    again();
  }

  /** Ends without an answer. */
  close(): void {
    this.#over = true;
    this.#unsubscribe();
    this.#cancel();
    this.#cancelLast?.();
    for (const stream of this.#asked.values()) stream?.close("the newest record is known");
  }

  #ask(): void {
    if (this.#over) return;
    const { network, epochs } = this.options, { broadcasts } = instanceStreams(epochs.parameters);
    for (const peer of network.peers("aggregator")) {
      const { id } = peer;
      if (this.#asked.has(id) || this.#answered.has(id) || this.#asked.size >= MAX_ASKED) continue;
      this.#asked.set(id, undefined);
      network.open(peer, broadcasts, (stream) => {
        this.#asked.set(id, stream);
        stream.send(u64(NEWEST));
        return {
          frame: (bytes) => this.#answer(peer, bytes),
          closed: () => this.#gone(id),
        };
      }).catch(() => this.#gone(id));
    }
  }

  #gone(id: string): void {
    this.#asked.delete(id);
    this.#settle();
  }

  #answer({ id }: Peer, bytes: Uint8Array): void {
    if (this.#over || this.#answered.has(id)) return;
    if (bytes.length !== MISSING_BYTES) {
      const verified = this.options.epochs.chain().extend(bytes);
      const newest = this.#newest?.record.header.round ?? 0;
      if (verified.record.header.round > newest) this.#newest = verified;
    }
    this.#answered.add(id);
    this.#cancelLast ??= this.options.environment.clock.after(OTHERS_MS, () => this.#end());
    this.#settle();
  }

  /** Ends once all who are asked have answered. */
  #settle(): void {
    if (this.#over || this.#answered.size === 0) return;
    if ([...this.#asked.keys()].every((id) => this.#answered.has(id))) this.#end();
  }

  #end(): void {
    this.close();
    this.options.over(this.#newest);
  }
}
