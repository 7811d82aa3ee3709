/**
 * Rendezvous through BitTorrent's Mainline DHT (BEP 5): who knows the names of a universe and an
 * instance finds a first peer, without any address. It is on only where it was asked for. A node
 * that publishes announces its TCP port there; one that looks shows its address to nodes that it
 * asks, beside a hash of what it looks for. IPv4 alone. Whoever knows the names can announce
 * anything: what is found are hints, of which a few are chosen by chance.
 *
 * The package throws on some queries that are out of form, so it hears its socket through one that
 * holds on to what it throws, and to how much comes.
 */
import { Buffer } from "node:buffer";
import { createSocket } from "node:dgram";
import { EventEmitter } from "node:events";
import { hex } from "../protocol/bytes.ts";
import { hash } from "../protocol/hash.ts";
import { Bucket } from "./bucket.ts";
import type { Environment } from "./environment.ts";
import { byTurns } from "./hints.ts";
import { reasonOf } from "./stream.ts";
import type { Rendezvous } from "./transport.ts";

/** Addresses that one look hears at most, and how many of them it answers. */
export const MAX_HEARD = 512, MAX_FOUND = 32;
/** Datagrams that are looked at, and their bytes. */
export const DATAGRAMS = { perSecond: 256, burst: 1_024 }, MAX_DATAGRAM = 2_048;
/** Peers, values and looks of others that are remembered. */
const MAX_PEERS = 1_000, MAX_VALUES = 16, MAX_TABLES = 64;
/** An announcement is renewed after this, and tried again after that, in milliseconds. */
const RENEW_MS = 900_000, RETRY_MS = 15_000;

/** What is used of the package. */
interface Dht extends EventEmitter {
  listen(port: number, host: string, listening: () => void): void;
  lookup(hash: Buffer, done: (error?: Error | null) => void): () => void;
  announce(hash: Buffer, port: number, done: (error?: Error | null) => void): void;
  destroy(): void;
}

/** How the DHT is reached. */
export interface MainlineOptions {
  readonly environment: Environment;
  /** `host:port` of nodes of the DHT to begin at; its public routers unless given. */
  readonly routers?: readonly string[];
  /** IPv4 address to send from. */
  readonly host: string;
}

/** Under what a key is found: 20 bytes. */
export function infoHashOf(key: Uint8Array): Uint8Array {
  return hash("rendezvous", key).subarray(0, 20);
}

/** See the module. */
export class Mainline implements Rendezvous {
  readonly #options: MainlineOptions;
  readonly #provided = new Map<string, { readonly hash: Buffer; cancel: () => void }>();
  #looks = 0;
  #port: number | undefined;
  #dht: Promise<Dht> | undefined;
  #stopped = false;

  constructor(options: MainlineOptions) {
    this.#options = options;
  }

  /** The node runs; others can dial it at this TCP port. */
  start(port: number | undefined): void {
    this.#port = port;
    for (const name of this.#provided.keys()) void this.#announce(name);
  }

  /** Ends all of it. Idempotent. */
  stop(): void {
    this.#stopped = true;
    for (const { cancel } of this.#provided.values()) cancel();
    this.#provided.clear();
    this.#close();
  }

  provide(key: Uint8Array): () => void {
    const info = Buffer.from(infoHashOf(key)), name = hex(info);
    if (!this.#provided.has(name)) {
      this.#provided.set(name, { hash: info, cancel: () => {} });
      void this.#announce(name);
    }
    return () => {
      this.#provided.get(name)?.cancel();
      this.#provided.delete(name);
      this.#closeUnused();
    };
  }

  async find(key: Uint8Array, signal: AbortSignal): Promise<string[]> {
    const info = Buffer.from(infoHashOf(key));
    this.#looks++;
    try {
      const dht = await this.#open();
      return this.#choose(await heard(dht, info, signal));
    } finally {
      this.#looks--;
      this.#closeUnused();
    }
  }

  /** A few of all that were heard of: who announces most, by many ports, does not fill the answer. */
  #choose(all: Peer[]): string[] {
    const usable = all.filter(({ host }) => this.#options.routers !== undefined || isPublic(host));
    const { random } = this.#options.environment;
    return byTurns(usable, ({ host }) => host, MAX_FOUND, random)
      .map(({ host, port }) => `/ip4/${host}/tcp/${port}`);
  }

  async #announce(name: string): Promise<void> {
    const one = this.#provided.get(name), { clock, observe } = this.#options.environment;
    if (one === undefined || this.#port === undefined || this.#stopped) return;
    const again = (reason?: string) => {
      if (this.#provided.get(name) !== one || this.#stopped) return;
      observe("debug", "announced in the Mainline DHT", { hash: name, reason });
      one.cancel();
      one.cancel = clock.after(
        reason === undefined ? RENEW_MS : RETRY_MS,
        () => void this.#announce(name),
      );
    };
    try {
      const dht = await this.#open();
      dht.announce(one.hash, this.#port, (error) => again(error ? reasonOf(error) : undefined));
    } catch (error) {
      again(reasonOf(error));
    }
  }

  #open(): Promise<Dht> {
    if (this.#stopped) return Promise.reject(new Error("the node stopped"));
    const opening = this.#dht ??= open(this.#options);
    opening.catch(() => {
      if (this.#dht === opening) this.#dht = undefined;
    });
    return opening;
  }

  /** Who only looks has no part in the DHT between two looks. */
  #closeUnused(): void {
    if (this.#looks === 0 && this.#provided.size === 0) this.#close();
  }

  #close(): void {
    this.#dht?.then((dht) => dht.destroy()).catch(() => {});
    this.#dht = undefined;
  }
}

interface Peer {
  readonly host: string;
  readonly port: number;
}

/** All that a look hears of, once it has ended or the signal says so. */
function heard(dht: Dht, info: Buffer, signal: AbortSignal): Promise<Peer[]> {
  const found = new Map<string, Peer>();
  return new Promise((resolve) => {
    const hear = ({ host, port }: Peer, of: Buffer) => {
      if (!info.equals(of) || !Number.isInteger(port) || port < 1 || port > 65_535) return;
      if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(host)) return;
      found.set(`${host}:${port}`, { host, port });
      if (found.size >= MAX_HEARD) end();
    };
    const end = () => {
      dht.off("peer", hear);
      signal.removeEventListener("abort", end);
      cancel();
      resolve([...found.values()]);
    };
    dht.on("peer", hear);
    const cancel = dht.lookup(info, end);
    if (signal.aborted) end();
    else signal.addEventListener("abort", end);
  });
}

async function open({ environment, routers, host }: MainlineOptions): Promise<Dht> {
  const { default: Client } = await import("bittorrent-dht");
  const dht: Dht = new Client({
    nodeId: Buffer.from(environment.random(20)),
    bootstrap: routers === undefined ? true : [...routers],
    socket: new Socket(environment),
    maxTables: MAX_TABLES,
    maxValues: MAX_VALUES,
    maxPeers: MAX_PEERS,
  });
  dht.on("warning", () => {}); // a node of the DHT that speaks out of turn
  await new Promise<void>((resolve, reject) => {
    dht.on("error", reject);
    dht.listen(0, host, resolve);
  }).catch((error) => {
    dht.destroy();
    throw error;
  });
  return dht;
}

/** A UDP socket as the package uses it, whose events throw nothing. */
class Socket extends EventEmitter {
  readonly #socket = createSocket("udp4");
  #open = true;

  constructor({ clock }: Environment) {
    super();
    const bucket = new Bucket(DATAGRAMS, clock.now());
    this.#socket.on("message", (data, from) => {
      if (data.length > MAX_DATAGRAM || !bucket.take(1, clock.now())) return;
      try {
        this.emit("message", data, from);
      } catch {
        // Out of form, and not worth an answer.
      }
    });
    for (const event of ["listening", "close", "error"]) {
      this.#socket.on(event, (...values) => this.emit(event, ...values));
    }
  }

  bind(port: number, host: string, listening: () => void): void {
    this.#socket.bind(port, host, listening);
  }

  address() {
    return this.#socket.address();
  }

  send(
    data: Uint8Array,
    offset: number,
    length: number,
    port: number,
    host: string,
    done: (error: Error | null) => void,
  ): void {
    if (!this.#open) return;
    try {
      this.#socket.send(data, offset, length, port, host, done);
    } catch (error) {
      done(error as Error); // a port or host that nobody has
    }
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#socket.close();
  }
}

/** Whether an IPv4 address is of the public internet, where strangers may send us. */
export function isPublic(host: string): boolean {
  const [a, b] = host.split(".").map(Number);
  if (a === 0 || a === 10 || a === 127 || a >= 224) return false;
  if (a === 100 && b >= 64 && b < 128) return false;
  if (a === 172 && b >= 16 && b < 32) return false;
  return !(a === 169 && b === 254) && !(a === 192 && b === 168);
}
