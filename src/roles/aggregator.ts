/**
 * The event loop of the aggregator: it folds the envelopes of the live round into one aggregate for
 * the committee, gives receipts, and serves both feeds on to clients, over all epochs. It needs no
 * secret and is trusted with nothing but service.
 */
import { Fold } from "../protocol/aggregate.ts";
import { equal, hex } from "../protocol/bytes.ts";
import { checkEnvelope, createReceipt, decodeEnvelope } from "../protocol/envelope.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { peekPlace } from "../protocol/header.ts";
import type { Signer } from "../protocol/keys.ts";
import { checkOpens, decodeOpened, type OpenedHeader } from "../protocol/opened.ts";
import { Roster } from "../protocol/roster.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network, Stream } from "../universe/network.ts";
import { type Committee, holders } from "./committee.ts";
import type { Epochs } from "./epochs.ts";
import { Feed, NEWEST } from "./feed.ts";
import { Follower } from "./follower.ts";
import type { FeedCounts } from "./limits.ts";
import { Link } from "./link.ts";
import { OPENED_FRAME, ROSTER_FRAME } from "./server.ts";
import { instanceStreams, SERVER_REGISTRY } from "./streams.ts";

/** What an aggregator is made of. */
export interface AggregatorOptions {
  readonly network: Network;
  readonly environment: Environment;
  readonly signer: Signer;
}

/** The round being folded. */
interface Folding {
  readonly opened: OpenedHeader;
  readonly roster: Roster;
  readonly fold: Fold;
  due: boolean;
  sealed?: Uint8Array;
}

/** A running aggregator; `start` it once the committee was met. */
export class Aggregator {
  /** To each server of the newest epoch, by its key as hex. */
  readonly #links = new Map<string, Link>();
  /** Who is told of each change of the committee. */
  readonly #curious = new Set<Stream>();
  #epochs!: Epochs;
  #lineage!: Uint8Array;
  #feed!: Feed;
  #alive: (() => void) | undefined;
  #follower: Follower | undefined;
  #folding: Folding | undefined;
  #cancelDeadline = () => {};
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
    const streams = instanceStreams(epochs.parameters);
    this.#feed = new Feed(epochs.root);
    this.#feed.serve(network, epochs.parameters);
    network.serve(streams.submit, (stream) => ({
      frame: (bytes) => this.#envelope(stream, bytes),
      closed: () => {},
    }));
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
          if (this.#folding && verified.record.header.round >= this.#folding.opened.header.round) {
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

  /** Who subscribes here, and what was refused under each limit of a role. */
  get counts(): FeedCounts {
    return this.#feed.counts;
  }

  /** The epochs were added to: this is the lineage from now on. */
  hand(lineage: Uint8Array): void {
    this.#lineage = lineage;
    for (const stream of this.#curious) stream.send(lineage);
  }

  /** Another committee: no round of the old one goes on, and each server begins anew with its roster. */
  #changed(): void {
    this.#end();
    const { servers } = this.#epochs.newest, stay = new Set(servers.map(hex));
    for (const [server, link] of this.#links) {
      if (stay.has(server)) link.drop("the committee changed");
      else {
        link.close();
        this.#links.delete(server);
      }
    }
    this.#connect();
  }

  /** A link to each server of the newest epoch that has none. */
  #connect(): void {
    const { network, environment: { clock } } = this.options;
    const { parameters, newest: { servers } } = this.#epochs;
    const { aggregate: kind } = instanceStreams(parameters);
    for (const server of servers.map(hex)) {
      network.favour(server);
      if (this.#links.has(server)) continue;
      const link: Link = new Link({
        network,
        clock,
        kind,
        candidates: () => network.peers("server").filter(({ id }) => id === server),
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
      this.#links.set(server, link);
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
    if (header.round <= Math.max(this.#folding?.opened.header.round ?? 0, this.#feed.newest)) {
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
    const folding: Folding = {
      opened,
      roster,
      fold: new Fold(header, manifest.parameters),
      due: false,
    };
    this.#folding = folding;
    this.#feed.opened(opened, roster);
    this.#cancelDeadline = this.options.environment.clock.after(
      manifest.parameters.foldDeadline,
      () => {
        folding.due = true;
        this.#sealIfReady(folding);
      },
    );
  }

  #envelope(stream: Stream, bytes: Uint8Array): void {
    const folding = this.#folding;
    const { observe } = this.options.environment;
    if (!folding) return observe("debug", "envelope late", { peer: stream.peer.id });
    let envelope;
    try {
      envelope = decodeEnvelope(bytes, folding.opened.header, this.#epochs.parameters);
    } catch (error) {
      // A header that just ended is an honest client's bad luck; anything else is not.
      if (!(error instanceof ProtocolError) || error.code !== "mismatch") throw error;
      return observe("debug", "envelope late", { peer: stream.peer.id });
    }
    const before = folding.fold.folded(envelope.index);
    if (before !== undefined) {
      if (!equal(before, envelope.hash)) {
        throw new ProtocolError("encoding", "a second envelope under one header");
      }
    } else {
      checkEnvelope(envelope, folding.roster.at(envelope.index)?.client);
      if (folding.sealed) return observe("debug", "envelope late", { peer: stream.peer.id });
      folding.fold.add(envelope);
    }
    stream.send(createReceipt(this.options.signer, envelope));
    if (folding.fold.size === folding.roster.count) folding.due = true;
    this.#sealIfReady(folding);
  }

  /** Hands over once it is time and enough took part; below that it waits for whoever still comes. */
  #sealIfReady(folding: Folding): void {
    const { minParticipants } = this.#epochs.parameters;
    if (
      this.#folding !== folding || folding.sealed || !folding.due ||
      folding.fold.size < minParticipants
    ) return;
    folding.sealed = folding.fold.seal(this.options.signer).bytes;
    for (const link of this.#links.values()) link.stream?.send(folding.sealed);
    this.options.environment.observe("debug", "aggregate sent", {
      round: folding.opened.header.round,
      participants: folding.fold.size,
    });
  }

  #end(): void {
    this.#cancelDeadline();
    this.#folding = undefined;
  }
}
