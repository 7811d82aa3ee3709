/**
 * The typed streams of one node. A node produces a stream once, and may consume it as often as it
 * likes: each consumer is connected by itself and gets its own copy of the data.
 */
import type { OwnEntry } from "../discovery/view.ts";
import { Consumer, type ConsumerOptions } from "./consumer.ts";
import { StreamError } from "./errors.ts";
import type { StreamNode } from "./options.ts";
import { WatchedEntry } from "./own.ts";
import { Producer, type ProducerOptions } from "./producer.ts";

/** See the module. */
export class Streams {
  /** The node's entry. Change tags and tickets through it: refused consumers try again then. */
  readonly entry: OwnEntry;
  readonly #own: WatchedEntry;
  readonly #producers = new Map<string, { close(): void }>();
  readonly #consumers = new Set<{ close(): void }>();

  constructor(readonly node: StreamNode) {
    this.entry = this.#own = new WatchedEntry(node.entry);
  }

  /**
   * Produces a stream from now on, until the producer is closed. Throws a `StreamError` `exists` if
   * this node does already, a `RangeError` for an option out of range.
   */
  produce<T>(options: ProducerOptions<T>): Producer<T> {
    const { name } = options;
    if (this.#producers.has(name)) {
      throw new StreamError("exists", `${name} is produced here already: use its producer`);
    }
    const producer = new Producer(this.node, options, () => this.#producers.delete(name));
    this.#producers.set(name, producer);
    return producer;
  }

  /** Consumes a stream from now on, until the consumer is closed. Throws a `RangeError` as above. */
  consume<T>(options: ConsumerOptions<T>): Consumer<T> {
    const consumer: Consumer<T> = new Consumer(
      this.node,
      this.#own,
      options,
      () => this.#consumers.delete(consumer),
    );
    this.#consumers.add(consumer);
    return consumer;
  }

  /** Ends all of them; the network is the caller's to stop. Idempotent. */
  close(): void {
    for (const producer of [...this.#producers.values()]) producer.close();
    for (const consumer of [...this.#consumers]) consumer.close();
  }
}
