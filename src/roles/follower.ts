/**
 * Follows both feeds from whoever holds them, verifies what comes, and moves to another holder when
 * one falls silent or sends something false. It acknowledges each record once its listener is done
 * with it, so a slow listener is sent no more than it takes. It goes on from epoch to epoch as
 * they become known; who is ahead of that says nothing false, and is asked again.
 */
import { equal, Reader, u64 } from "../protocol/bytes.ts";
import type { Chain, Verified } from "../protocol/chain.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { peekPlace } from "../protocol/header.ts";
import { MAX_SERVERS } from "../protocol/parameters.ts";
import { checkOpens, decodeOpened, openedBytes, type OpenedHeader } from "../protocol/opened.ts";
import { decodeProof, type RosterProof } from "../protocol/roster.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network, Peer, Stream } from "../universe/network.ts";
import type { Epochs } from "./epochs.ts";
import { Lag } from "./lag.ts";
import { Link } from "./link.ts";
import { Search } from "./search.ts";
import { instanceStreams } from "./streams.ts";
import { MISSING_BYTES, NEWEST } from "./window.ts";

/** Why a holder is left that is ahead of what is known here, or whose server left the committee. */
const AHEAD = "a committee that is not known yet",
  LEFT = "it is no server of the committee any more";

/** What a follower hears; everything in it was verified. */
export interface FollowerEvents {
  /**
   * All servers of the newest epoch OPENed a header. That it extends the head is for the listener to
   * check.
   */
  opened?(opened: OpenedHeader, proof: RosterProof | undefined): void;
  /**
   * A certified record that extends the chain; `linked` says whether it follows the one before, or
   * is the first of all. A promise holds further ones back, but for those
   * that are on their way (`WINDOW_RECORDS`); it must not reject.
   */
  record(verified: Verified): void | Promise<void>;
  /** Records were missed: the chain goes on from a later one. */
  gap?(from: number, to: number): void;
  /** The committee shows that it is there: a record, or a header that is newer than all before. */
  alive?(): void;
  /** A holder sent a record that does not verify. Return true to go on with another holder. */
  bad(error: ProtocolError, peer: Peer): boolean;
}

/** What a follower needs. */
export interface FollowerOptions {
  readonly network: Network;
  readonly environment: Environment;
  readonly epochs: Epochs;
  /** First round wanted; `NEWEST` for the newest record and what follows. */
  readonly from: number;
  /** A certified record, verified before: what is wanted follows it, whatever `from` says. */
  readonly after?: Uint8Array;
  /** Rounds before `from` from which records are taken too, to link the first one to. */
  readonly lead?: number;
  /**
   * Every record is wanted: a holder that lacks one is left for another while one may have it. Ms
   * of the search after which a gap is accepted; with Infinity, once every server lacks it.
   */
  readonly complete?: number;
  /** Holders that would do, best first. */
  readonly candidates: () => readonly Peer[];
  /** Whether opened headers are wanted too; of whom, best first, where not of the same. */
  readonly live: boolean | (() => readonly Peer[]);
  /** A holder that is late is left for another, and a server for whoever else serves. */
  readonly choosy?: boolean;
  readonly events: FollowerEvents;
}

/** Follows the feeds until it is closed. */
export class Follower {
  #chain: Chain;
  #started = false;
  readonly #search: Search;
  readonly #broadcasts: Link;
  readonly #live: Link | undefined;
  readonly #lag: Lag | undefined;
  readonly #unsubscribe: () => void;
  /** Round of the newest header seen of the newest epoch. */
  #shown = 0;
  #ended = false;

  /** Throws a `ProtocolError` where `after` is no record of this committee. */
  constructor(readonly options: FollowerOptions) {
    const { network, environment, epochs, after, choosy: sparesServers } = options;
    const streams = instanceStreams(epochs.parameters);
    this.#chain = epochs.chain();
    if (after) {
      this.#chain.extend(after);
      this.#started = true;
    }
    this.#search = new Search(options);
    const common = { network, clock: environment.clock, sparesServers };
    this.#broadcasts = new Link({
      ...common,
      candidates: () => this.#search.candidates(this.#wanted),
      kind: streams.broadcasts,
      events: (stream) => {
        stream.send(u64(this.#wanted));
        return {
          frame: (bytes) =>
            bytes.length === MISSING_BYTES
              ? this.#missing(bytes, stream)
              : this.#record(bytes, stream),
          closed: () => {},
        };
      },
    });
    if (options.live) {
      this.#live = new Link({
        ...common,
        candidates: () => this.#search.current(this.#heralds()),
        kind: streams.liveRound,
        events: ({ peer }) => ({ frame: (bytes) => this.#header(bytes, peer), closed: () => {} }),
      });
    }
    if (options.choosy) {
      this.#lag = new Lag({
        ...common,
        parameters: epochs.parameters,
        late: (behind) => this.#late(behind),
      });
    }
    this.#unsubscribe = epochs.onChange(() => this.#changed());
  }

  /** The chain so far. */
  get chain(): Chain {
    return this.#chain;
  }

  /** Whether the record feed is connected. */
  get connected(): boolean {
    return this.#broadcasts.stream !== undefined;
  }

  /** Takes other holders, for instance when the present ones fell silent. */
  move(reason: string): void {
    this.#broadcasts.drop(reason);
    this.#live?.drop(reason);
  }

  /** Follows at this holder from now on, where it comes first among the candidates. */
  attend({ id }: Peer): void {
    const first = (of: readonly Peer[]) => of[0]?.id === id;
    const elsewhere = (link: Link | undefined) => link?.stream && link.stream.peer.id !== id;
    const reason = "another holder is preferred";
    if (elsewhere(this.#broadcasts) && first(this.#search.candidates(this.#wanted))) {
      this.#broadcasts.drop(reason);
    }
    if (elsewhere(this.#live) && first(this.#search.current(this.#heralds()))) {
      this.#live!.drop(reason);
    }
  }

  /** Stops following. */
  close(): void {
    this.#ended = true;
    this.#unsubscribe();
    this.#search.close();
    this.#lag?.close();
    this.#broadcasts.close();
    this.#live?.close();
  }

  /** The round that a holder is asked for. */
  get #wanted(): number {
    const { from, lead = 0 } = this.options;
    if (this.#started) return this.#chain.head.round + 1;
    return from === NEWEST ? from : Math.max(0, from - lead);
  }

  /** The committee changed. Servers that left are asked only where nobody else is there. */
  #changed(): void {
    for (const manifest of this.options.epochs.all) this.#chain.adopt(manifest);
    this.#shown = 0;
    for (const link of [this.#broadcasts, this.#live]) {
      if (link?.stream && this.#search.left(link.stream.peer)) link.drop(LEFT);
    }
  }

  /** Whom to ask for headers. */
  #heralds(): readonly Peer[] {
    const { live, candidates } = this.options;
    return typeof live === "function" ? live() : candidates();
  }

  /** Leaves a holder of records that is late; where nothing new came at all, that of headers too. */
  #late(behind: boolean): void {
    const late = behind ? [this.#broadcasts] : [this.#broadcasts, this.#live];
    for (const link of late) if (link?.stream) this.#search.late(link.stream.peer);
    for (const link of late) link?.drop(behind ? "it is behind others" : "nothing new came");
  }

  #header(bytes: Uint8Array, peer: Peer): void {
    if (this.#ended) return;
    try {
      this.#opened(bytes);
    } catch (error) {
      if (error instanceof ProtocolError) this.#search.refuse(peer);
      throw error;
    }
  }

  #opened(bytes: Uint8Array): void {
    const { epochs, events } = this.options;
    const reader = new Reader(bytes, "live round");
    const frame = reader.bounded(1, openedBytes(MAX_SERVERS), "opened header");
    const manifest = epochs.of(peekPlace(frame).committee);
    if (!manifest) return this.#live!.drop(AHEAD);
    if (manifest !== epochs.newest) return;
    const opened = decodeOpened(frame, manifest);
    const proof = reader.left > 0 ? decodeProof(reader.bytes(reader.left)) : undefined;
    if (opened.header.round <= this.#chain.head.round) return;
    checkOpens(manifest, opened);
    const { previous } = opened.header, { hash } = this.#chain.head;
    if (equal(previous, hash) || equal(previous, manifest.root)) this.#lag?.came();
    else this.#lag?.behind();
    if (opened.header.round > this.#shown) {
      this.#shown = opened.header.round;
      events.alive?.();
    }
    events.opened?.(opened, proof);
  }

  /** A holder says that it has nothing before a later round. */
  #missing(bytes: Uint8Array, stream: Stream): void {
    if (this.#ended) return;
    const offered = new Reader(bytes, "missing records").u64();
    // There is none yet, and the first one will be sent; where there must be some, others have them.
    if (offered === 0 && this.options.complete !== Infinity) return this.#lag?.behind();
    if (offered === 0) return this.#broadcasts.drop("it has no record");
    if (offered <= this.#wanted || offered === NEWEST) {
      throw new ProtocolError("range", `round ${offered} offered for ${this.#wanted}`);
    }
    if (this.#skips(offered) && this.#elsewhere(this.#wanted, offered, stream.peer)) return;
    stream.send(u64(offered));
  }

  /** Whether records that are wanted may be missing before one of this round that does not link. */
  #skips(round: number): boolean {
    const { from } = this.options;
    return this.#started || from === 0 || (from !== NEWEST && round > from);
  }

  /** Leaves a holder that lacks what is wanted, while another may have it. */
  #elsewhere(wanted: number, offered: number, peer: Peer): boolean {
    if (!this.#search.lacks(peer, wanted, offered)) return false;
    this.#broadcasts.drop(`it has no record from round ${wanted} to ${offered - 1}`);
    return true;
  }

  #record(bytes: Uint8Array, stream: Stream): void {
    if (this.#ended) return;
    const { events, epochs } = this.options, { peer } = stream;
    if (ahead(bytes, epochs)) return this.#broadcasts.drop(AHEAD);
    const before = this.#chain;
    const { round: last } = before.head, wanted = this.#wanted;
    let verified: Verified;
    try {
      verified = before.extend(bytes);
      // A later epoch may be what comes first: all before it was missed then.
      const linked = this.#started || equal(verified.record.header.previous, epochs.root);
      verified = { ...verified, linked: verified.linked && linked };
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      const later = this.#later(bytes);
      if (!later) return this.#bad(error, peer);
      verified = later;
    }
    const { round } = verified.record.header;
    if (!verified.linked && this.#skips(round)) {
      if (this.#elsewhere(wanted, round, peer)) {
        this.#chain = this.#started ? before : epochs.chain();
        return;
      }
      events.gap?.(last, round);
    }
    this.#started = true;
    this.#search.found();
    events.alive?.();
    this.#lag?.came();
    const busy = events.record(verified);
    const acknowledge = () => void stream.send(u64(round + 1));
    if (!busy) return acknowledge();
    const done = this.#lag?.hold();
    void busy.then(() => {
      done?.();
      acknowledge();
    });
  }

  /** A certified record of a later round that does not link: what lies between was missed. */
  #later(bytes: Uint8Array): Verified | undefined {
    const { epochs } = this.options, { head, manifest: { epoch } } = this.#chain;
    const chain = epochs.chain();
    try {
      const verified = chain.extend(bytes), { manifest, record } = verified;
      if (record.header.round <= head.round || manifest.epoch < epoch) return undefined;
      // Only a link that is missing may be passed over, nothing that is false: where an epoch is
      // known to begin, no other record may begin it.
      if (verified.linked && manifest.epoch === epoch) return undefined;
      this.#chain = chain;
      return { ...verified, linked: false };
    } catch {
      return undefined;
    }
  }

  #bad(error: ProtocolError, peer: Peer): void {
    this.options.environment.observe("warn", "record refused", {
      peer: peer.id,
      reason: error.message,
    });
    if (this.options.events.bad(error, peer)) {
      this.#search.refuse(peer);
      this.move("a record that does not verify");
    } else this.close();
  }
}

/** Whether a record is of a committee that is not known: a later one, or none at all. */
function ahead(bytes: Uint8Array, epochs: Epochs): boolean {
  try {
    return epochs.of(peekPlace(bytes).committee) === undefined;
  } catch {
    return false; // too short for a record, which is said where it is read
  }
}
