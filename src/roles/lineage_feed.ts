/** The lineage of committees, as a holder that is no server hands it to anyone, at each change. */
import type { Network, Stream } from "../universe/network.ts";
import { SERVER_REGISTRY } from "./streams.ts";

/** See the module comment. */
export class LineageFeed {
  readonly #curious = new Set<Stream>();
  #lineage: Uint8Array;

  /** Hands out `lineage` from now on. */
  constructor(network: Network, lineage: Uint8Array) {
    this.#lineage = lineage;
    network.serve(SERVER_REGISTRY, (stream) => {
      this.#curious.add(stream);
      stream.limit(0);
      stream.send(this.#lineage);
      return {
        frame: () => stream.close("nothing is expected here"),
        closed: () => this.#curious.delete(stream),
      };
    });
  }

  /** The epochs were added to: this is the lineage from now on. */
  hand(lineage: Uint8Array): void {
    this.#lineage = lineage;
    for (const stream of this.#curious) stream.send(lineage);
  }
}
