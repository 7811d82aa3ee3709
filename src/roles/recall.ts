/**
 * A server that knows no record of its epoch may have forgotten it, and all others with it. Before
 * it opens a round it asks every aggregator, or those of its list, for the newest record: no round
 * comes about without one of them anyway, and they remember what servers without a disk forget.
 */
import { equal, u64 } from "../protocol/bytes.ts";
import type { Verified } from "../protocol/chain.ts";
import { MAX_KNOWN } from "../universe/directory.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network, Peer, Stream } from "../universe/network.ts";
import type { Epochs } from "./epochs.ts";
import { instanceStreams } from "./streams.ts";
import { MISSING_BYTES, NEWEST } from "./window.ts";

/** How long, after the first answer, the other aggregators have to give theirs. */
export const OTHERS_MS = 3_000;
/** How long one of them has: whoever is silent gives up its place, and is asked again after others. */
const SILENT_MS = 5_000;
/** How often those who did not answer are asked again. */
const AGAIN_MS = 500;
/** Most aggregators that are asked at one time: all that a node knows. */
export const MAX_ASKED = MAX_KNOWN;

/** What it works with. */
export interface RecallOptions {
  readonly network: Network;
  readonly environment: Pick<Environment, "clock">;
  readonly epochs: Epochs;
  /** Keys of those who are asked; any aggregator unless given. */
  readonly aggregators?: readonly Uint8Array[];
  /**
   * This server has no record at all: anyone may call itself an aggregator, and whoever remembers
   * may be met later than one who does not. So the others have their time.
   */
  readonly patient: boolean;
  /** At least one aggregator has answered: the newest record that any of them has, if one has any. */
  readonly over: (newest: Verified | undefined) => void;
}

/** See the module comment. */
export class Recall {
  /** What ends the asking of each who is asked now. */
  readonly #asked = new Map<string, () => void>();
  /** Who was asked, until all were. */
  readonly #tried = new Set<string>();
  readonly #answered = new Set<string>();
  #newest: Verified | undefined;
  #over = false;
  #cancel = () => {};
  #cancelLast: (() => void) | undefined;
  readonly #unsubscribe: () => void;

  constructor(readonly options: RecallOptions) {
    this.#unsubscribe = options.network.onPeer(() => this.#askAll());
    const again = () => {
      this.#cancel = options.environment.clock.after(AGAIN_MS, again);
      const left = this.#left();
      if (left.every(({ id }) => this.#tried.has(id))) this.#tried.clear();
      this.#askAll(left);
    };
    again();
  }

  /** Ends without an answer. */
  close(): void {
    this.#over = true;
    this.#unsubscribe();
    this.#cancel();
    this.#cancelLast?.();
    for (const end of [...this.#asked.values()]) end();
  }

  /** Who has not answered, and is not being asked. */
  #left(): Peer[] {
    const { network, aggregators } = this.options;
    return network.peers("aggregator").filter(({ id, key }) =>
      !this.#asked.has(id) && !this.#answered.has(id) &&
      (aggregators?.some((listed) => equal(listed, key)) ?? true)
    );
  }

  #askAll(left: readonly Peer[] = this.#left()): void {
    for (const peer of left) {
      if (this.#over || this.#asked.size >= MAX_ASKED) return;
      if (!this.#tried.has(peer.id)) this.#ask(peer);
    }
  }

  #ask(peer: Peer): void {
    const { network, epochs, environment: { clock } } = this.options, { id } = peer;
    const { broadcasts } = instanceStreams(epochs.parameters);
    let stream: Stream | undefined;
    const end = () => {
      if (this.#asked.get(id) !== end) return;
      cancel();
      this.#asked.delete(id);
      stream?.close("the newest record is not asked for any more");
      this.#settle();
    };
    const cancel = clock.after(SILENT_MS, end);
    this.#tried.add(id);
    this.#asked.set(id, end);
    network.open(peer, broadcasts, (opened) => {
      stream = opened;
      if (this.#asked.get(id) !== end) opened.close("too late");
      else opened.send(u64(NEWEST));
      return {
        frame: (bytes) => {
          if (this.#asked.get(id) !== end) return;
          this.#answer(bytes);
          this.#answered.add(id);
          end();
        },
        closed: end,
      };
    }).catch(end);
  }

  #answer(bytes: Uint8Array): void {
    if (bytes.length !== MISSING_BYTES) {
      const verified = this.options.epochs.chain().extend(bytes);
      const newest = this.#newest?.record.header.round ?? 0;
      if (verified.record.header.round > newest) this.#newest = verified;
    }
    this.#cancelLast ??= this.options.environment.clock.after(OTHERS_MS, () => this.#end());
  }

  /** Ends once all who are asked have answered, or are gone. */
  #settle(): void {
    const { patient, aggregators } = this.options, answers = this.#answered.size;
    if (this.#over || answers === 0 || this.#asked.size > 0) return;
    if (!patient || answers === aggregators?.length) this.#end();
  }

  #end(): void {
    this.close();
    this.options.over(this.#newest);
  }
}
