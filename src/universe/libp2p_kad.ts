/**
 * Rendezvous through the nodes of the universe themselves: a Kademlia DHT of libp2p under a protocol
 * name of its own, so that it never mixes with another one. Who knows any node of the universe finds
 * with it the nodes of an instance. Nodes that listen keep records and answer; others only ask.
 */
import type { Libp2pEvents, TypedEventTarget } from "@libp2p/interface";
import type { KadDHT, kadDHT } from "@libp2p/kad-dht";
import { CID } from "multiformats/cid";
import * as raw from "multiformats/codecs/raw";
import { create } from "multiformats/hashes/digest";
import { sha256 } from "multiformats/hashes/sha2";
import { hex } from "../protocol/bytes.ts";
import type { Clock, Environment } from "./environment.ts";
import { Hints } from "./hints.ts";
import type { Rendezvous } from "./transport.ts";

/** Addresses that one look finds at most, of those that it hears. */
export const MAX_FOUND = 32;
/** Peers of a bucket of the routing table; with `PREFIX_BITS` it has at most 20 · 2⁶ peers. */
const BUCKET = 20, PREFIX_BITS = 6;
/** Peers that are asked at the same time. */
const PARALLEL = 3;
/** Bytes of requests on one stream that another opened. */
export const MAX_REQUESTS = 65_536;
/** A record is renewed after this, and forgotten after that, in milliseconds. */
const RENEW_MS = 900_000, VALID_MS = 3_600_000;
/** A peer that answers is told what is provided here after this, in milliseconds. */
const SOON_MS = 1_000, AGAIN_MS = 30_000;
/** How long one telling may take, in milliseconds. */
const PROVIDE_MS = 20_000;

/** The protocol name of a universe's DHT. */
export function kadProtocolOf(universe: Uint8Array): string {
  return `/zipnet/${hex(universe.subarray(0, 8))}/kad/1`;
}

/** See the module. */
export class KadRendezvous implements Rendezvous {
  readonly #environment: Environment;
  readonly #clock: Clock;
  readonly #provided = new Map<string, { key: Uint8Array; users: number }>();
  readonly #stop = new AbortController();
  #made: KadDHT | undefined;
  #dht: KadDHT | undefined;
  #cancel: () => void = () => {};
  #due = Infinity;
  #told = -Infinity;

  readonly #universe: Uint8Array;

  constructor(environment: Environment, universe: Uint8Array) {
    this.#environment = environment;
    this.#clock = environment.clock;
    this.#universe = universe;
  }

  /** What makes the service of libp2p; called once. Nodes without it never load its package. */
  async service(answers: boolean): Promise<ReturnType<typeof kadDHT>> {
    const { kadDHT, passthroughMapper } = await import("@libp2p/kad-dht");
    const make = kadDHT({
      protocol: kadProtocolOf(this.#universe),
      clientMode: !answers,
      peerInfoMapper: passthroughMapper,
      allowQueryWithZeroPeers: true,
      kBucketSize: BUCKET,
      prefixLength: PREFIX_BITS,
      alpha: PARALLEL,
      disjointPaths: 2,
      maxInboundStreams: 8,
      maxOutboundStreams: 8,
      routingTableUpdateMaxQueueSize: 1_024,
      reprovide: { validity: VALID_MS, interval: RENEW_MS, threshold: 0 },
    });
    return (components) => this.#made = make(components);
  }

  /** The node runs. */
  start(node: TypedEventTarget<Libp2pEvents>): void {
    this.#dht = this.#made;
    const protocol = kadProtocolOf(this.#universe);
    node.addEventListener("peer:identify", ({ detail }) => {
      if (detail.protocols.includes(protocol)) this.#soon();
    });
  }

  stop(): void {
    this.#dht = undefined;
    this.#cancel();
    this.#stop.abort();
  }

  provide(key: Uint8Array): () => void {
    const name = hex(key);
    const entry = this.#provided.get(name) ?? { key, users: 0 };
    entry.users++;
    this.#provided.set(name, entry);
    this.#soon();
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      if (--entry.users > 0) return;
      this.#provided.delete(name);
      this.#dht?.cancelReprovide(cidOf(key)).catch(() => {});
    };
  }

  async find(key: Uint8Array, signal: AbortSignal): Promise<string[]> {
    const hints = new Hints(), { random } = this.#environment;
    const dht = this.#dht;
    if (dht === undefined) return [];
    try {
      const options = { signal: AbortSignal.any([signal, this.#stop.signal]) };
      for await (const event of dht.findProviders(cidOf(key), options)) {
        if (event.name !== "PROVIDER") continue;
        for (const { id, multiaddrs } of event.providers) {
          for (const address of multiaddrs) {
            const text = address.toString();
            const whole = /\/p2p\/[^/]+$/.test(text) ? text : `${text}/p2p/${id}`;
            hints.hear(whole, `${id}`, `${event.from}`);
          }
        }
        if (hints.full) break;
      }
    } catch {
      // The signal, or the end of the node: what was found counts.
    }
    return hints.choose(MAX_FOUND, random);
  }

  /** Tells the table's peers before long, but not for each of them anew. */
  #soon(): void {
    if (this.#provided.size === 0) return;
    this.#at(Math.max(this.#clock.now() + SOON_MS, this.#told + AGAIN_MS));
  }

  #at(due: number): void {
    if (due >= this.#due || this.#dht === undefined) return;
    this.#cancel();
    this.#due = due;
    this.#cancel = this.#clock.after(due - this.#clock.now(), () => {
      this.#due = Infinity;
      this.#tell();
    });
  }

  async #tell(): Promise<void> {
    const dht = this.#dht;
    if (dht === undefined) return;
    this.#told = this.#clock.now();
    this.#at(this.#told + RENEW_MS);
    for (const { key } of [...this.#provided.values()]) {
      const late = new AbortController();
      const cancel = this.#clock.after(PROVIDE_MS, () => late.abort());
      const signal = AbortSignal.any([late.signal, this.#stop.signal]);
      try {
        for await (const _ of dht.provide(cidOf(key), { signal }));
      } catch {
        // It is tried again with the next peer, or after a while.
      } finally {
        cancel();
      }
    }
  }
}

/** A key as the DHT names content: as if it were the SHA-256 hash of something. */
function cidOf(key: Uint8Array): CID {
  return CID.createV1(raw.code, create(sha256.code, key));
}
