/**
 * The two public feeds, as whoever holds them serves them on: opened headers of the live round, and
 * certified records. They prove themselves, so any server, aggregator or reader may be the source.
 *
 * Frames. live-round, out: u32 length ‖ opened header ‖ roster proof of the subscriber, where it
 * stands in the roster and the source knows that. broadcasts: see `window.ts`.
 */
import { type RecordHash, Writer } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { encodeOpened, type OpenedHeader } from "../protocol/opened.ts";
import type { Parameters } from "../protocol/parameters.ts";
import type { CertifiedRecord } from "../protocol/record.ts";
import { encodeProof, type Roster } from "../protocol/roster.ts";
import type { Network, Stream } from "../universe/network.ts";
import { FEED_LIMITS, type FeedCounts, type FeedLimits } from "./limits.ts";
import type { Records } from "./records.ts";
import { Shelf } from "./shelf.ts";
import { instanceStreams } from "./streams.ts";
import { SUBSCRIPTION_BYTES, Window } from "./window.ts";

export { NEWEST } from "./window.ts";

/** Serves the feeds to any number of subscribers, each at its own pace. */
export class Feed {
  readonly #shelf: Shelf;
  readonly #live = new Set<Stream>();
  readonly #windows = new Set<Window>();
  #opened:
    | { readonly opened: OpenedHeader; readonly roster?: Roster; readonly bytes: Uint8Array }
    | undefined;

  readonly #limits: FeedLimits;
  #refused = 0;

  /**
   * `root` is what the first record of all follows; `history` is where records older than those in
   * memory are, none where it is absent;
   * `limits` others than `FEED_LIMITS`.
   */
  constructor(root: RecordHash, history?: Records, limits: Partial<FeedLimits> = {}) {
    this.#shelf = new Shelf(root, history);
    this.#limits = { ...FEED_LIMITS, ...limits };
  }

  /** Who subscribes, and how often one more was refused. */
  get counts(): FeedCounts {
    return {
      live: this.#live.size,
      windows: this.#windows.size,
      refusedSubscribers: this.#refused,
    };
  }

  /** Round of the newest record held, 0 for none. */
  get newest(): number {
    return this.#shelf.newest;
  }

  /** Answers subscribers of both feeds, whichever the epoch; called once. */
  serve(network: Network, parameters: Parameters): void {
    const streams = instanceStreams(parameters);
    network.serve(streams.liveRound, (stream) => {
      this.#room(this.#live.size);
      stream.limit(0);
      this.#live.add(stream);
      this.#sendLive(stream);
      return {
        frame: () => stream.close("nothing is expected on live-round"),
        closed: () => this.#live.delete(stream),
      };
    });
    network.serve(streams.broadcasts, (stream) => {
      this.#room(this.#windows.size);
      stream.limit(SUBSCRIPTION_BYTES);
      const window = new Window(this.#shelf, stream);
      this.#windows.add(window);
      return {
        frame: (bytes) => window.frame(bytes),
        closed: () => this.#windows.delete(window),
      };
    });
  }

  /** A header was opened by all servers; without its roster nobody is told where it stands in it. */
  opened(opened: OpenedHeader, roster?: Roster): void {
    this.#opened = { opened, roster, bytes: encodeOpened(opened) };
    for (const stream of this.#live) this.#sendLive(stream);
  }

  /** A record was certified. One that is not newer than all before is ignored. */
  record(certified: CertifiedRecord): void {
    if (!this.#shelf.add(certified)) return;
    for (const window of this.#windows) window.pump();
  }

  /** The archive behind it holds more than it did: whoever waits for that gets it. */
  grown(): void {
    for (const window of this.#windows) window.pump();
  }

  /** Throws where a feed has all the subscribers it may have: the peer takes another holder. */
  #room(subscribers: number): void {
    if (subscribers < this.#limits.subscribers) return;
    this.#refused++;
    throw new ProtocolError("range", `already ${subscribers} subscribers of this feed`);
  }

  #sendLive(stream: Stream): void {
    if (!this.#opened || this.#opened.opened.header.round <= this.newest) return;
    const { roster, bytes } = this.#opened;
    const index = roster?.indexOf(stream.peer.key);
    const out = new Writer().vector(bytes);
    if (roster && index !== undefined) {
      out.bytes(encodeProof({ index, path: roster.path(index) }));
    }
    stream.send(out.end());
  }
}
