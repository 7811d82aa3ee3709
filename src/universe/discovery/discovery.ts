/**
 * How a node finds its universe, and in it its instance. A node that can be dialed, and is no
 * client, publishes an entry of itself; every node holds a catalog of such entries. They spread by
 * gossip among those who publish, and by comparing catalogs; whoever only dials asks to be told.
 */
import { hex, unhex } from "../../protocol/bytes.ts";
import type { Signer } from "../../protocol/keys.ts";
import { Buckets } from "../bucket.ts";
import type { Environment } from "../environment.ts";
import { FrameError } from "../hello.ts";
import type { Rate } from "../limits.ts";
import type { Census, Peer, Role, Stream, StreamEvents, StreamKind } from "../network.ts";
import { reasonOf } from "../stream.ts";
import type { Target, Transport } from "../transport.ts";
import { Announcer } from "./announce.ts";
import { Bootstrap } from "./bootstrap.ts";
import { Catalog, type Outcome } from "./catalog.ts";
import { type Digest, Digester, isDeparture, type Item } from "./digest.ts";
import { compareVersions, type Entry, type Version } from "./entry.ts";
import { EventQueue } from "./events.ts";
import { Own } from "./own.ts";
import { Scores } from "./scores.ts";
import { CATALOG, type Holdings } from "./session.ts";
import { LEAF_LINKS, LINKS, Sync } from "./sync.ts";
import { answerTicket, askTicket, TICKET } from "./tickets.ts";
import type { CatalogEvent, PeerInfo, WatchedCatalog } from "./view.ts";

/** Between two looks at what is to be done, in milliseconds. */
const TICK_MS = 500;
/** After a change, before listeners and sessions hear of it: changes come in groups. */
const GROUP_MS = 20;
/** Until this node's word of an earlier life is outlived once more, in milliseconds. */
const OUTLIVE_MS = 10_000;
/** Listeners for events. */
const MAX_LISTENERS = 64;
/**
 * Bytes of news that each follower is told, of nodes of our own instance and of all others: what a
 * stranger says once is sent as often as there are followers. What is beyond, comparisons bring.
 */
export const NEWS: Rate = { perSecond: 4_096, burst: 131_072 };

/** What discovery needs of its node. */
export interface DiscoveryOptions {
  readonly environment: Environment;
  readonly signer: Signer;
  readonly universe: Uint8Array;
  readonly instance: Uint8Array;
  readonly role: Role;
  readonly bootstrap: readonly string[];
  /** Addresses to listen at; who has none publishes nothing, as clients do. */
  readonly listen: readonly string[];
  readonly transport: Transport;
  /** This node, as it is now. */
  self(): Peer;
  /** Opens a stream of the universe; `ours` says whether the peer is of our own instance. */
  connect(
    target: Target,
    kind: StreamKind,
    events: (stream: Stream, ours: boolean) => StreamEvents,
  ): Promise<Stream>;
  /** Whether a node is linked here, or of our instance and was met: it keeps its place. */
  kept(id: string): boolean;
  /** A peer of our own instance is to be met. */
  meet(peer: Peer): void;
  /** What a peer of our own instance says of itself, and that it is gone. */
  found(peer: PeerInfo, updated: number): void;
  lost(id: string): void;
}

/** A node of which something is to be told: who told it, and whether it is of our own instance. */
interface News {
  readonly from: string;
  readonly ours: boolean;
}

/** See the module. */
export class Discovery implements WatchedCatalog {
  /** What this node says of itself. */
  readonly entry: Own;
  readonly #options: DiscoveryOptions;
  readonly #instance: string;
  /** It publishes nothing, and asks to be told. */
  readonly #leaf: boolean;
  readonly #catalog: Catalog;
  readonly #scores: Scores;
  readonly #sync: Sync;
  readonly #bootstrap: Bootstrap;
  readonly #listeners = new Set<() => void>();
  readonly #queues = new Set<EventQueue>();
  #announcer: Announcer | undefined;
  #digest: Digest | undefined;
  readonly #digester = new Digester();
  /** What is to be told. */
  #news = new Map<string, News>();
  readonly #told = new Buckets(NEWS, 2);
  #grouping = false;
  #publishes = false;
  #outlived = -Infinity;
  #cancel: () => void = () => {};
  #state: "new" | "running" | "stopped" = "new";

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    const { environment, signer, universe, instance, role, transport } = options;
    const { clock } = environment;
    this.#instance = hex(instance);
    this.entry = new Own({
      signer,
      clock,
      universe,
      instances: [instance],
      tags: [role],
      changed: () => this.#ownChanged(),
    });
    this.#catalog = new Catalog({
      clock,
      universe,
      self: hex(signer.key),
      instance,
      kept: (id) => options.kept(id) || this.#sync.linked(id),
      changed: (kind, peer, entry) => this.#changed(kind, peer, entry),
      own: (version) => this.#outlive(version),
    });
    this.#scores = new Scores(environment, (id) => transport.drop(id));
    this.#leaf = role === "client" || options.listen.length === 0;
    this.#sync = new Sync({
      environment,
      connect: options.connect,
      candidates: () => this.#candidates(),
      ignored: (id) => this.#scores.ignored(id),
      links: this.#leaf ? LEAF_LINKS : LINKS,
      push: this.#leaf || transport.gossip === undefined,
    }, this.#holdings());
    this.#bootstrap = new Bootstrap({
      environment,
      self: options.self,
      sync: this.#sync,
      meet: options.meet,
      leaf: this.#leaf,
    }, options.bootstrap);
  }

  /** The streams that this node answers, and how. */
  get served(): [StreamKind, (stream: Stream) => StreamEvents | undefined][] {
    const { environment } = this.#options;
    return [
      [CATALOG, (stream) => this.#sync.accept(stream)],
      [TICKET, (stream) => answerTicket(stream, environment, (hash) => this.entry.body(hash))],
    ];
  }

  /** The node runs, and can be dialed at these addresses. */
  start(addresses: readonly string[]): void {
    const { transport, environment, universe } = this.#options;
    this.#state = "running";
    this.#publishes = !this.#leaf && addresses.length > 0;
    this.entry.start(addresses);
    this.#announcer = new Announcer({
      environment,
      universe,
      entry: () => this.#renewed(),
      take: (item, from) => this.#take(item, from),
      ignored: (id) => this.#scores.ignored(id),
      fault: (id, reason) => this.#scores.fault(id, reason),
      neighbour: (id) => this.#sync.try(id, { key: unhex(id, 32), addresses: [] }),
      tell: (item) => this.#sync.tell([item]),
    }, this.#publishes ? transport : undefined);
    if (this.#publishes) this.#announcer.soon();
    this.#tick();
  }

  /** Says that this node leaves, to all who listen now. Idempotent. */
  stop(): void {
    if (this.#state === "stopped") return;
    const running = this.#state === "running";
    this.#state = "stopped";
    this.#cancel();
    if (running && this.#publishes) {
      const departure = this.entry.depart();
      this.#announcer?.pass(departure);
      this.#sync.tell([departure], true);
    }
    this.#announcer?.stop();
    for (const queue of [...this.#queues]) queue.end();
    this.#listeners.clear();
  }

  /** One more round-trip time of a peer, in milliseconds. */
  sample(id: string, ms: number): void {
    if (this.#catalog.sample(id, ms)) this.#group();
  }

  /** What became of the bootstrap addresses. */
  get bootstrap(): Census["bootstrap"] {
    return this.#bootstrap.counts;
  }

  /** Whether this node tells others of itself, and can be dialed. */
  get publishes(): boolean {
    return this.#publishes;
  }

  /** Compares with whoever answers at an address that was found somewhere. */
  visit(address: string): Promise<void> {
    return this.#bootstrap.visit(address);
  }

  peers(): readonly PeerInfo[] {
    return this.#catalog.peers();
  }

  get(id: string): PeerInfo | undefined {
    return this.#catalog.get(id);
  }

  onChange(listener: () => void): () => void {
    const own = () => listener();
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  events(): AsyncIterableIterator<CatalogEvent> {
    if (this.#queues.size >= MAX_LISTENERS) {
      throw new RangeError(`at most ${MAX_LISTENERS} may listen to a catalog's events`);
    }
    const queue: EventQueue = new EventQueue(() => this.#queues.delete(queue));
    if (this.#state === "stopped") queue.end();
    else this.#queues.add(queue);
    return queue;
  }

  async syncWith(
    peer: { readonly key: Uint8Array; readonly addresses: readonly string[] },
  ): Promise<void> {
    await this.#sync.with(hex(peer.key), { key: peer.key, addresses: peer.addresses });
  }

  async ticket(id: string, hash: string): Promise<Uint8Array | undefined> {
    const peer = this.get(id);
    if (!peer?.tickets.some((ticket) => ticket.hash === hash)) return undefined;
    const { connect, environment } = this.#options;
    const target = { key: peer.key, addresses: peer.addresses };
    return await askTicket(connect, environment, target, unhex(hash, 32));
  }

  #holdings(): Holdings {
    const published = (id: string) =>
      this.#publishes && this.#state === "running" && id === this.entry.entry.id;
    return {
      clock: this.#options.environment.clock,
      digest: () => this.#digest ??= this.#digester.of(this.#items()),
      item: (id) => published(id) ? this.entry.entry : this.#catalog.item(id),
      wants: (id, version, departure) =>
        published(id)
          ? compareVersions(version, this.entry.entry) > 0
          : this.#catalog.wants(id, version, departure),
      take: (item, from) => {
        const outcome = this.#take(item, from);
        if (outcome === "departed") this.#announcer?.pass(item);
        if (outcome === "forged" || outcome === "other-universe") {
          throw new FrameError("range", `an item that is ${outcome}`);
        }
      },
      fault: (id, reason) => this.#scores.fault(id, reason),
      sample: (id, ms) => this.sample(id, ms),
      tells: !this.#leaf,
    };
  }

  #items(): Item[] {
    const items = this.#catalog.items();
    return this.#publishes && this.#state === "running" ? [...items, this.entry.entry] : items;
  }

  #take(item: Item, from: string): Outcome {
    const before = this.#catalog.get(item.id);
    const outcome = isDeparture(item)
      ? this.#catalog.depart(item, from)
      : this.#catalog.upsert(item as Entry, from);
    if (outcome === "forged" || outcome === "other-universe") {
      this.#scores.fault(from, `an item that is ${outcome}`);
    }
    if (outcome === "new" || outcome === "updated" || outcome === "departed") {
      this.#digest = undefined;
      const peer = this.#catalog.get(item.id) ?? before;
      this.#news.set(item.id, { from, ours: peer?.instances.has(this.#instance) ?? false });
      this.#group();
    }
    return outcome;
  }

  /** Own entry with its lease renewed; undefined where none is published. */
  #renewed(): Item | undefined {
    if (!this.#publishes) return undefined;
    this.entry.renew();
    this.#digest = undefined;
    return this.entry.entry;
  }

  #ownChanged(): void {
    this.#digest = undefined;
    if (this.#publishes) this.#announcer?.soon();
  }

  /** Others hold what this node said in an earlier life; or its identity runs twice. */
  #outlive(version: Version): void {
    if (!this.#publishes || this.#state !== "running") return;
    if (compareVersions(version, this.entry.entry) <= 0) return;
    const now = this.#options.environment.clock.now();
    if (now - this.#outlived < OUTLIVE_MS) return;
    this.#outlived = now;
    this.#options.environment.observe("warn", "own entry outlived", {
      started: version.started,
      reason: "this clock went back, or this identity runs twice",
    });
    this.entry.outlive(version);
  }

  #changed(kind: CatalogEvent["kind"], peer: PeerInfo, entry: Entry): void {
    this.#digest = undefined;
    if (peer.instances.has(this.#instance)) {
      if (kind === "departed") this.#options.lost(peer.id);
      else this.#options.found(peer, entry.updated);
    }
    for (const queue of [...this.#queues]) queue.push({ kind, peer });
    this.#group();
  }

  /** Tells sessions and listeners, once for a group of changes. */
  #group(): void {
    if (this.#grouping || this.#state !== "running") return;
    this.#grouping = true;
    const { clock, observe } = this.#options.environment;
    clock.after(GROUP_MS, () => {
      this.#grouping = false;
      if (this.#state !== "running") return;
      this.#tell();
      for (const listener of [...this.#listeners]) {
        try {
          listener();
        } catch (error) {
          observe("error", "catalog listener failed", { reason: reasonOf(error) });
        }
      }
    });
  }

  /** Tells followers what is new, as much as they are told of it. */
  #tell(): void {
    const news = this.#news, now = this.#options.environment.clock.now();
    this.#news = new Map();
    if (this.#leaf) return;
    for (const [id, { from, ours }] of news) {
      const item = this.#catalog.item(id);
      if (item === undefined) continue;
      if (!this.#told.take(ours ? "ours" : "others", item.bytes.length, now)) continue;
      this.#sync.tell([item], false, from);
    }
  }

  /** Clients choose among their own instance where they can. */
  #candidates(): readonly PeerInfo[] {
    const all = this.#catalog.peers().filter((peer) => peer.addresses.length > 0);
    if (!this.#leaf) return all;
    const ours = all.filter((peer) => peer.instances.has(this.#instance));
    return ours.length > 0 ? ours : all;
  }

  #tick(): void {
    if (this.#state !== "running") return;
    this.#catalog.expire();
    this.#bootstrap.tick();
    this.#sync.tick();
    this.#cancel = this.#options.environment.clock.after(TICK_MS, () => this.#tick());
  }
}
