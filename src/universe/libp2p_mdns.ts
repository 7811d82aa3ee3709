/**
 * Rendezvous on one local network by multicast DNS: who listens there, at a private address and in
 * this universe, answers who asks. On only where it was asked for. Anybody on the network may
 * answer; what is heard is a hint.
 *
 * Needs the names of the network's interfaces: `--allow-sys=networkInterfaces`.
 */
import { networkInterfaces } from "node:os";
import type { PeerInfo } from "@libp2p/interface";
import type { MulticastDNSComponents } from "@libp2p/mdns";
import { hex } from "../protocol/bytes.ts";
import type { Environment } from "./environment.ts";
import { reasonOf } from "./stream.ts";
import type { Rendezvous } from "./transport.ts";

/** Addresses that are remembered, and of one peer. */
export const MAX_HEARD = 64, MAX_EACH = 8;
/** For how long an address is remembered, and between two questions, in milliseconds. */
const KEPT_MS = 60_000, ASK_MS = 10_000;

/** Under what the nodes of a universe answer. */
export function serviceTagOf(universe: Uint8Array): string {
  return `_zipnet-${hex(universe.subarray(0, 8))}._udp.local`;
}

/** See the module. */
export class Mdns implements Rendezvous {
  readonly #environment: Environment;
  readonly #universe: Uint8Array;
  /** Addresses, and when each was heard last; oldest first. */
  readonly #heard = new Map<string, number>();

  constructor(environment: Environment, universe: Uint8Array) {
    this.#environment = environment;
    this.#universe = universe;
  }

  /** What makes the service of libp2p; undefined where the system refuses. `answers`: it listens. */
  async service(answers: boolean): Promise<((it: MulticastDNSComponents) => unknown) | undefined> {
    try {
      networkInterfaces();
    } catch (error) {
      const reason = `it needs --allow-sys=networkInterfaces: ${reasonOf(error)}`;
      this.#environment.observe("error", "no multicast DNS", { reason });
      return undefined;
    }
    const { mdns } = await import("@libp2p/mdns");
    const serviceTag = serviceTagOf(this.#universe);
    const make = mdns({ serviceTag, broadcast: answers, interval: ASK_MS });
    return (components) => {
      const service = make(components);
      service.addEventListener("peer", ({ detail }) => this.hear(detail));
      return service;
    };
  }

  /** Whoever listens answers for as long as it runs, whatever the key. */
  provide(): () => void {
    return () => {};
  }

  find(): Promise<string[]> {
    const since = this.#environment.clock.now() - KEPT_MS;
    for (const [address, at] of this.#heard) if (at < since) this.#heard.delete(address);
    return Promise.resolve([...this.#heard.keys()]);
  }

  /** A peer answered; beyond the bound the one heard longest ago is forgotten. */
  hear({ id, multiaddrs }: PeerInfo): void {
    for (const address of multiaddrs.slice(0, MAX_EACH)) {
      const text = `${address}/p2p/${id}`;
      this.#heard.delete(text);
      if (this.#heard.size >= MAX_HEARD) this.#heard.delete(this.#heard.keys().next().value!);
      this.#heard.set(text, this.#environment.clock.now());
    }
  }
}
