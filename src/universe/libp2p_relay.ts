/**
 * Nodes that others cannot reach, behind NAT for instance, listen through relays that they name: an
 * address that ends in `/p2p/<relay>/p2p-circuit`. A relay passes bytes on to the nodes that it was
 * told to serve, and to nobody else; what passes is encrypted between its two ends, so it sees who
 * speaks with whom, when and how much. libp2p's limits of two minutes and 128 KiB for a relayed
 * connection do not hold here: a server of a committee could not work with them. A node may dial
 * through any relay; it is dialed only through those that it named.
 */
import {
  circuitRelayServer,
  circuitRelayTransport,
  RELAY_V2_HOP_CODEC,
  RELAY_V2_STOP_CODEC,
} from "@libp2p/circuit-relay-v2";
import type { Connection, ConnectionGater, PeerId, Transport } from "@libp2p/interface";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import { hex } from "../protocol/bytes.ts";
import type { Guard } from "./guard.ts";
import { Hops, HOPS_PER_PEER, MAX_STOPS } from "./hops.ts";
import { guarded, type Handler, intercepted } from "./libp2p_guard.ts";

/** Nodes that one relay serves. */
export const MAX_SERVED = 64;
/** For how long a place at a relay is taken, in milliseconds; it is renewed before. */
const RESERVED_MS = 3_600_000;
/** Between two looks whether a place is lost, in milliseconds. */
const LOOK_MS = 5_000;

/** Whether an address leads through a relay. */
export function isRelayed(address: string): boolean {
  return address.includes("/p2p-circuit");
}

/** What listens within libp2p. */
interface Listeners {
  listen(addresses: Multiaddr[]): Promise<void>;
  getAddrs(): Multiaddr[];
}

type TransportFactory = ReturnType<typeof circuitRelayTransport>;
type ServerFactory = ReturnType<typeof circuitRelayServer>;

/** See the module. */
export class Relays {
  /** Addresses to listen at oneself. */
  readonly direct: readonly string[];
  readonly #through: readonly Multiaddr[];
  /** Ids of the relays that are listened through, as libp2p writes them. */
  readonly #named: ReadonlySet<string>;
  /** Ids of the nodes that are served, in hex. */
  readonly #served: ReadonlySet<string>;
  readonly #guard: Guard;
  readonly #hops: Hops;
  #manager: Listeners | undefined;
  #cancel: () => void = () => {};
  #stopped = false;

  constructor(listen: readonly string[], served: readonly Uint8Array[], guard: Guard) {
    this.direct = listen.filter((address) => !isRelayed(address));
    this.#through = listen.filter(isRelayed).map((address) => multiaddr(address));
    this.#named = new Set(this.#through.map(relayOf));
    this.#served = new Set(served.slice(0, MAX_SERVED).map(hex));
    this.#guard = guard;
    // The nodes served renew their places on streams of the same protocol.
    this.#hops = new Hops((id) => guard.favours(id) || this.#served.has(id));
  }

  /** What dials through relays, and is dialed through those that were named. */
  transport(): (components: Parameters<TransportFactory>[0]) => Transport {
    const make = circuitRelayTransport({ maxInboundStopStreams: MAX_STOPS });
    return intercepted(make, (handler) => (stream, connection) => {
      if (this.#named.has(connection.remotePeer.toString())) return handler(stream, connection);
      stream.abort(new Error("not a relay of this node"));
    });
  }

  /** The relay itself, where there is anybody to serve. */
  server(): ServerFactory | undefined {
    if (this.#served.size === 0) return undefined;
    const make = circuitRelayServer({
      maxInboundHopStreams: HOPS_PER_PEER,
      maxOutboundStopStreams: MAX_STOPS,
      reservations: {
        maxReservations: this.#served.size,
        reservationTtl: RESERVED_MS,
        applyDefaultLimit: false,
      },
    });
    return guarded(
      this.#guard,
      intercepted(make, (handler: Handler) => (stream, connection) => {
        const end = this.#hops.open(idOf(connection.remotePeer) ?? "");
        if (typeof end === "string") return stream.abort(new Error(end));
        stream.addEventListener("close", end);
        return handler(stream, connection);
      }),
    );
  }

  /** Who may take a place at this relay, and who is led to whom. */
  get gater(): Pick<
    ConnectionGater,
    "denyInboundRelayReservation" | "denyOutboundRelayedConnection"
  > {
    return {
      denyInboundRelayReservation: (peer) => !this.#served.has(idOf(peer) ?? ""),
      denyOutboundRelayedConnection: (peer, to) =>
        !this.#hops.leads(idOf(peer) ?? "", idOf(to) ?? ""),
    };
  }

  /** A service of libp2p that does nothing but learn who listens. */
  listener(): (components: { transportManager: Listeners }) => object {
    return ({ transportManager }) => {
      this.#manager = transportManager;
      return {};
    };
  }

  /** Listens through the relays from now on; answers the addresses at which they are asked for it. */
  async start(self: PeerId): Promise<string[]> {
    await this.#look();
    return this.#through.map((address) => `${address}/p2p/${self}`);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  /** Whether a connection leads to a relay of this node, to a node served, or carries another. */
  keeps({ remotePeer, streams }: Connection): boolean {
    if (this.#named.has(remotePeer.toString()) || this.#served.has(idOf(remotePeer) ?? "")) {
      return true;
    }
    const carries = [RELAY_V2_HOP_CODEC, RELAY_V2_STOP_CODEC];
    return streams.some(({ protocol }) => carries.includes(protocol));
  }

  /** Takes a place at each relay that has none for this node, and looks again before long. */
  async #look(): Promise<void> {
    if (this.#through.length === 0 || this.#stopped) return;
    const { clock, observe } = this.#guard.environment, manager = this.#manager!;
    const held = new Set(manager.getAddrs().filter((it) => isRelayed(`${it}`)).map(relayOf));
    await Promise.all(this.#through.map(async (address) => {
      if (held.has(relayOf(address))) return;
      try {
        await manager.listen([address]);
        observe("info", "relay serves this node", { address: `${address}` });
      } catch {
        if (this.#stopped) return;
        observe("warn", "relay does not serve this node", {
          address: `${address}`,
          reason: "it cannot be reached, or was not told to serve this node",
        });
      }
    }));
    if (!this.#stopped) this.#cancel = clock.after(LOOK_MS, () => void this.#look());
  }
}

/** The id of the relay in an address that leads through one. */
function relayOf(address: Multiaddr): string {
  return /\/p2p\/([^/]+)\/p2p-circuit/.exec(`${address}`)?.[1] ?? "";
}

function idOf(peer: PeerId): string | undefined {
  return peer.type === "Ed25519" ? hex(peer.publicKey.raw) : undefined;
}
