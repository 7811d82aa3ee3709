/**
 * Peers that keep no rule of the universe: nodes of bare libp2p, and bare TCP. What each does lasts
 * until it is disposed of.
 */
import "../../src/universe/broadcast_channel.ts";
import { generateKeyPairFromSeed } from "@libp2p/crypto/keys";
import type { Connection, Stream } from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p, type Libp2p } from "libp2p";
import { systemRandom } from "../../src/ops/system.ts";
import { concat, hex } from "../../src/protocol/bytes.ts";
import { type Signer, signer } from "../../src/protocol/keys.ts";
import { instanceId, universeId } from "../../src/protocol/names.ts";
import { prefixOf } from "../../src/universe/framing.ts";
import { encodeHello } from "../../src/universe/hello.ts";
import type { Role } from "../../src/universe/network.ts";
import { protocolOf } from "../../src/universe/node.ts";
import { INSTANCE, UNIVERSE } from "./abuse_world.ts";

const universe = universeId(UNIVERSE), instance = instanceId(universe, INSTANCE);

/** A frame behind its length, or the length alone with other bytes behind it. */
export function framed(bytes: Uint8Array, length = bytes.length): Uint8Array {
  return concat(prefixOf(length), bytes);
}

/** An identity of its own. */
export class Abuser implements AsyncDisposable {
  readonly id: string;
  readonly signer: Signer;
  #connection: Connection | undefined;
  #dial: Promise<Connection> | undefined;
  readonly #victim: string;

  private constructor(readonly node: Libp2p, secret: Uint8Array, victim: string) {
    this.signer = signer(secret);
    this.id = hex(this.signer.key);
    this.#victim = victim;
  }

  /** One that has not dialed yet. */
  static async make(victim: string): Promise<Abuser> {
    const secret = systemRandom(32);
    const node = await createLibp2p({
      privateKey: await generateKeyPairFromSeed("Ed25519", secret),
      addresses: { listen: [] },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux({ maxOutboundStreams: 100_000, enableKeepAlive: false })],
      connectionMonitor: { enabled: false },
      connectionManager: { reconnectRetries: 0 },
    });
    return new Abuser(node, secret, victim);
  }

  /** Many of them, each with a connection where it got one. */
  static async crowd(count: number, victim: string): Promise<Abuser[]> {
    const all = await Promise.all(Array.from({ length: count }, () => Abuser.make(victim)));
    await Promise.all(all.map((one) => one.connect().catch(() => {})));
    return all;
  }

  /** Its connection, a new one if there is none. */
  async connect(): Promise<Connection> {
    if (this.#connection?.status === "open") return this.#connection;
    this.#dial ??= this.node.dial(multiaddr(this.#victim), { signal: AbortSignal.timeout(5_000) })
      .finally(() => this.#dial = undefined);
    return this.#connection = await this.#dial;
  }

  /** A stream of a kind, with a hello in the given role, or without. Undefined where it got none. */
  async open(kind: string, role?: Role): Promise<Stream | undefined> {
    try {
      const connection = await this.connect();
      const protocol = protocolOf(instance, { name: kind } as Parameters<typeof protocolOf>[1]);
      const stream = await connection.newStream(protocol, {
        signal: AbortSignal.timeout(5_000),
        maxOutboundStreams: 100_000,
      });
      const hello = encodeHello({ universe, instance, role: role ?? "client", addresses: [] });
      if (role !== undefined) stream.send(framed(hello));
      return stream;
    } catch {
      return undefined;
    }
  }

  /** Reads nothing any more, of any stream. */
  deafen(): void {
    carrierOf(this.#connection!).pause();
  }

  /** So many control frames of Yamux that have to be answered, together; how many went. */
  ping(count: number): number {
    const frames = new Uint8Array(12 * count), view = new DataView(frames.buffer);
    for (let i = 0; i < count; i++) {
      view.setUint8(12 * i + 1, 2); // a ping
      view.setUint16(12 * i + 2, 1); // to be answered
      view.setUint32(12 * i + 8, i);
    }
    if (this.#connection?.status !== "open") return 0;
    muxerOf(this.#connection).maConn.send(frames);
    return count;
  }

  /** Bytes in place of the frames of streams. */
  garble(bytes: Uint8Array): void {
    if (this.#connection?.status === "open") muxerOf(this.#connection).maConn.send(bytes);
  }

  /** Ends its connection. */
  leave(): void {
    this.#connection?.abort(new Error("gone"));
    this.#connection = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.leave();
    await this.node.stop();
  }
}

/** Ends once the other side took the stream and said so, or ended it. */
export function answered(stream: Stream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.status !== "open") return resolve();
    stream.addEventListener("message", () => resolve(), { once: true });
    stream.addEventListener("close", () => resolve(), { once: true });
  });
}

/** Ends many at once. */
export async function dispose(all: readonly AsyncDisposable[]): Promise<void> {
  await Promise.all(all.map((one) => one[Symbol.asyncDispose]()));
}

/** The encrypted connection that streams share. */
function muxerOf(connection: Connection): { maConn: { send(bytes: Uint8Array): void } } {
  return (connection as unknown as { muxer: ReturnType<typeof muxerOf> }).muxer;
}

/** The socket under a connection. */
function carrierOf(connection: Connection): { pause(): void } {
  return (connection as unknown as { maConn: { pause(): void } }).maConn;
}

/** Connections of bare TCP that say `words`, and nothing more. */
export async function silent(
  count: number,
  victim: string,
  words: Uint8Array,
): Promise<Deno.TcpConn[]> {
  const port = Number(victim.match(/\/tcp\/(\d+)/)![1]);
  const all: Deno.TcpConn[] = [];
  for (let i = 0; i < count; i++) {
    try {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port });
      all.push(connection);
      if (words.length > 0) await connection.write(words);
    } catch {
      continue;
    }
  }
  return all;
}

/** How a handshake begins; its second half never comes. */
export const HALF_A_HANDSHAKE: Uint8Array = new TextEncoder().encode(
  "\x13/multistream/1.0.0\n\x07/noise\n",
);
