/**
 * The real column: libp2p over TCP + Noise + Yamux, with identify. Importing this module loads
 * libp2p (and replaces the global `BroadcastChannel`), so it is imported when a node is made.
 *
 * Needs `--allow-net` for what it listens at and dials, and an environment that answers
 * (`--ignore-env`); listening at 0.0.0.0 needs `--allow-sys=networkInterfaces`.
 */
import "./broadcast_channel.ts";
import { generateKeyPairFromSeed, publicKeyFromRaw } from "@libp2p/crypto/keys";
import { identify } from "@libp2p/identify";
import type { Connection, PeerId, Stream as RawStream } from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { peerIdFromPublicKey } from "@libp2p/peer-id";
import { tcp } from "@libp2p/tcp";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import { createLibp2p, type Libp2p } from "libp2p";
import { hex } from "../protocol/bytes.ts";
import type { Environment } from "./environment.ts";
import { Guard } from "./guard.ts";
import { Door } from "./libp2p_door.ts";
import { StreamLink } from "./libp2p_link.ts";
import { boundedYamux } from "./libp2p_muxer.ts";
import { type ServiceOptions, Services } from "./libp2p_services.ts";
import { isRelayed } from "./libp2p_relay.ts";
import { BoundedStore } from "./libp2p_store.ts";
import { MAX_OUTBOUND } from "./limits.ts";
import { type Network, NetworkError, OwnAddress } from "./network.ts";
import { type NetworkOptions, Node } from "./node.ts";
import { reasonOf } from "./stream.ts";
import type { Gossip, GossipEvents, Link, Rendezvous, Target, Transport } from "./transport.ts";
import { Unfinished } from "./unfinished.ts";

/** libp2p's own limits, which refuse without a word, out of reach: `libp2p_door.ts` stands for them. */
const UNLIMITED = 1_000_000_000;
/** What libp2p lets through over a kind's own bound, so that ours refuses it and says so. */
const MARGIN = 16;
/** A connection without a stream of ours is closed after this, in milliseconds. */
const IDLE_MS = 10_000;
/** How long `stop` waits for frames that were sent, and for libp2p, in milliseconds. */
const FLUSH_MS = 300;
const STOP_MS = 1_200;

/** A node over libp2p. */
export function libp2pNetwork(options: NetworkOptions): Network {
  const guard = new Guard(options.environment, options.limits);
  return new Node(options, new Libp2pTransport(options, guard), guard);
}

/** The bare transport under it, for tests that speak out of turn. */
export function libp2pTransport(
  options: ServiceOptions,
): Transport {
  return new Libp2pTransport(options, new Guard(options.environment, options.limits));
}

class Libp2pTransport implements Transport {
  readonly #handlers = new Map<string, { max: number; inbound: (link: Link) => void }>();
  readonly #links = new Map<string, Set<StreamLink>>();
  /** Streams being negotiated. */
  readonly #opening = new WeakMap<Connection, number>();
  /** Connections that must not be used for another stream. */
  readonly #retired = new WeakSet<Connection>();
  /** Timers of connections that may be idle. */
  readonly #idle = new Map<Connection, () => void>();
  readonly #door: Door;
  readonly #unfinished: Unfinished;
  #node: Libp2p | undefined;
  /** Settled when the node runs, or never will. */
  #starting: Promise<unknown> = Promise.resolve();
  #stopping: Promise<void> | undefined;

  readonly environment: Environment;
  readonly #secret: Uint8Array;
  readonly #services: Services;

  constructor(options: ServiceOptions, readonly guard: Guard) {
    const { environment } = options;
    this.environment = environment;
    this.#secret = options.secret;
    this.#services = new Services(options, guard);
    this.#door = new Door(environment, guard, (id) => this.#links.has(id));
    this.#unfinished = new Unfinished(environment, guard);
    guard.held = () => ({
      connections: this.#node?.getConnections().length ?? 0,
      handshakes: this.#door.handshakes,
      unfinished: this.#unfinished.total,
    });
  }

  get rendezvous(): readonly Rendezvous[] {
    return this.#services.rendezvous;
  }

  gossip(topic: string, events: GossipEvents): Gossip {
    return this.#services.gossip(topic, events);
  }

  check(address: string): void {
    try {
      const names = multiaddr(address).getComponents().map((component) => component.name);
      if (!names.includes("tcp")) throw new Error("expected /ip4/…/tcp/…");
    } catch (error) {
      const text = JSON.stringify(address.slice(0, 120));
      throw new NetworkError("address", `${text} is not an address: ${reasonOf(error)}`);
    }
  }

  handle(protocol: string, maxPerPeer: number, inbound: (link: Link) => void): void {
    this.#handlers.set(protocol, { max: maxPerPeer, inbound });
    if (this.#node) void this.#register(this.#node, protocol);
  }

  async #register(node: Libp2p, protocol: string): Promise<void> {
    const { max, inbound } = this.#handlers.get(protocol)!;
    await node.handle(protocol, (stream, connection) => {
      const link = this.#link(stream, connection);
      if (link !== undefined) inbound(link);
    }, { maxInboundStreams: max + MARGIN, force: true }); // a kind may be served anew
  }

  async listen(addresses: readonly string[]): Promise<string[]> {
    const starting = this.#start(addresses);
    this.#starting = starting.catch(() => {});
    const node = await starting.catch(async (error) => {
      await this.stop();
      throw error;
    });
    if (node === undefined) return [];
    const relayed = await this.#services.relays.start(node.peerId);
    return [...node.getMultiaddrs().map(String).filter((it) => !isRelayed(it)), ...relayed];
  }

  /** The node, once it runs; undefined if it was stopped before. */
  async #start(addresses: readonly string[]): Promise<Libp2p | undefined> {
    const { handshakeMs } = this.guard.limits;
    const node = await createLibp2p({
      start: false,
      privateKey: await generateKeyPairFromSeed("Ed25519", this.#secret),
      addresses: {
        listen: [...this.#services.relays.direct],
        announce: [...this.#services.announced],
      },
      datastore: new BoundedStore(),
      transports: [tcp(), this.#services.relays.transport()],
      connectionEncrypters: [noise()],
      streamMuxers: [boundedYamux(this.environment.clock, this.guard.limits)],
      services: { identify: identify(), ...await this.#services.init() },
      connectionMonitor: { enabled: false },
      connectionGater: { ...this.#door.gater, ...this.#services.relays.gater },
      connectionManager: {
        maxConnections: UNLIMITED,
        inboundConnectionThreshold: UNLIMITED,
        maxIncomingPendingConnections: UNLIMITED,
        inboundUpgradeTimeout: handshakeMs,
        inboundStreamProtocolNegotiationTimeout: handshakeMs,
        maxDialQueueLength: 2_000,
        addressDialTimeout: 2_000,
        dialTimeout: 5_000,
        reconnectRetries: 0,
      },
    });
    for (const protocol of this.#handlers.keys()) await this.#register(node, protocol);
    node.addEventListener("connection:open", ({ detail }) => this.#closeIdle(detail));
    node.addEventListener("connection:close", ({ detail }) => {
      this.#idle.get(detail)?.();
      this.#idle.delete(detail);
    });
    if (this.#stopping !== undefined) return undefined;
    this.#node = node;
    try {
      await node.start();
    } catch (error) {
      throw new NetworkError("listen", `cannot listen at ${addresses.join(" ")}: ${why(error)}`);
    }
    this.#services.start(node);
    return node;
  }

  async open(target: Target, protocol: string, signal: AbortSignal): Promise<Link> {
    const node = this.#running();
    let connection = await this.#connection(node, target, signal, false);
    let stream: RawStream;
    try {
      stream = await this.#newStream(connection, protocol, signal);
    } catch (error) {
      // A connection that was found open may have been closing: it gets one successor.
      if (!isClosed(error) || signal.aborted) throw refusal(error);
      this.#retired.add(connection);
      connection = await this.#connection(node, target, signal, true);
      stream = await this.#newStream(connection, protocol, signal).catch((again) => {
        throw refusal(again);
      });
    }
    const link = this.#link(stream, connection);
    if (link === undefined) throw new NetworkError("refused", "the peer has no Ed25519 identity");
    return link;
  }

  async #newStream(
    connection: Connection,
    protocol: string,
    signal: AbortSignal,
  ): Promise<RawStream> {
    this.#opening.set(connection, (this.#opening.get(connection) ?? 0) + 1);
    try {
      return await connection.newStream(protocol, { signal, maxOutboundStreams: MAX_OUTBOUND });
    } finally {
      this.#opening.set(connection, this.#opening.get(connection)! - 1);
      this.#closeIdle(connection);
    }
  }

  drop(id: string): void {
    for (const connection of this.#node?.getConnections() ?? []) {
      if (keyOf(connection.remotePeer, hex) === id) connection.abort(new Error("dropped"));
    }
  }

  stop(): Promise<void> {
    return this.#stopping ??= this.#starting.then(() => this.#end());
  }

  async #end(): Promise<void> {
    const node = this.#node;
    if (node === undefined) return;
    const links = [...this.#links.values()].flatMap((set) => [...set]);
    const left = links.map((link) => link.close());
    for (const cancel of this.#idle.values()) cancel();
    this.#idle.clear();
    this.#services.stop();
    await this.#within(FLUSH_MS, Promise.all(left));
    await this.#within(STOP_MS, Promise.resolve(node.stop()).catch(() => {}));
  }

  /** Ends with the promise, or after so many milliseconds. */
  #within(ms: number, promise: Promise<unknown>): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.environment.clock.after(ms, resolve);
      promise.finally(() => {
        cancel();
        resolve();
      });
    });
  }

  #running(): Libp2p {
    if (this.#node === undefined || this.#stopping !== undefined) {
      throw new NetworkError("stopped", "the node does not run");
    }
    return this.#node;
  }

  async #connection(
    node: Libp2p,
    target: Target,
    signal: AbortSignal,
    force: boolean,
  ): Promise<Connection> {
    let addresses: Multiaddr[];
    try {
      if (target.key === undefined) {
        addresses = target.addresses.map((address) => multiaddr(address));
      } else {
        const peer = peerIdFromPublicKey(publicKeyFromRaw(target.key));
        const known = node.getConnections(peer);
        const open = known.find((it) => this.#usable(it));
        if (open !== undefined) return open;
        force ||= known.length > 0;
        addresses = target.addresses.map((address) =>
          multiaddr(`${address.replace(/\/p2p\/[^/]+$/, "")}/p2p/${peer}`)
        );
      }
    } catch (error) {
      throw new NetworkError("address", reasonOf(error));
    }
    if (addresses.length === 0) throw new NetworkError("unreachable", "no address is known");
    try {
      return await node.dial(addresses, { signal, force });
    } catch (error) {
      if (isOwn(error)) throw new OwnAddress();
      throw new NetworkError("unreachable", why(error));
    }
  }

  #link(stream: RawStream, connection: Connection): StreamLink | undefined {
    const key = keyOf(connection.remotePeer, (raw) => raw);
    if (key === undefined) {
      stream.abort(new Error("refused"));
      return undefined;
    }
    const link = new StreamLink(stream, key, this.environment.clock, this.#unfinished, () => {
      const links = this.#links.get(link.id);
      links?.delete(link);
      if (links?.size !== 0) return;
      this.#links.delete(link.id);
      this.#closeIdle(connection);
    });
    const links = this.#links.get(link.id);
    if (links === undefined) this.#links.set(link.id, new Set([link]));
    else links.add(link);
    return link;
  }

  #usable(connection: Connection): boolean {
    return connection.status === "open" && !this.#retired.has(connection);
  }

  /** Closes a connection on which nobody speaks, some time from now. */
  #closeIdle(connection: Connection): void {
    this.#idle.get(connection)?.();
    if (this.#stopping !== undefined) return;
    const cancel = this.environment.clock.after(IDLE_MS, () => {
      this.#idle.delete(connection);
      const id = keyOf(connection.remotePeer, hex);
      if (id !== undefined && this.#links.has(id)) return;
      if ((this.#opening.get(connection) ?? 0) > 0 || !this.#usable(connection)) return;
      if (this.#services.keeps(connection)) return this.#closeIdle(connection);
      this.#retired.add(connection);
      connection.close().catch(() => {});
    });
    this.#idle.set(connection, cancel);
  }
}

function isClosed(error: unknown): boolean {
  return error instanceof Error && /Clos|StreamState|Reset|Abort/.test(error.name);
}

/** Whether the dialed peer is this node: its own key answered, perhaps through an address of others. */
function isOwn(error: unknown): boolean {
  const errors = error instanceof AggregateError ? error.errors : [error];
  return errors.some((it) => /\bdial self$/.test(reasonOf(it)));
}

function refusal(error: unknown): NetworkError {
  const unknown = error instanceof Error && error.name === "UnsupportedProtocolError";
  return new NetworkError(unknown ? "refused" : "unreachable", reasonOf(error));
}

/** The raw Ed25519 key of a peer id, mapped; undefined for other kinds of identity. */
function keyOf<T>(peer: PeerId, map: (raw: Uint8Array) => T): T | undefined {
  return peer.type === "Ed25519" ? map(peer.publicKey.raw) : undefined;
}

/** One clear line of what libp2p tells in many. */
function why(error: unknown): string {
  const text = error instanceof AggregateError
    ? error.errors.map(reasonOf).join("; ")
    : reasonOf(error);
  if (/EADDRINUSE|AddrInUse|in use/i.test(text)) return "address already in use";
  if (/ECONNREFUSED|refused/i.test(text)) return "connection refused";
  if (/NotCapable|Requires net access/i.test(text)) return "not permitted (see --allow-net)";
  return text.split("\n").map((line) => line.trim()).filter((line) => line !== "").at(-1) ?? text;
}
