/**
 * What runs over libp2p beside our own streams, as far as a node asked for it: gossip, and ways to
 * find a first peer. Their connections are of no use to the streams, so this says which of those
 * that carry no stream of ours live on.
 */
import type { Connection } from "@libp2p/interface";
import type { Libp2p } from "libp2p";
import type { Guard } from "./guard.ts";
import { GossipTopics } from "./libp2p_gossip.ts";
import { guarded } from "./libp2p_guard.ts";
import type { NetworkOptions } from "./node.ts";
import type { Gossip, GossipEvents } from "./transport.ts";

/** Connections that live on for gossip alone. */
export const MAX_GOSSIP_ONLY = 16;

/** What of a node's options is looked at. */
export type ServiceOptions =
  & Pick<NetworkOptions, "environment" | "secret">
  & Partial<NetworkOptions>;

/** See the module. */
export class Services {
  readonly #topics: GossipTopics | undefined;
  /** Connections that gossip alone keeps. */
  readonly #kept = new Set<Connection>();

  constructor({ environment, listen = [], role }: ServiceOptions, readonly guard: Guard) {
    if (role !== "client" && listen.length > 0) this.#topics = new GossipTopics(environment.clock);
  }

  /** Joins a topic; a node that listens at nothing is alone there. */
  gossip(topic: string, events: GossipEvents): Gossip {
    return this.#topics?.join(topic, events) ??
      { neighbours: 0, publish: () => {}, leave: () => {} };
  }

  /** The services, by libp2p's names for them. */
  async init() {
    return this.#topics ? { gossip: guarded(this.guard, await this.#topics.service()) } : {};
  }

  /** The node runs. */
  start(node: Libp2p): void {
    node.addEventListener("connection:close", ({ detail }) => this.#kept.delete(detail));
    this.#topics?.start();
  }

  /** Whether a connection that carries no stream of ours must live on. */
  keeps(connection: Connection): boolean {
    this.#kept.delete(connection);
    if (this.#kept.size >= MAX_GOSSIP_ONLY) return false;
    if (!this.#topics?.knows(connection.remotePeer)) return false;
    this.#kept.add(connection);
    return true;
  }

  stop(): void {
    this.#kept.clear();
  }
}
