/**
 * The aggregators below another one: it tells them each opened header, as a server does, and holds
 * what they hand over.
 */
import { decodeAggregate } from "../protocol/aggregate.ts";
import { equal, hex } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type { OpenedHeader } from "../protocol/opened.ts";
import type { Parameters } from "../protocol/parameters.ts";
import type { Roster } from "../protocol/roster.ts";
import { NOTHING_BYTES } from "../committee/offering.ts";
import { Parts } from "../committee/parts.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network, Stream, StreamEvents } from "../universe/network.ts";
import { openedFrame, rosterFrame } from "./handover.ts";
import { instanceStreams } from "./streams.ts";

/** What it works with. */
export interface BelowOptions {
  readonly network: Network;
  readonly environment: Pick<Environment, "observe">;
  readonly parameters: Parameters;
  /** Keys of those who may hand over. */
  readonly accepted: readonly Uint8Array[];
  /** Somebody handed something over, or left. */
  readonly changed: () => void;
}

/** See the module comment. */
export class Below {
  readonly parts: Parts;
  /** By stream, the root of the roster that it was sent last. */
  readonly #streams = new Map<Stream, Uint8Array | undefined>();
  #live: { readonly opened: OpenedHeader; readonly roster: Roster } | undefined;

  constructor(readonly options: BelowOptions) {
    this.parts = new Parts(options.parameters);
    const { network, parameters, accepted } = options;
    if (accepted.length === 0) return;
    const ids = new Set(accepted.map(hex));
    network.serve(
      instanceStreams(parameters).aggregate,
      (stream) => ids.has(stream.peer.id) ? this.#subscribed(stream) : undefined,
    );
  }

  /** All servers opened a header: the parts of the round before are dropped. */
  opened(opened: OpenedHeader, roster: Roster): void {
    this.#live = { opened, roster };
    this.parts.begin(opened.header, roster);
    for (const stream of this.#streams.keys()) this.#tell(stream);
  }

  /** The round is over. */
  ended(): void {
    this.#live = undefined;
  }

  #subscribed(stream: Stream): StreamEvents | undefined {
    const { key } = stream.peer;
    if (!this.parts.join(key)) return undefined;
    this.#streams.set(stream, undefined);
    this.#tell(stream);
    return {
      frame: (bytes) => {
        this.#hand(bytes, stream);
        this.options.changed();
      },
      closed: () => {
        this.#streams.delete(stream);
        this.parts.leave(key);
        this.options.changed();
      },
    };
  }

  #tell(stream: Stream): void {
    if (!this.#live) return;
    const { opened, roster } = this.#live, sent = this.#streams.get(stream);
    if (!sent || !equal(sent, roster.root)) {
      this.#streams.set(stream, roster.root);
      stream.send(rosterFrame(roster));
    }
    stream.send(openedFrame(opened));
  }

  #hand(bytes: Uint8Array, { peer }: Stream): void {
    this.parts.hear(peer.key);
    try {
      if (!this.#live) throw new ProtocolError("mismatch", "no round is open");
      const { header } = this.#live.opened;
      if (bytes.length === NOTHING_BYTES) {
        if (!equal(bytes, header.hash)) {
          throw new ProtocolError("mismatch", "another header's word");
        }
        return this.parts.handed(peer.key);
      }
      const part = decodeAggregate(bytes, header, this.options.parameters);
      if (!equal(part.aggregator, peer.key)) {
        throw new ProtocolError("signature", "an aggregate of another than hands it over");
      }
      this.parts.take(part, 0);
    } catch (error) {
      if (!(error instanceof ProtocolError) || error.code !== "mismatch") throw error;
      const { observe } = this.options.environment;
      observe("debug", "aggregate late", { peer: peer.id, reason: error.message });
    }
  }
}
