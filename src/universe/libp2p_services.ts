/**
 * What runs over libp2p beside our own streams, as far as a node asked for it: gossip, and ways to
 * find a first peer. Their connections are of no use to the streams, so this says which of those
 * that carry no stream of ours live on.
 */
import type { GossipSub } from "@libp2p/gossipsub";
import type { Connection } from "@libp2p/interface";
import type { KadDHT } from "@libp2p/kad-dht";
import { type Ping, ping } from "@libp2p/ping";
import type { Libp2p, ServiceFactoryMap } from "libp2p";
import type { Guard } from "./guard.ts";
import { GossipTopics } from "./libp2p_gossip.ts";
import { guarded } from "./libp2p_guard.ts";
import { KadRendezvous, MAX_REQUESTS } from "./libp2p_kad.ts";
import { Mdns } from "./libp2p_mdns.ts";
import { isRelayed, Relays } from "./libp2p_relay.ts";
import { Mainline } from "./mainline.ts";
import type { NetworkOptions } from "./options.ts";
import type { Gossip, GossipEvents, Rendezvous } from "./transport.ts";

/** Connections that live on for gossip alone. */
export const MAX_GOSSIP_ONLY = 16;

/** What of a node's options is looked at. */
export type ServiceOptions =
  & Pick<NetworkOptions, "environment" | "secret">
  & Partial<NetworkOptions>;

/** What may run, by name. */
interface Running extends Record<string, unknown> {
  readonly gossip: GossipSub;
  readonly ping: Ping;
  readonly kad: KadDHT;
}

/** See the module. */
export class Services {
  /** Ways to find a first peer, or one of an instance. */
  readonly rendezvous: readonly Rendezvous[];
  /** Addresses to tell others, where they differ from those listened at. */
  readonly announced: readonly string[];
  readonly #guard: Guard;
  readonly #listens: boolean;
  readonly #topics: GossipTopics | undefined;
  readonly #kad: KadRendezvous | undefined;
  readonly relays: Relays;
  readonly #mdns: Mdns | undefined;
  readonly #mainline: Mainline | undefined;
  /** Connections that gossip alone keeps. */
  readonly #kept = new Set<Connection>();

  constructor(options: ServiceOptions, guard: Guard) {
    const { environment, listen = [], universe, role, kad = role !== "client" } = options;
    this.#guard = guard;
    this.relays = new Relays(listen, options.relay ?? [], guard);
    this.announced = options.announce ?? [];
    this.#listens = role !== "client" && listen.length > 0;
    if (this.#listens) this.#topics = new GossipTopics(environment.clock);
    if (kad && universe) this.#kad = new KadRendezvous(environment, universe);
    if (options.mdns && universe) this.#mdns = new Mdns(environment, universe);
    if (options.mainline) {
      const { routers, host = hostOf(this.relays.direct) } = options.mainline;
      this.#mainline = new Mainline({ environment, routers, host });
    }
    this.rendezvous = [this.#mdns, this.#kad, this.#mainline].filter((one) => one !== undefined);
  }

  /** Joins a topic; a node that listens at nothing is alone there. */
  gossip(topic: string, events: GossipEvents): Gossip {
    return this.#topics?.join(topic, events) ??
      { neighbours: 0, publish: () => {}, leave: () => {} };
  }

  /** The services, by libp2p's names for them; a node has, and loads, those that it asked for. */
  async init(): Promise<ServiceFactoryMap<Running>> {
    const guard = this.#guard, topics = this.#topics, kad = this.#kad;
    const relay = this.relays.server(), mdns = await this.#mdns?.service(this.#listens);
    return {
      listener: this.relays.listener(),
      ...(relay && { relay }),
      ...(mdns && { mdns }),
      ...(topics && { gossip: guarded(guard, await topics.service()) }),
      ...(kad && {
        ping: guarded(guard, ping()),
        kad: guarded(guard, await kad.service(this.#listens), MAX_REQUESTS),
      }),
    } as ServiceFactoryMap<Running>;
  }

  /** The node runs. */
  start(node: Libp2p): void {
    node.addEventListener("connection:close", ({ detail }) => this.#kept.delete(detail));
    this.#topics?.start();
    this.#kad?.start(node);
    this.#mainline?.start(portOf(node.getMultiaddrs().map(String)));
  }

  /** Whether a connection that carries no stream of ours must live on. */
  keeps(connection: Connection): boolean {
    this.#kept.delete(connection);
    if (this.relays.keeps(connection)) return true;
    if (this.#kept.size >= MAX_GOSSIP_ONLY) return false;
    if (!this.#topics?.knows(connection.remotePeer)) return false;
    this.#kept.add(connection);
    return true;
  }

  stop(): void {
    this.#kept.clear();
    this.relays.stop();
    this.#kad?.stop();
    this.#mainline?.stop();
  }
}

/** The IPv4 address that a node listens at, or any. */
function hostOf(listen: readonly string[]): string {
  return /^\/ip4\/([\d.]+)\//.exec(listen[0] ?? "")?.[1] ?? "0.0.0.0";
}

/** The port of the first own IPv4 address. */
function portOf(addresses: readonly string[]): number | undefined {
  const port = addresses.filter((it) => !isRelayed(it)).map((address) =>
    /^\/ip4\/[\d.]+\/tcp\/(\d+)/.exec(address)?.[1]
  );
  const first = port.find((it) => it !== undefined);
  return first === undefined ? undefined : Number(first);
}
