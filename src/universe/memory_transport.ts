/**
 * One node of the simulated universe as a `Transport`: links whose two ends are objects of one
 * process, and frames that are events of virtual time. Frames are handed over, never copied.
 */
import { hex } from "../protocol/bytes.ts";
import { MemoryGossip } from "./memory_gossip.ts";
import { NetworkError } from "./network.ts";
import type { Owner, TimedEvent, Timeline } from "./timeline.ts";
import type { Gossip, GossipEvents, Link, LinkEvents, Target, Transport } from "./transport.ts";

/** The end of a link at which a frame is sent, as a wiretap sees it. */
export interface TappedEnd {
  /** Ids of the nodes at this end and at the other one. */
  readonly from: string;
  readonly id: string;
  readonly protocol: string;
  /** Whether the link was opened from this end. */
  readonly dialer: boolean;
}

/** Hears every frame that is sent. */
export type Tap = (end: TappedEnd, frame: Uint8Array) => void;

/** What a transport needs of its universe. */
export interface Ether {
  readonly timeline: Timeline;
  /** When something sent now arrives. */
  arrival(): number;
  readonly addresses: Map<string, MemoryTransport>;
  /** Whether a partition is between two ids. */
  apart(a: string, b: string): boolean;
  gone(transport: MemoryTransport): void;
  readonly tap?: Tap;
}

const DEAF: LinkEvents = { frame() {}, oversize() {}, closed() {} };

/** Something under way to one end of a link, in the order of that link. */
class Passage implements TimedEvent {
  seq = 0;
  readonly dead = false;
  constructor(
    public time: number,
    readonly to: MemoryLink,
    /** A frame, or why the link ends, or the opening itself. */
    readonly what: Uint8Array | string | undefined,
  ) {}
  get owner(): Owner {
    return this.to.at.owner;
  }
  fire(): void {
    this.to.arrive(this.what);
  }
}

class MemoryLink implements Link, TappedEnd {
  readonly key: Uint8Array;
  readonly id: string;
  limit = 0;
  events: LinkEvents = DEAF;
  waiting = 0;
  other!: MemoryLink;
  #open = true;
  /** Nothing on this link arrives at this end before it. */
  #latest = 0;
  constructor(
    readonly at: MemoryTransport,
    peer: MemoryTransport,
    readonly protocol: string,
    readonly dialer: boolean,
  ) {
    this.key = peer.key;
    this.id = peer.id;
  }

  get from(): string {
    return this.at.id;
  }

  send(frame: Uint8Array): void {
    if (!this.#open || this.at.owner.crashed) return;
    this.waiting += frame.length + 4;
    this.at.ether.tap?.(this, frame);
    this.other.approach(frame);
  }

  close(): Promise<void> {
    this.abort();
    return Promise.resolve();
  }

  abort(): void {
    if (!this.#open) return;
    this.end();
    if (!this.at.owner.crashed) this.other.approach("closed by the peer");
  }

  /** Ends this end without a word, as if its process were gone. */
  end(): void {
    this.#open = false;
    this.events = DEAF;
    this.at.links.delete(this);
  }

  /** Puts something on its way to this end. */
  approach(what: Uint8Array | string | undefined): void {
    const { timeline, arrival } = this.at.ether;
    const time = arrival();
    if (time > this.#latest) this.#latest = time;
    timeline.push(new Passage(this.#latest, this, what));
  }

  /** The connection under the link is gone: this end hears it, and nothing that was under way. */
  lose(reason: string): void {
    if (!this.#open) return;
    const { events } = this;
    this.end();
    const { timeline, arrival } = this.at.ether;
    timeline.push(new Loss(arrival(), this.at.owner, events, reason));
  }

  /** Something arrives at this end. */
  arrive(what: Uint8Array | string | undefined): void {
    if (!this.#open) return;
    if (what === undefined) return this.at.welcome(this);
    if (typeof what === "string") {
      const { events } = this;
      this.end();
      return events.closed(what);
    }
    this.other.waiting -= what.length + 4;
    if (what.length > this.limit) this.events.oversize(what.length);
    else this.events.frame(what);
  }
}

class Loss implements TimedEvent {
  seq = 0;
  readonly dead = false;
  constructor(
    public time: number,
    readonly owner: Owner,
    readonly events: LinkEvents,
    readonly reason: string,
  ) {}
  fire(): void {
    this.events.closed(this.reason);
  }
}

/** See the module. */
export class MemoryTransport implements Transport {
  readonly key: Uint8Array;
  readonly id: string;
  readonly links = new Set<MemoryLink>();
  readonly topics = new Map<string, MemoryGossip>();
  readonly #handlers = new Map<string, (link: Link) => void>();
  readonly #addresses: string[] = [];
  #stopped = false;

  constructor(
    self: { key: Uint8Array; id: string },
    readonly owner: Owner,
    readonly ether: Ether,
  ) {
    this.key = self.key;
    this.id = self.id;
  }

  check(address: string): void {
    if (!/^\/memory\/[\x21-\x2e\x30-\x7e]{1,100}$/.test(address)) {
      throw new NetworkError("address", `expected /memory/NAME, got ${JSON.stringify(address)}`);
    }
  }

  handle(protocol: string, _maxPerPeer: number, inbound: (link: Link) => void): void {
    this.#handlers.set(protocol, inbound);
  }

  gossip(topic: string, events: GossipEvents): Gossip {
    const gossip = new MemoryGossip(this, topic, events);
    this.topics.set(topic, gossip);
    return gossip;
  }

  listen(addresses: readonly string[]): Promise<string[]> {
    const names = addresses.map((it) => it === "/memory/0" ? `/memory/${this.id}` : it);
    for (const name of names) {
      if (this.ether.addresses.has(name)) {
        return Promise.reject(new NetworkError("listen", `${name}: address already in use`));
      }
    }
    for (const name of names) this.ether.addresses.set(name, this);
    this.#addresses.push(...names);
    return Promise.resolve(names);
  }

  open(target: Target, protocol: string): Promise<Link> {
    if (this.owner.crashed) return new Promise(() => {});
    const peer = this.#find(target);
    // A partition swallows the dial; the caller's time-out ends it.
    if (peer === "silence") return new Promise(() => {});
    if (peer === undefined) {
      return new Promise((_, reject) => {
        const error = new NetworkError("unreachable", "nobody answers at the known addresses");
        const closed = () => reject(error);
        const events = { ...DEAF, closed };
        this.ether.timeline.push(new Loss(this.ether.arrival(), this.owner, events, ""));
      });
    }
    const near = new MemoryLink(this, peer, protocol, true);
    const far = new MemoryLink(peer, this, protocol, false);
    near.other = far;
    far.other = near;
    this.#neighbour(peer);
    this.links.add(near);
    peer.links.add(far);
    far.approach(undefined);
    return Promise.resolve(near);
  }

  /** Hands an arriving link to its handler. */
  welcome(link: MemoryLink): void {
    const handler = this.#handlers.get(link.protocol);
    if (handler === undefined) return link.abort();
    handler(link);
  }

  drop(id: string): void {
    this.cut((other) => other === id);
  }

  /** Cuts the links with those the condition names, at both ends. */
  cut(condition: (id: string) => boolean): void {
    for (const link of [...this.links]) {
      if (!condition(link.id)) continue;
      link.other.lose("connection lost");
      link.lose("connection lost");
    }
  }

  /** The process of this node is gone. */
  die(): void {
    for (const link of [...this.links]) {
      link.other.lose("connection lost");
      link.end();
    }
    this.#leave();
  }

  stop(): Promise<void> {
    if (!this.#stopped && !this.owner.crashed) {
      for (const link of [...this.links]) link.close();
      this.#leave();
    }
    return Promise.resolve();
  }

  #leave(): void {
    this.#stopped = true;
    for (const address of this.#addresses) this.ether.addresses.delete(address);
    this.ether.gone(this);
  }

  /** Tells both on each topic that they share, where this is the first link between them. */
  #neighbour(peer: MemoryTransport): void {
    for (const link of this.links) if (link.other.at === peer) return;
    for (const [topic, here] of this.topics) {
      const there = peer.topics.get(topic);
      if (there === undefined) continue;
      here.meets(there);
      there.meets(here);
    }
  }

  #find(target: Target): MemoryTransport | "silence" | undefined {
    const id = target.key && hex(target.key);
    for (const link of this.links) if (link.id === id) return link.other.at;
    let silence = false;
    for (const address of target.addresses) {
      const peer = this.ether.addresses.get(address);
      if (peer === undefined || (id !== undefined && peer.id !== id)) continue;
      if (!this.ether.apart(this.id, peer.id)) return peer;
      silence = true;
    }
    return silence ? "silence" : undefined;
  }
}
