/**
 * The event loop of an aggregator: it folds the envelopes of the live round into one aggregate for
 * the committee, gives receipts, and serves both feeds on to clients, over all epochs. It needs no
 * secret and is trusted with nothing but service.
 *
 * Of several, each has its own clients, and the committee merges what they hand over. One may stand
 * above others: these hand over to it what it then hands over with its own.
 */
import { equal, hex } from "../protocol/bytes.ts";
import { createReceipt } from "../protocol/envelope.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { peekPlace } from "../protocol/header.ts";
import type { Signer } from "../protocol/keys.ts";
import { checkOpens, decodeOpened, type OpenedHeader } from "../protocol/opened.ts";
import { Roster } from "../protocol/roster.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network, Peer, Stream } from "../universe/network.ts";
import { Below } from "./below.ts";
import { type Committee, holders } from "./committee.ts";
import type { Epochs } from "./epochs.ts";
import { Feed, NEWEST } from "./feed.ts";
import { Folding } from "./folding.ts";
import { Follower } from "./follower.ts";
import { OPENED_FRAME, ROSTER_FRAME } from "./handover.ts";
import type { FeedCounts } from "./limits.ts";
import { LineageFeed } from "./lineage_feed.ts";
import { Link } from "./link.ts";
import { instanceStreams } from "./streams.ts";

/** What an aggregator is made of. */
export interface AggregatorOptions {
  readonly network: Network;
  readonly environment: Environment;
  readonly signer: Signer;
  /** The aggregator that it hands over to instead of the servers: its key as hex. */
  readonly upstream?: string;
  /** Keys of the aggregators that may hand over to it; none unless given. */
  readonly below?: readonly Uint8Array[];
}

/** The round being folded, and its place. */
interface Live {
  readonly opened: OpenedHeader;
  readonly folding: Folding;
}

/** A running aggregator; `start` it once the committee was met. */
export class Aggregator {
  /** To each server of the newest epoch, or to the one above, by its key as hex. */
  readonly #links = new Map<string, Link>();
  #epochs!: Epochs;
  #lineage!: LineageFeed;
  #feed!: Feed;
  #alive: (() => void) | undefined;
  #follower: Follower | undefined;
  #live: Live | undefined;
  #below!: Below;
  #unsubscribe = () => {};

  constructor(readonly options: AggregatorOptions) {}

  /**
   * Serves an instance whose committee was met, and connects to every server. `alive` hears of each
   * sign that the committee is there.
   */
  start({ epochs, lineage }: Committee, alive?: () => void): void {
    const { network, environment } = this.options;
    this.#alive = alive;
    this.#epochs = epochs;
    this.#lineage = new LineageFeed(network, lineage);
    const streams = instanceStreams(epochs.parameters);
    this.#feed = new Feed(epochs.root);
    this.#feed.serve(network, epochs.parameters);
    network.serve(streams.submit, (stream) => ({
      frame: (bytes) => this.#envelope(stream, bytes),
      closed: () => {},
    }));
    this.#below = new Below({
      network,
      environment,
      parameters: epochs.parameters,
      accepted: this.options.below ?? [],
      changed: () => this.#live?.folding.changed(),
    });
    this.#follower = new Follower({
      network,
      environment,
      epochs,
      from: NEWEST,
      candidates: () => holders(network, "server"),
      live: false,
      events: {
        record: (verified) => {
          this.#feed.record(verified);
          if (this.#live && verified.record.header.round >= this.#live.opened.header.round) {
            this.#end();
          }
        },
        alive,
        bad: () => true,
      },
    });
    this.#unsubscribe = epochs.onChange(() => this.#changed());
    this.#connect();
  }

  /** Round of the newest certified record here. */
  get newest(): number {
    return this.#feed.newest;
  }

  /** Who subscribes here, and what was refused under each limit of a role. */
  get counts(): FeedCounts {
    return this.#feed.counts;
  }

  /** The epochs were added to: this is the lineage from now on. */
  hand(lineage: Uint8Array): void {
    this.#lineage.hand(lineage);
  }

  /** Another committee: no round of the old one goes on, and each server begins anew with its roster. */
  #changed(): void {
    this.#end();
    const stay = new Set(this.#heads);
    for (const [head, link] of this.#links) {
      if (stay.has(head)) link.drop("the committee changed");
      else {
        link.close();
        this.#links.delete(head);
      }
    }
    this.#connect();
  }

  /** Whom it hands over to: the servers of the newest epoch, or the aggregator above it. */
  get #heads(): readonly string[] {
    const { upstream } = this.options;
    return upstream === undefined ? this.#epochs.newest.servers.map(hex) : [upstream];
  }

  /** A link to each of these that has none. */
  #connect(): void {
    const { network, environment: { clock }, upstream } = this.options;
    const { parameters } = this.#epochs, { aggregate: kind } = instanceStreams(parameters);
    const role = upstream === undefined ? "server" : "aggregator";
    for (const head of this.#heads) {
      network.favour(head);
      if (this.#links.has(head)) continue;
      const link: Link = new Link({
        network,
        clock,
        kind,
        candidates: () => network.peers(role).filter(({ id }) => id === head),
        events: () => {
          let roster: Roster | undefined;
          return {
            frame: (bytes) => {
              if (bytes[0] === OPENED_FRAME) this.#opened(bytes.subarray(1), roster, link);
              else if (bytes[0] === ROSTER_FRAME) {
                roster = Roster.decode(bytes.subarray(1), parameters.maxClients);
              } else throw new ProtocolError("type", `a frame of kind ${bytes[0]} of a server`);
            },
            closed: () => {},
          };
        },
      });
      this.#links.set(head, link);
    }
  }

  /** Stops for good; the network is the caller's to stop. */
  stop(): void {
    this.#end();
    this.#unsubscribe();
    this.#follower?.close();
    for (const link of this.#links.values()) link.close();
  }

  #opened(bytes: Uint8Array, roster: Roster | undefined, link: Link): void {
    const manifest = this.#epochs.of(peekPlace(bytes).committee);
    if (!manifest) return link.drop("a committee that is not known yet");
    if (manifest !== this.#epochs.newest) return;
    const opened = decodeOpened(bytes, manifest), { header } = opened;
    if (header.round <= Math.max(this.#live?.opened.header.round ?? 0, this.#feed.newest)) {
      return;
    }
    if (!roster || roster.size !== header.rosterSize || !equal(roster.root, header.rosterRoot)) {
      throw new ProtocolError(
        "mismatch",
        `the roster of round ${header.round} is not the one that was sent`,
      );
    }
    checkOpens(manifest, opened);
    this.#alive?.();
    this.#end();
    this.#below.opened(opened, roster);
    const { environment, signer } = this.options, { parameters } = manifest;
    const folding = new Folding({
      opened,
      roster,
      parameters,
      signer,
      environment,
      parts: this.#below.parts,
      send: (frame, participants) => {
        for (const link of this.#links.values()) link.stream?.send(frame);
        environment.observe("debug", "aggregate sent", { round: header.round, participants });
      },
    });
    this.#live = { opened, folding };
    this.#feed.opened(opened, roster);
  }

  #envelope(stream: Stream, bytes: Uint8Array): void {
    const folding = this.#live?.folding;
    if (!folding) return this.#late(stream.peer);
    let envelope;
    try {
      envelope = folding.decode(bytes);
    } catch (error) {
      // A header that just ended is an honest client's bad luck; anything else is not.
      if (!(error instanceof ProtocolError) || error.code !== "mismatch") throw error;
      return this.#late(stream.peer);
    }
    if (!folding.add(envelope)) return this.#late(stream.peer);
    stream.send(createReceipt(this.options.signer, envelope));
    folding.changed();
  }

  #late({ id }: Peer): void {
    this.options.environment.observe("debug", "envelope late", { peer: id });
  }

  #end(): void {
    this.#live?.folding.end();
    this.#live = undefined;
    this.#below?.ended();
  }
}
