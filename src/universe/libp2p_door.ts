/**
 * Who may connect over libp2p: its connection gater asks here, first by the remote host, then by the
 * identity that was proven. libp2p's own limits refuse without a word and know no members, so they
 * are set out of reach and these take their place (`limits.ts`).
 *
 * Where something is full, whoever does nothing gives way to whoever comes: the handshake that hangs
 * longest, the connection that carries no stream.
 */
import type { ConnectionGater, MultiaddrConnection, PeerId } from "@libp2p/interface";
import { hex } from "../protocol/bytes.ts";
import { Buckets, Tally } from "./bucket.ts";
import type { Environment } from "./environment.ts";
import type { Guard } from "./guard.ts";
import { OverLimit } from "./libp2p_muxer.ts";
import { type LimitName, MAX_TRACKED } from "./limits.ts";

/** A connection without a stream is left alone for so long, in milliseconds. */
const IDLE_MS = 1_500;
/** A handshake is left alone for so much of its time: on a busy machine honest ones are slow too. */
const HANGS = 0.5;

/** An inbound connection. */
interface Guest {
  readonly connection: MultiaddrConnection;
  readonly host: string;
  since: number;
  /** The identity, once it is proven. */
  id?: string;
  member?: boolean;
}

/** See the module comment. `busy` says whether a peer has a stream. */
export class Door {
  readonly #guests = new Map<MultiaddrConnection, Guest>();
  readonly #handshakes = new Set<Guest>();
  readonly #handshakesOf = new Tally();
  readonly #strangers = new Set<Guest>();
  readonly #strangersOf = new Tally();
  readonly #connects: Buckets;
  #members = 0;

  constructor(
    readonly environment: Environment,
    readonly guard: Guard,
    readonly busy: (id: string) => boolean,
  ) {
    this.#connects = new Buckets(guard.limits.connectsPerHost, MAX_TRACKED);
  }

  /** What libp2p asks. */
  get gater(): ConnectionGater {
    return {
      denyInboundConnection: (connection) => !this.#enters(connection),
      denyInboundEncryptedConnection: (peer, connection) => !this.#proves(peer, connection),
    };
  }

  /** Connections on which nobody has proven an identity yet. */
  get handshakes(): number {
    return this.#handshakes.size;
  }

  #enters(connection: MultiaddrConnection): boolean {
    const { limits } = this.guard, host = hostOf(connection);
    const now = this.environment.clock.now();
    if (!this.#connects.take(host, 1, now)) return this.#refuse("connectsPerHost", host);
    if (
      this.#handshakesOf.of(host) >= limits.handshakesPerHost &&
      !this.#endHandshake("handshakesPerHost", host)
    ) return this.#refuse("handshakesPerHost", host);
    if (
      this.#handshakes.size >= limits.handshakes &&
      !this.#endHandshake("handshakes", this.#handshakesOf.largest())
    ) return this.#refuse("handshakes", host);
    const guest: Guest = { connection, host, since: now };
    this.#guests.set(connection, guest);
    this.#handshakes.add(guest);
    this.#handshakesOf.add(host, 1);
    connection.addEventListener("close", ({ error }) => this.#left(guest, error));
    return true;
  }

  #proves(peer: PeerId, connection: MultiaddrConnection): boolean {
    const { limits } = this.guard, guest = this.#guests.get(connection);
    // A connection that ended meanwhile.
    if (guest === undefined) return false;
    this.#shakes(guest);
    if (peer.type !== "Ed25519") return false;
    const id = guest.id = hex(peer.publicKey.raw), { host } = guest;
    guest.since = this.environment.clock.now();
    if (this.guard.favours(id)) {
      if (this.#members >= limits.memberConnections) return this.#refuse("connections", host, id);
      guest.member = true;
      this.#members++;
      return true;
    }
    if (this.guard.barred(id)) return false;
    const own = [...this.#strangersOfPeer(id)];
    if (own.length >= limits.connectionsPerPeer) this.#end("connectionsPerPeer", own[0]);
    if (
      this.#strangersOf.of(host) >= limits.connectionsPerHost &&
      !this.#endIdle("connectionsPerHost", host)
    ) return this.#refuse("connectionsPerHost", host, id);
    if (this.#strangers.size >= limits.connections && !this.#endIdle("connections")) {
      return this.#refuse("connections", host, id);
    }
    this.#strangers.add(guest);
    this.#strangersOf.add(host, 1);
    return true;
  }

  #shakes(guest: Guest): boolean {
    if (!this.#handshakes.delete(guest)) return false;
    this.#handshakesOf.add(guest.host, -1);
    return true;
  }

  #left(guest: Guest, error?: Error): void {
    const { connection, host, id } = guest;
    this.#guests.delete(connection);
    if (guest.member) this.#members--;
    if (this.#strangers.delete(guest)) this.#strangersOf.add(host, -1);
    if (this.#shakes(guest)) {
      const after = this.#since(guest);
      // A time-out of the handshake comes from libp2p, which ends the connection.
      if (after >= this.guard.limits.handshakeMs) this.guard.count("handshakeMs");
      this.environment.observe("info", "handshake failed", { host, after });
    }
    if (!(error instanceof OverLimit)) return;
    this.#say("connection ended", error.limit, host, id);
    if (id !== undefined && !guest.member) this.guard.bar(id, error.limit);
  }

  *#strangersOfPeer(id: string): Iterable<Guest> {
    for (const guest of this.#strangers) if (guest.id === id) yield guest;
  }

  /** Ends the handshake of a host that hangs longest, if it hangs. */
  #endHandshake(limit: LimitName, host: string | undefined): boolean {
    for (const guest of this.#handshakes) {
      const hangs = this.#since(guest) >= HANGS * this.guard.limits.handshakeMs;
      if (guest.host === host && hangs) return this.#end(limit, guest);
    }
    return false;
  }

  /** Ends the oldest connection without a stream, of a host or of all. */
  #endIdle(limit: LimitName, host?: string): boolean {
    for (const guest of this.#strangers) {
      if (host !== undefined && guest.host !== host) continue;
      const idle = this.#since(guest) >= IDLE_MS && !this.busy(guest.id!);
      if (idle) return this.#end(limit, guest);
    }
    return false;
  }

  #since(guest: Guest): number {
    return this.environment.clock.now() - guest.since;
  }

  #end(limit: LimitName, guest: Guest): true {
    this.#say("connection ended", limit, guest.host, guest.id);
    guest.connection.abort(new Error(`over the limit ${limit}`));
    return true;
  }

  #refuse(limit: LimitName, host: string, id?: string): false {
    this.#say("connection refused", limit, host, id);
    return false;
  }

  #say(event: string, limit: LimitName, host: string, peer?: string): void {
    this.guard.count(limit);
    this.environment.observe("info", event, { host, peer, limit });
  }
}

/** The remote host: its IPv4 address, or the network of its IPv6 address (64 bits). */
export function hostOf({ remoteAddr }: Pick<MultiaddrConnection, "remoteAddr">): string {
  for (const { name, value = "" } of remoteAddr.getComponents()) {
    if (name === "ip4") return value;
    if (name === "ip6") return networkOf(value);
  }
  return remoteAddr.toString();
}

/** The first four groups of an IPv6 address, written out; of an IPv4 address within one, that. */
export function networkOf(address: string): string {
  const [, dotted, high, low] =
    /^::ffff:(?:([\d.]+)|([\da-f]{1,4}):([\da-f]{1,4}))$/i.exec(address) ?? [];
  if (dotted !== undefined) return dotted;
  if (high !== undefined) {
    return [high, low].map((group) => parseInt(group, 16)).flatMap((it) => [it >> 8, it & 255])
      .join(".");
  }
  const [head, tail] = address.split("%")[0].split("::");
  const groups = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    const rest = tail === "" ? [] : tail.split(":");
    while (groups.length + rest.length < 8) groups.push("0");
    groups.push(...rest);
  }
  return `${groups.slice(0, 4).map((group) => group.replace(/^0+(?=.)/, "")).join(":")}::/64`;
}
