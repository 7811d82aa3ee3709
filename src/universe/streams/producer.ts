/**
 * The producing side of a typed stream: every admitted consumer gets every datum sent while it is
 * connected, in order; nothing is kept for those who come later. A datum is encoded once. What a
 * consumer has not taken waits in a buffer of its own; when that is full, the stream's policy holds:
 * `cut` ends the slow consumer (it may come again), `drop` leaves this datum out for it.
 */
import type { PeerInfo } from "../discovery/view.ts";
import type { Stream, StreamEvents, StreamKind } from "../network.ts";
import { reasonOf } from "../stream.ts";
import { Pulse } from "./channel.ts";
import { Audience, PeersCondition, type When, when } from "./condition.ts";
import { StreamError } from "./errors.ts";
import { closeFrame, datumFrame, type Window } from "./frames.ts";
import { Gate } from "./gate.ts";
import { inRange, kindOf, maxDatumOf, type StreamNode, type StreamOptions } from "./options.ts";
import { type ConsumerStatus, Subscriber } from "./subscriber.ts";

/** Consumers of a stream that names no number. */
export const DEFAULT_CONSUMERS = 1_024;
/** Data that wait for one consumer, unless said. */
export const DEFAULT_BUFFER_ITEMS = 1_024;
/** Bytes that wait for one consumer, unless said; never less than one datum. */
export const DEFAULT_BUFFER_BYTES = 4_194_304;
/** The most that an option may set of each. */
const MOST = 2 ** 30;
/** Consumers that are not admitted yet; the next one is refused, and comes again. */
export const MAX_PENDING = 256;
/** Calls of `send` that wait. */
export const MAX_WAITING_SENDS = 1_024;

/** How a stream is produced. */
export interface ProducerOptions<T> extends StreamOptions<T> {
  /** What becomes of a consumer whose buffer is full. Default `cut`. */
  readonly policy?: "drop" | "cut";
  /** Bounds of one consumer's buffer. */
  readonly bufferItems?: number;
  readonly bufferBytes?: number;
  readonly maxConsumers?: number;
  /** When the stream is online. Default: one consumer at least. */
  readonly onlineWhen?: (consumers: PeersCondition) => PeersCondition;
  /** Hears of each datum that a consumer missed while another one got it, or was cut for. */
  readonly undelivered?: (datum: T, consumer: PeerInfo) => void;
}

/** What became of a datum: taken for a consumer at least, or why not. */
export type Sent = "sent" | "offline" | "full" | "closed" | "encoding";

interface Waiting<T> {
  readonly datum: T;
  readonly frame: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: StreamError) => void;
}

/** See the module; made by `Streams.produce`. */
export class Producer<T> {
  readonly name: string;
  readonly #node: StreamNode;
  readonly #options: ProducerOptions<T>;
  readonly #kind: StreamKind;
  readonly #maxDatum: number;
  readonly #maxConsumers: number;
  readonly #buffer: Window;
  readonly #gate: Gate;
  readonly #subscribers = new Set<Subscriber>();
  readonly #waiting: Waiting<T>[] = [];
  #waitingBytes = 0;
  readonly #audience: Audience;
  readonly #online: PeersCondition;
  readonly #pulse: Pulse;
  readonly #leaveCatalog: () => void;
  #draining = false;
  #closed = false;

  /** Throws a `RangeError` for an option out of range. `ended` is called once, by `close`. */
  constructor(
    node: StreamNode,
    options: ProducerOptions<T>,
    readonly ended: () => void = () => {},
  ) {
    const { network, catalog, entry, environment } = node;
    const { name, require = [], tickets = [], maxConsumers = DEFAULT_CONSUMERS } = options;
    this.name = name;
    this.#node = node;
    this.#options = options;
    this.#maxDatum = maxDatumOf(options);
    this.#kind = kindOf(name, this.#maxDatum);
    this.#maxConsumers = inRange("maxConsumers", maxConsumers, 1, MOST);
    const bytes = options.bufferBytes ?? Math.max(DEFAULT_BUFFER_BYTES, this.#maxDatum);
    this.#buffer = {
      items: inRange("bufferItems", options.bufferItems ?? DEFAULT_BUFFER_ITEMS, 0, MOST),
      bytes: inRange("bufferBytes", bytes, 0, MOST),
    };
    this.#gate = new Gate(require, tickets, catalog, environment);
    this.#audience = new Audience(() => this.#admitted().map((it) => it.peer));
    const any = new PeersCondition(this.#audience);
    this.#online = options.onlineWhen?.(any) ?? any;
    this.#pulse = new Pulse(
      environment.clock,
      () => [...this.#subscribers].map((it) => it.channel),
    );
    entry.addStream(name);
    this.#leaveCatalog = catalog.onChange(() => {
      if (!this.#gate.open) { for (const it of [...this.#subscribers]) it.review(); }
      this.#changed();
    });
    network.serve(this.#kind, (stream) => this.#accept(stream));
  }

  /** Whether data are taken now. */
  get online(): boolean {
    return !this.#closed && this.#online.met;
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#closed;
  }

  /** The admitted consumers, in the order in which they came. */
  get consumers(): ConsumerStatus[] {
    return this.#admitted().map((it) => it.status);
  }

  /** Conditions to wait for. */
  when(): When {
    return when(this.#audience, () => this.online);
  }

  /**
   * Sends a datum to all consumers if the stream is online. `full`: nobody had room, nothing was
   * sent; under `cut` those without room are gone now.
   */
  trySend(datum: T): Sent {
    if (this.#closed) return "closed";
    if (!this.online) return "offline";
    let frame: Uint8Array;
    try {
      frame = this.#encode(datum);
    } catch {
      return "encoding";
    }
    return this.#waiting.length === 0 && this.#offer(datum, frame) ? "sent" : "full";
  }

  /**
   * Sends a datum once the stream is online and a consumer has room for it; calls are served in
   * their order. Rejects with a `StreamError`: `encoding`, `closed`, or `full` when too much waits.
   */
  send(datum: T): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw new StreamError("closed", `${this.name}: the producer is closed`);
      const frame = this.#encode(datum);
      const bytes = this.#waitingBytes + frame.length;
      if (
        this.#waiting.length >= MAX_WAITING_SENDS ||
        (this.#waiting.length > 0 && bytes > DEFAULT_BUFFER_BYTES)
      ) {
        throw new StreamError("full", `${this.name}: ${this.#waiting.length} data wait to be sent`);
      }
      this.#waitingBytes = bytes;
      this.#waiting.push({ datum, frame, resolve, reject });
      this.#drain();
    });
  }

  /** Ends the stream: consumers are told, the entry names it no more. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const { network, entry } = this.#node;
    entry.removeStream(this.name);
    network.serve(this.#kind, notFound);
    this.#leaveCatalog();
    for (const subscriber of [...this.#subscribers]) subscriber.close("Shutdown");
    for (const { reject } of this.#waiting.splice(0)) {
      reject(new StreamError("closed", `${this.name}: the producer is closed`));
    }
    this.#pulse.stop();
    this.#audience.changed();
    this.#audience.close();
    this.ended();
  }

  #admitted(): Subscriber[] {
    return [...this.#subscribers].filter((it) => it.admitted);
  }

  #accept(stream: Stream): StreamEvents | undefined {
    const admitted = this.#admitted().length;
    if (this.#subscribers.size - admitted >= MAX_PENDING) return undefined;
    const subscriber: Subscriber = new Subscriber(stream, {
      name: this.name,
      environment: this.#node.environment,
      catalog: this.#node.catalog,
      gate: this.#gate,
      maxDatum: this.#maxDatum,
      buffer: this.#buffer,
      full: () => this.#admitted().length >= this.#maxConsumers,
      changed: () => this.#changed(),
      ended: (it) => {
        this.#subscribers.delete(it);
        this.#changed();
      },
    });
    this.#subscribers.add(subscriber);
    this.#pulse.start();
    return subscriber.channel.events;
  }

  #changed(): void {
    this.#audience.changed();
    this.#drain();
  }

  #drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    while (this.#waiting.length > 0 && this.online) {
      const { datum, frame, resolve } = this.#waiting[0];
      if (!this.#offer(datum, frame)) {
        if (this.#options.policy === "drop") break;
        continue;
      }
      this.#waiting.shift();
      this.#waitingBytes -= frame.length;
      resolve();
    }
    this.#draining = false;
  }

  #encode(datum: T): Uint8Array {
    let bytes: Uint8Array;
    try {
      bytes = this.#options.codec.encode(datum);
    } catch (error) {
      throw new StreamError("encoding", `${this.name}: ${reasonOf(error)}`);
    }
    if (bytes.length > this.#maxDatum) {
      const most = `at most ${this.#maxDatum}`;
      throw new StreamError("encoding", `${this.name}: a datum of ${bytes.length} bytes, ${most}`);
    }
    return datumFrame(bytes);
  }

  /** Hands a frame to all consumers; whether one took it, or there is none to take it. */
  #offer(datum: T, frame: Uint8Array): boolean {
    const consumers = this.#admitted();
    const full = consumers.filter((it) => !it.takes(frame));
    const taken = full.length < consumers.length || consumers.length === 0;
    const cut = this.#options.policy !== "drop";
    for (const it of consumers) if (!full.includes(it)) it.push(frame);
    if (!taken && !cut) return false;
    for (const it of full) {
      it.dropped++;
      this.#missed(datum, it.peer);
      if (cut) it.close("TooSlow");
    }
    return taken;
  }

  #missed(datum: T, consumer: PeerInfo): void {
    try {
      this.#options.undelivered?.(datum, consumer);
    } catch (error) {
      const reason = reasonOf(error);
      const { observe } = this.#node.environment;
      observe("error", "undelivered listener failed", { stream: this.name, reason });
    }
  }
}

/** Answers those who come after the end. */
function notFound(stream: Stream): StreamEvents {
  queueMicrotask(() => {
    stream.send(closeFrame("NotFound"));
    stream.close("NotFound");
  });
  return { frame() {}, closed() {} };
}
