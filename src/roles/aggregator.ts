/**
 * The event loop of the aggregator: it folds the envelopes of the live round into one aggregate for
 * the committee, gives receipts, and serves both feeds on to clients. It needs no secret and is
 * trusted with nothing but service.
 */
import { Fold } from "../protocol/aggregate.ts";
import { equal } from "../protocol/bytes.ts";
import { checkEnvelope, createReceipt, decodeEnvelope } from "../protocol/envelope.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type { Signer } from "../protocol/keys.ts";
import type { Manifest } from "../protocol/manifest.ts";
import { checkOpens, decodeOpened, type OpenedHeader } from "../protocol/opened.ts";
import { Roster } from "../protocol/roster.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network, Peer, Stream } from "../universe/network.ts";
import { type Committee, holders } from "./committee.ts";
import { Feed, NEWEST } from "./feed.ts";
import { Follower } from "./follower.ts";
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
  readonly #links: Link[] = [];
  #feed!: Feed;
  #manifest: Manifest | undefined;
  #follower: Follower | undefined;
  #folding: Folding | undefined;
  #cancelDeadline = () => {};

  constructor(readonly options: AggregatorOptions) {}

  /** Serves an instance whose committee was met, and connects to every server. */
  start({ epochs, lineage }: Committee): void {
    const { network, environment } = this.options, manifest = epochs.newest;
    network.serve(SERVER_REGISTRY, (stream) => {
      stream.send(lineage);
      return { frame: () => stream.close("nothing is expected here"), closed: () => {} };
    });
    this.#manifest = manifest;
    const streams = instanceStreams(epochs.parameters);
    this.#feed = new Feed(epochs.root);
    this.#feed.serve(network, epochs.parameters);
    network.serve(streams.submit, (stream) => ({
      frame: (bytes) => this.#envelope(stream, bytes),
      closed: () => {},
    }));
    for (const server of manifest.servers) {
      let roster: Roster | undefined;
      this.#links.push(
        new Link({
          network,
          clock: environment.clock,
          kind: streams.aggregate,
          candidates: () => network.peers("server").filter((peer: Peer) => equal(peer.key, server)),
          events: () => ({
            frame: (bytes) => {
              if (bytes[0] === OPENED_FRAME) {
                this.#opened(decodeOpened(bytes.subarray(1), manifest), roster);
              } else if (bytes[0] === ROSTER_FRAME) {
                roster = Roster.decode(bytes.subarray(1), manifest.parameters.maxClients);
              } else throw new ProtocolError("type", `a frame of kind ${bytes[0]} of a server`);
            },
            closed: () => {},
          }),
        }),
      );
    }
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
        bad: () => true,
      },
    });
  }

  /** Stops for good; the network is the caller's to stop. */
  stop(): void {
    this.#end();
    this.#follower?.close();
    for (const link of this.#links) link.close();
  }

  #opened(opened: OpenedHeader, roster: Roster | undefined): void {
    const { header } = opened, manifest = this.#manifest!;
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
    const folding = this.#folding, manifest = this.#manifest!;
    const { observe } = this.options.environment;
    if (!folding) return observe("debug", "envelope late", { peer: stream.peer.id });
    let envelope;
    try {
      envelope = decodeEnvelope(bytes, folding.opened.header, manifest.parameters);
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
    const { minParticipants } = this.#manifest!.parameters;
    if (
      this.#folding !== folding || folding.sealed || !folding.due ||
      folding.fold.size < minParticipants
    ) return;
    folding.sealed = folding.fold.seal(this.options.signer).bytes;
    for (const link of this.#links) link.stream?.send(folding.sealed);
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
