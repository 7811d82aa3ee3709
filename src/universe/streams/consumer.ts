/**
 * The consuming side of a typed stream: it dials the producers that the catalog shows and that it
 * wants, and hears them until they or it do not want any more. Data are read by `next` or an
 * iterator, or by a callback: in the order of each producer, producers by turns. What is not read
 * holds up its producer, by credit: no more than a window of each is ever here.
 */
import type { CatalogView, PeerInfo } from "../discovery/view.ts";
import { reasonOf } from "../stream.ts";
import { type Channel, Pulse } from "./channel.ts";
import { Audience, PeersCondition, type When, when } from "./condition.ts";
import { StreamError } from "./errors.ts";
import type { Window } from "./frames.ts";
import { Gate } from "./gate.ts";
import { Inbox, type Lane, type Received } from "./inbox.ts";
import { inRange, kindOf, leastWindow, maxDatumOf, windowOf } from "./options.ts";
import type { StreamNode, StreamOptions } from "./options.ts";
import type { WatchedEntry } from "./own.ts";
import { type ProducerStatus, Source, type SourceHost } from "./source.ts";

/** Producers of a stream that names no number. */
export const DEFAULT_PRODUCERS = 256;
/** The most that may be asked for. */
const MOST_PRODUCERS = 65_536;
/** Calls of `next` that wait. */
export const MAX_READERS = 1_024;

/** How a stream is consumed. */
export interface ConsumerOptions<T> extends StreamOptions<T> {
  /** Data of one producer that may wait to be read, and their bytes; at most, and by default, `windowOf`. */
  readonly queueItems?: number;
  readonly queueBytes?: number;
  /**
   * Producers that are followed at one time, in the order of their ids. Those with whom it is over
   * give way to one that was not judged yet.
   */
  readonly maxProducers?: number;
  /** When the stream is online. Default: always. */
  readonly onlineWhen?: (producers: PeersCondition) => PeersCondition;
  /** Reads the data in place of `next`; the next datum comes when it has ended. */
  readonly onDatum?: (datum: T, from: PeerInfo) => void | Promise<void>;
}

/** See the module; made by `Streams.consume`. */
export class Consumer<T> implements AsyncIterable<Received<T>> {
  readonly name: string;
  readonly #node: StreamNode;
  readonly #options: ConsumerOptions<T>;
  readonly #most: number;
  readonly #host: SourceHost<T>;
  readonly #sources = new Map<string, Source<T>>();
  /** Entries of those who gave way, as they were then: what was judged is not followed anew. */
  readonly #past = new WeakSet<PeerInfo>();
  /** By producer; one that left with unread data keeps its lane. */
  readonly #lanes = new Map<string, Lane<T>>();
  readonly #inbox = new Inbox<T>();
  readonly #audience: Audience;
  readonly #online: PeersCondition;
  readonly #pulse: Pulse;
  readonly #ends: (() => void)[] = [];
  #closed = false;

  /** Throws a `RangeError` for an option out of range. `ended` is called once, by `close`. */
  constructor(
    node: StreamNode,
    own: WatchedEntry,
    options: ConsumerOptions<T>,
    readonly ended: () => void = () => {},
  ) {
    const { network, catalog, environment } = node;
    const { name, codec, require = [], tickets = [], maxProducers = DEFAULT_PRODUCERS } = options;
    const maxDatum = maxDatumOf(options);
    this.name = name;
    this.#node = node;
    this.#options = options;
    this.#most = inRange("maxProducers", maxProducers, 1, MOST_PRODUCERS);
    this.#audience = new Audience(() => this.#connected().map((it) => it.peer));
    const none = new PeersCondition(this.#audience).minimumOf(0);
    this.#online = options.onlineWhen?.(new PeersCondition(this.#audience)) ?? none;
    this.#pulse = new Pulse(environment.clock, () => this.#channels());
    this.#host = {
      name,
      kind: kindOf(name, maxDatum),
      maxDatum,
      window: windowFor(options, maxDatum),
      network,
      catalog,
      environment,
      gate: new Gate(require, tickets, catalog, environment),
      own: () => own.version,
      decode: (bytes) => codec.decode(bytes),
      opened: () => this.#pulse.start(),
      changed: () => this.#audience.changed(),
    };
    this.#ends.push(
      catalog.onChange(() => this.#look()),
      own.onChange(() => {
        for (const source of this.#sources.values()) source.ownChanged();
      }),
    );
    this.#look();
    if (options.onDatum) void this.#pump(options.onDatum);
  }

  /** Whether the stream's own condition holds. */
  get online(): boolean {
    return !this.#closed && this.#online.met;
  }

  /** The producers that are followed, in the order in which they were found. */
  get producers(): ProducerStatus[] {
    return [...this.#sources.values()].map((it) => it.status);
  }

  /** Conditions to wait for. */
  when(): When {
    return when(this.#audience, () => this.online);
  }

  /**
   * The next datum, or undefined once the consumer is closed. Rejects with a `StreamError` when too
   * many calls wait, or a callback reads already.
   */
  next(): Promise<Received<T> | undefined> {
    if (this.#options.onDatum) {
      return Promise.reject(
        new StreamError("exists", `${this.name}: a callback reads this stream`),
      );
    }
    if (this.#inbox.waiting >= MAX_READERS) {
      return Promise.reject(new StreamError("full", `${this.name}: ${MAX_READERS} readers wait`));
    }
    return this.#inbox.next();
  }

  /** Data until the consumer is closed; to leave the loop does not close it. */
  async *[Symbol.asyncIterator](): AsyncIterator<Received<T>> {
    for (;;) {
      const received = await this.next();
      if (received === undefined) return;
      yield received;
    }
  }

  /** Leaves all producers and forgets what was not read. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const end of this.#ends) end();
    for (const source of this.#sources.values()) source.end();
    this.#sources.clear();
    this.#lanes.clear();
    this.#inbox.close();
    this.#pulse.stop();
    this.#audience.changed();
    this.#audience.close();
    this.ended();
  }

  #connected(): Source<T>[] {
    return [...this.#sources.values()].filter((it) => it.connected);
  }

  *#channels(): Iterable<Channel> {
    for (const { channel } of this.#sources.values()) if (channel) yield channel;
  }

  /** Follows the catalog. */
  #look(): void {
    const { catalog } = this.#node;
    for (const [id, source] of [...this.#sources]) {
      if (candidate(catalog, id, this.name, this.#node.instance) === undefined) {
        this.#sources.delete(id);
        source.end();
        if (source.lane.empty) this.#lanes.delete(id);
      }
    }
    const newcomers: PeerInfo[] = [];
    for (const { id } of catalog.peers()) {
      const peer = candidate(catalog, id, this.name, this.#node.instance);
      if (peer === undefined) continue;
      const known = this.#sources.get(id);
      if (known) known.update(peer);
      else if (!this.#past.has(peer)) newcomers.push(peer);
    }
    const over = [...this.#sources.values()].filter((source) => source.over && source.lane.empty);
    for (const peer of newcomers) {
      if (this.#lanes.has(peer.id) || this.#lanes.size < this.#most) this.#follow(peer);
      else if (over.length > 0) {
        this.#leave(over.shift()!);
        this.#follow(peer);
      }
    }
    this.#audience.changed();
  }

  /** Follows a producer no more, until its entry is another. */
  #leave(source: Source<T>): void {
    const { id } = source.peer;
    this.#past.add(source.peer);
    this.#sources.delete(id);
    this.#lanes.delete(id);
    source.end();
  }

  #follow(peer: PeerInfo): void {
    const { id } = peer;
    const lane = this.#lanes.get(id) ?? this.#inbox.lane(() => {
      const source = this.#sources.get(id);
      if (source) source.drained();
      else this.#lanes.delete(id);
    });
    this.#lanes.set(id, lane);
    const source = new Source(this.#host, peer, lane);
    this.#sources.set(id, source);
    source.begin();
  }

  async #pump(read: (datum: T, from: PeerInfo) => void | Promise<void>): Promise<void> {
    for (;;) {
      const received = await this.#inbox.next();
      if (received === undefined) return;
      try {
        await read(received.datum, received.from);
      } catch (error) {
        const reason = reasonOf(error);
        const { observe } = this.#node.environment;
        observe("error", "datum listener failed", { stream: this.name, reason });
      }
    }
  }
}

/** The entry of a peer that produces the stream, in this instance if one is named. */
function candidate(
  catalog: CatalogView,
  id: string,
  name: string,
  instance: string | undefined,
): PeerInfo | undefined {
  const peer = catalog.get(id);
  if (peer === undefined || !peer.streams.has(name)) return undefined;
  return instance === undefined || peer.instances.has(instance) ? peer : undefined;
}

function windowFor<T>(options: ConsumerOptions<T>, maxDatum: number): Window {
  const least = leastWindow(maxDatum), most = windowOf(maxDatum);
  const { queueItems = most.items, queueBytes = most.bytes } = options;
  return {
    items: inRange("queueItems", queueItems, least.items, most.items),
    bytes: inRange("queueBytes", queueBytes, least.bytes, most.bytes),
  };
}
