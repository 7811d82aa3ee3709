/**
 * The event loop of a committee server in one epoch: the member at its core, its streams to the
 * other servers, and what it serves to clients, aggregators and readers.
 */
import { equal, hex } from "../protocol/bytes.ts";
import { type Head, readMessages } from "../protocol/chain.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type { Signer } from "../protocol/keys.ts";
import { type Manifest, serverIndex } from "../protocol/manifest.ts";
import type { OpenedHeader } from "../protocol/opened.ts";
import type { CertifiedRecord } from "../protocol/record.ts";
import type { Registration } from "../protocol/registration.ts";
import { participants } from "../protocol/aggregate.ts";
import type { Roster } from "../protocol/roster.ts";
import type { Engine, EngineHost } from "../committee/engine.ts";
import type { Start } from "../committee/formed.ts";
import { Member } from "../committee/member.ts";
import type { Phases } from "../committee/member_terms.ts";
import type { Store } from "../committee/release.ts";
import type { Vouch } from "../committee/vouches.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network, Peer, Stream, StreamEvents, StreamKind } from "../universe/network.ts";
import type { Gate } from "./admission.ts";
import type { Admissions } from "./admissions.ts";
import type { Archivist } from "./archivist.ts";
import type { Feed } from "./feed.ts";
import { openedFrame, rosterFrame } from "./handover.ts";
import { ClientDesk } from "./client_desk.ts";
import type { DeskLimits, RoleCounts } from "./limits.ts";
import { Link } from "./link.ts";
import { Recall } from "./recall.ts";
import { CLIENT_REGISTRY, committeeStream, instanceStreams, VOIDS } from "./streams.ts";
import { VoidFeed } from "./void_feed.ts";

/** How often the member looks at the time. */
const TICK_MS = 20;

/** How often a server that waits says so. */
const REMIND_MS = 60_000;

/** Longest pause until a server that is away is dialed again: rounds wait for it. */
const MAX_PAUSE_MS = 1_000;

/** Aggregators that are logged as refused, once each; whoever comes after them is not. */
const MAX_REFUSED = 64;

/** How often keys change while a server runs: a key epoch. */
const KEY_EPOCH_MS = 86_400_000;

/** What a server is made of. */
export interface ServerOptions {
  readonly network: Network;
  readonly environment: Environment;
  readonly manifest: Manifest;
  /** What the epoch starts from, and the certified record of that, if there is one. */
  readonly start: Start;
  readonly record?: Uint8Array;
  /** Clients that stood in the roster of the epoch before. */
  readonly clients?: Iterable<Registration>;
  /** Where other servers prove the committee's secret. */
  readonly gate: Gate;
  readonly signer: Signer;
  readonly store: Store;
  /** What keeps its records, and what serves them on; both outlast the epoch. */
  readonly archivist: Archivist;
  readonly feed: Feed;
  /** Why a client may not take part, or undefined. */
  readonly admits: (client: Uint8Array) => string | undefined;
  /** What clients have to show beyond that, where they have to show anything. */
  readonly admissions?: Admissions;
  /** Keys of the aggregators that may hand over; any unless given. */
  readonly aggregators?: readonly Uint8Array[];
  /** What this server vouched for in the epoch before. */
  readonly vouches?: Iterable<Vouch>;
  /** Other limits on registrations than `DESK_LIMITS`; tests alone have reasons to set any. */
  readonly deskLimits?: Partial<DeskLimits>;
  /** Keeps the proof that a server convicted itself, and says where. */
  readonly keepProof?: (name: string, proof: Uint8Array) => string;
  /** How often it says what it waits for, while no round goes on; a minute unless given. */
  readonly remindMs?: number;
  readonly engine: (host: EngineHost, self: number) => Engine;
}

/** A running server. */
export class Server {
  readonly #member: Member;
  readonly #desk: ClientDesk;
  readonly #voids = new VoidFeed();
  readonly #aggregators = new Set<Stream>();
  /** Peers that were logged as not in the list of aggregators. */
  readonly #refused = new Set<string>();
  readonly #links: Link[] = [];
  /** The newest stream to each other server. */
  readonly #peers = new Map<number, Stream>();
  readonly #self: number;
  readonly #kind: StreamKind;
  /** Streams that others opened here, of all kinds. */
  readonly #inbound = new Set<Stream>();
  /** When something last went on, or was last said to be missing. */
  #lastSign: number;
  #cancelTick = () => {};
  #stopped = false;
  #recall: Recall | undefined;
  #nextKeys: number;
  #sentRoster: Uint8Array | undefined;
  /** The record that was logged last: what it grants says which slots the next one has. */
  #head: Head;

  constructor(readonly options: ServerOptions) {
    const { manifest, signer, environment, admissions } = options;
    this.#self = serverIndex(manifest, signer.key);
    if (this.#self < 0) throw new ProtocolError("key", "this server's key is not in the committee");
    if (manifest.servers.length === 2) {
      environment.observe("warn", "two servers", { anonymity: "rests on one of two operators" });
    }
    this.#kind = committeeStream(manifest.epoch);
    this.#lastSign = environment.clock.now();
    this.#nextKeys = this.#lastSign + KEY_EPOCH_MS;
    this.#member = new Member({
      ...options,
      self: this.#self,
      vouching: admissions !== undefined,
      events: {
        word: (from, bytes) => this.#desk.word(from, bytes),
        evicted: (client, server) =>
          environment.observe("info", "client left", {
            client: hex(client),
            because: `server ${hex(manifest.servers[server]).slice(0, 16)} does not vouch for it`,
          }),
        opened: (opened, roster) => this.#opened(opened, roster),
        finalized: (certified, phases) => this.#finalized(certified, phases),
        voided: (round, reason) => {
          environment.observe("warn", "round void", { round, reason });
          this.#voids.tell({ round, reason });
        },
        equivocation: (why, server, proof) => this.#equivocation(why, server, proof),
      },
    });
    this.#desk = new ClientDesk({ ...options, member: this.#member, self: this.#self });
    if (admissions) admissions.evict = (client) => this.#member.vouch(client, 0);
    for (const key of manifest.servers) options.network.favour(hex(key));
    this.#head = this.#member.head;
    if (this.#member.headRecord) this.#record(this.#member.headRecord);
    this.#recollect();
  }

  /** The member at its core. */
  get member(): Member {
    return this.#member;
  }

  /** Whether an open, proven stream to each other server of the committee is there, by its key as hex. */
  get bonds(): ReadonlyMap<string, boolean> {
    const { servers } = this.options.manifest;
    const others = [...servers.keys()].filter((index) => index !== this.#self);
    return new Map(others.map((index) => [hex(servers[index]), this.#peers.has(index)]));
  }

  /** Who subscribes here, and what was refused under each limit of a role. */
  get counts(): RoleCounts {
    return { ...this.options.feed.counts, ...this.#desk.counts };
  }

  /** Its archive may know more than its register, which can be lost by itself. */
  #recollect(): void {
    const { archivist: { newest }, manifest } = this.options;
    if (newest && equal(newest.manifest.fingerprint, manifest.fingerprint)) {
      this.#member.learn(newest);
    }
  }

  /** A server that knows no record asks the aggregators before it opens a round. */
  #ask(): void {
    if (!this.#member.fresh) return;
    const { manifest, start, archivist: { options: { epochs, archive } } } = this.options;
    this.#member.recall(true);
    this.#recall = new Recall({
      ...this.options,
      epochs,
      patient: archive.newest === 0 && start.round === 0,
      over: (newest) => {
        this.#member.recall(false);
        if (newest && equal(newest.manifest.fingerprint, manifest.fingerprint)) {
          this.#member.learn(newest);
        }
      },
    });
  }

  /** Registers what it serves. */
  serve(): void {
    const { network, manifest, gate } = this.options;
    const streams = instanceStreams(manifest.parameters);
    gate.serve(this.#kind, ({ key }) => {
      const index = serverIndex(manifest, key);
      if (index > this.#self) return undefined;
      return index < 0 ? "not in the committee" : "the server of the higher place dials";
    }, this.#tracked((stream) => this.#peer(stream, serverIndex(manifest, stream.peer.key))));
    network.serve(CLIENT_REGISTRY, this.#tracked((stream) => this.#desk.accept(stream)));
    network.serve(VOIDS, this.#tracked((stream) => this.#voids.accept(stream)));
    const aggregates = this.#tracked((stream) => this.#subscribed(stream));
    network.serve(
      streams.aggregate,
      (stream) => this.#takes(stream.peer) ? aggregates(stream) : undefined,
    );
  }

  /** Whether a peer may hand over; a place is taken for it then. */
  #takes({ key, id, role }: Peer): boolean {
    const { aggregators, environment: { observe } } = this.options;
    if (role !== "aggregator") return false;
    if (aggregators && !aggregators.some((listed) => equal(listed, key))) {
      if (!this.#refused.has(id) && this.#refused.size < MAX_REFUSED) {
        this.#refused.add(id);
        observe("warn", "aggregator refused", { peer: id, because: "it is not in the list" });
      }
      return false;
    }
    return this.#member.aggregators.join(key);
  }

  /** An aggregator: it gets the roster and each opened header. */
  #subscribed(stream: Stream): StreamEvents {
    this.#aggregators.add(stream);
    const live = this.#member.live;
    stream.send(rosterFrame(live?.roster ?? this.#member.state.registry.roster));
    if (live) stream.send(openedFrame(live.opened));
    return {
      frame: (bytes) => this.#aggregate(stream, bytes),
      closed: () => {
        this.#aggregators.delete(stream);
        this.#member.aggregators.leave(stream.peer.key);
      },
    };
  }

  /** Remembers the streams that others opened, to end them with the epoch. */
  #tracked(accept: (stream: Stream) => StreamEvents): (stream: Stream) => StreamEvents {
    return (stream) => {
      // What is refused here ends without a word: nobody would take it out again.
      const { frame, closed } = accept(stream);
      this.#inbound.add(stream);
      return {
        frame,
        closed: (reason) => {
          this.#inbound.delete(stream);
          closed(reason);
        },
      };
    };
  }

  /** Connects to the other servers and begins. */
  start(): void {
    const { network, environment: { clock, observe }, manifest, gate } = this.options;
    this.#member.start();
    this.#ask();
    manifest.servers.forEach((key, index) => {
      if (index >= this.#self) return;
      const id = hex(key);
      this.#links.push(
        new Link({
          network,
          clock,
          kind: this.#kind,
          maxPause: MAX_PAUSE_MS,
          candidates: () =>
            network.peers("server").filter((peer) => peer.id === id && gate.ready(peer)),
          events: gate.dialing(this.#kind, (stream) => this.#peer(stream, index)),
          failed: (peer: Peer, reason) =>
            observe("debug", "server unreachable", { peer: peer.id, reason }),
        }),
      );
    });
    const tick = () => {
      this.#cancelTick = clock.after(TICK_MS, tick);
      if (clock.now() >= this.#nextKeys) {
        this.#nextKeys += KEY_EPOCH_MS;
        this.#member.rotateKeys();
      }
      this.#member.tick();
      this.#desk.tick();
      this.#remind();
    };
    tick();
  }

  #remind(): void {
    const now = this.options.environment.clock.now();
    if (now - this.#lastSign < (this.options.remindMs ?? REMIND_MS)) return;
    this.#lastSign = now;
    this.options.environment.observe("info", "waiting", { for: this.#member.waitsFor });
  }

  /** Stops for good, answers nobody any more, and forgets all keys; the network is the caller's to stop. */
  stop(): void {
    const { network, manifest } = this.options;
    this.#stopped = true;
    this.#cancelTick();
    this.#recall?.close();
    const { aggregate } = instanceStreams(manifest.parameters);
    for (const kind of [this.#kind, CLIENT_REGISTRY, VOIDS, aggregate]) {
      network.serve(kind, () => undefined);
    }
    for (const stream of [...this.#inbound]) stream.close("this server's epoch is over");
    for (const link of this.#links) link.close();
    this.#member.destroy();
  }

  /** A stream to another member, which has proven the secret. */
  #peer(stream: Stream, index: number): StreamEvents {
    this.#peers.set(index, stream);
    this.#member.connected(index, (frame) => stream.send(frame));
    return {
      frame: (bytes) => this.#member.receive(index, bytes),
      closed: (reason) => {
        if (this.#stopped) return;
        this.options.environment.observe("info", "server away", {
          server: index,
          peer: stream.peer.id,
          reason,
        });
        // A peer that came back may have a new stream before the end of its old one is known.
        if (this.#peers.get(index) !== stream) return;
        this.#peers.delete(index);
        this.#member.disconnected(index);
      },
    };
  }

  #aggregate(stream: Stream, bytes: Uint8Array): void {
    try {
      this.#member.aggregate(bytes, stream.peer.key);
    } catch (error) {
      if (!(error instanceof ProtocolError) || error.code !== "mismatch") throw error;
      this.options.environment.observe("debug", "aggregate late", {
        peer: stream.peer.id,
        reason: error.message,
      });
    }
  }

  #opened(opened: OpenedHeader, roster: Roster): void {
    this.#lastSign = this.options.environment.clock.now();
    if (!this.#sentRoster || !equal(this.#sentRoster, roster.root)) {
      this.#sentRoster = roster.root;
      const frame = rosterFrame(roster);
      for (const stream of this.#aggregators) stream.send(frame);
    }
    const frame = openedFrame(opened);
    for (const stream of this.#aggregators) stream.send(frame);
    this.options.feed.opened(opened, roster);
  }

  #finalized(certified: CertifiedRecord, phases: Phases | undefined): void {
    const { record } = certified, { manifest } = this.options;
    const linked = equal(record.header.previous, this.#head.hash);
    this.options.environment.observe("info", "round finalized", {
      round: record.header.round,
      participants: participants(record.bitmap).length,
      messages: linked ? readMessages(record, this.#head, manifest).messages.length : undefined,
      ...phases,
    });
    // An aggregator whose aggregate was certified has shown that it is of use.
    for (const key of this.#member.aggregators.madeBy(record.bitmap)) {
      this.options.network.favour(hex(key));
    }
    this.#head = this.#member.head;
    this.#record(certified);
  }

  /** A certified record of the member: kept, and served. */
  #record(certified: CertifiedRecord): void {
    this.options.archivist.record(certified);
    this.options.feed.record(certified);
  }

  #equivocation(why: string, server: Uint8Array, proof: Uint8Array): void {
    const file = this.options.keepProof?.(`equivocation-${hex(server).slice(0, 16)}`, proof);
    this.options.environment.observe("error", "equivocation", { server: hex(server), why, file });
  }
}
