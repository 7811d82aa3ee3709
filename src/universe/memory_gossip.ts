/**
 * Gossip of the simulated universe: a flood. A message goes to all on the topic with whom a link is
 * open, and on from each that accepts it, over virtual time and through the same loss and
 * partitions as frames. What a node has seen it does not hear again.
 */
import { hex } from "../protocol/bytes.ts";
import { blake3 } from "../protocol/hash.ts";
import type { MemoryTransport } from "./memory_transport.ts";
import type { Owner, TimedEvent } from "./timeline.ts";
import type { Gossip, GossipEvents } from "./transport.ts";

/** Messages that a node remembers to have seen. */
export const MAX_SEEN = 4_096;

/** See the module: one node on one topic. */
export class MemoryGossip implements Gossip {
  readonly #seen = new Set<string>();
  #joined = true;

  constructor(
    readonly at: MemoryTransport,
    readonly topic: string,
    readonly events: GossipEvents,
  ) {
    for (const other of this.#others()) {
      this.meets(other);
      other.meets(this);
    }
  }

  get neighbours(): number {
    return this.#others().length;
  }

  publish(message: Uint8Array): void {
    if (!this.#joined) return;
    this.#remember(hex(blake3(message)));
    this.#spread(message);
  }

  leave(): void {
    this.#joined = false;
    this.at.topics.delete(this.topic);
  }

  /** A link with a neighbour is there: it is heard of once that arrives. */
  meets(other: MemoryGossip): void {
    this.#later(() => this.events.neighbour(other.at.id));
  }

  /** A message comes from a neighbour. */
  approach(message: Uint8Array, from: MemoryTransport): void {
    this.#later(() => {
      if (this.at.ether.apart(from.id, this.at.id)) return;
      const name = hex(blake3(message));
      if (this.#seen.has(name)) return;
      this.#remember(name);
      if (this.events.message(message, from.id) === "accept") this.#spread(message, from.id);
    });
  }

  #spread(message: Uint8Array, but?: string): void {
    if (this.at.owner.crashed) return;
    for (const other of this.#others()) {
      if (other.at.id !== but) other.approach(message, this.at);
    }
  }

  /** Those on the topic with whom a link is open, each once, in the order of their links. */
  #others(): MemoryGossip[] {
    const ends = [...this.at.links].map((link) => link.other.at.topics.get(this.topic));
    return [...new Set(ends)].filter((end) => end !== undefined);
  }

  #remember(name: string): void {
    if (this.#seen.size >= MAX_SEEN) this.#seen.delete(this.#seen.values().next().value!);
    this.#seen.add(name);
  }

  #later(task: () => void): void {
    const { timeline, arrival } = this.at.ether;
    timeline.push(new Whisper(arrival(), this.at.owner, () => this.#joined && task()));
  }
}

class Whisper implements TimedEvent {
  seq = 0;
  readonly dead = false;
  constructor(public time: number, readonly owner: Owner, readonly fire: () => void) {}
}
