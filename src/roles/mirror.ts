/**
 * What a reader that listens serves on: both feeds as it verified them, and the lineage. It holds
 * the whole log where it has an archive for it, else the newest records.
 */
import type { Verified } from "../protocol/chain.ts";
import type { OpenedHeader } from "../protocol/opened.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network } from "../universe/network.ts";
import { Archivist } from "./archivist.ts";
import type { Committee } from "./committee.ts";
import { Feed } from "./feed.ts";
import { feedHolders } from "./holders.ts";
import type { FeedCounts } from "./limits.ts";
import { LineageFeed } from "./lineage_feed.ts";
import type { Archive } from "./records.ts";

/** What it works with. */
export interface MirrorOptions {
  readonly network: Network;
  readonly environment: Environment;
  readonly committee: Committee;
  /** Where the whole log is kept. */
  readonly archive?: Archive;
}

/** See the module comment. */
export class Mirror {
  readonly #feed: Feed;
  readonly #lineage: LineageFeed;
  readonly #archivist: Archivist | undefined;
  #shown = 0;

  /** Throws a `StoreError` where the newest record of the archive is not of this committee. */
  constructor(readonly options: MirrorOptions) {
    const { network, committee: { epochs, lineage }, archive } = options;
    this.#feed = new Feed(epochs.root, archive);
    this.#archivist = archive && new Archivist({
      ...options,
      epochs,
      archive,
      candidates: () => feedHolders(network, "records"),
      grown: () => this.#feed.grown(),
    });
    archive?.describe(lineage);
    this.#lineage = new LineageFeed(network, lineage);
    this.#feed.serve(network, epochs.parameters);
    this.#archivist?.start();
  }

  /** Who subscribes here. */
  get counts(): FeedCounts {
    return this.#feed.counts;
  }

  /** Round of the newest record held, 0 for none. */
  get newest(): number {
    return this.#feed.newest;
  }

  /** A header was verified. */
  opened(opened: OpenedHeader): void {
    const { round } = opened.header;
    if (round <= this.#shown) return;
    this.#shown = round;
    this.#feed.opened(opened);
  }

  /** A record was verified. */
  record(verified: Verified): void {
    this.#archivist?.record(verified);
    this.#feed.record(verified);
  }

  /** The epochs were added to: this is the lineage from now on. */
  hand(lineage: Uint8Array): void {
    this.#shown = 0;
    this.options.archive?.describe(lineage);
    this.#lineage.hand(lineage);
  }

  /** Asks for nothing any more; the network is the caller's to stop. */
  stop(): void {
    this.#archivist?.stop();
  }
}
