/**
 * A node over any transport: the hello on every stream, the bounds of each kind, the directory and
 * the meetings. Both columns are this class and a `Transport`.
 */
import { equal, hex } from "../protocol/bytes.ts";
import { signer } from "../protocol/keys.ts";
import { Directory } from "./directory.ts";
import { Discovery } from "./discovery/discovery.ts";
import type { OwnEntry, PeerInfo, WatchedCatalog } from "./discovery/view.ts";
import type { Environment } from "./environment.ts";
import { Guard } from "./guard.ts";
import { awaitHello, NO_HELLO } from "./greeting.ts";
import { encodeHello, type Hello, MAX_ADDRESSES, ROLES } from "./hello.ts";
import type { Counts } from "./limits.ts";
import { MEET, Meetings } from "./meet.ts";
import { NetworkError, OwnAddress } from "./network.ts";
import type {
  Accept,
  Census,
  Network,
  Peer,
  Role,
  Stream,
  StreamEvents,
  StreamKind,
} from "./network.ts";
import type { NetworkOptions } from "./options.ts";
import { Seek } from "./seek.ts";
import { BoundStream, reasonOf } from "./stream.ts";
import type { Link, Target, Transport } from "./transport.ts";

export type { NetworkOptions };

/** How long a peer that was dialed has to answer, and to say its hello, in milliseconds. */
export const OPEN_MS = 5_000;

/** The identity of a node's seed: key, and id in hex. */
export function identity(secret: Uint8Array): { key: Uint8Array; id: string } {
  const { key } = signer(secret);
  return { key, id: hex(key) };
}

/** The protocol name of a kind within an instance. */
export function protocolOf(instance: Uint8Array, kind: StreamKind): string {
  return `/zipnet/1/${hex(instance.subarray(0, 8))}/${kind.name}`;
}

/** The protocol name of a kind that all instances of a universe share. */
export function universeProtocolOf(universe: Uint8Array, kind: StreamKind): string {
  return `/zipnet/1/u${hex(universe.subarray(0, 8))}/${kind.name}`;
}

/** What a stream belongs to: this instance, or the universe. */
type Scope = "instance" | "universe";

/** Whom an inbound stream is offered to; `ours` says whether its peer is of this instance. */
type Listen = (stream: Stream, ours: boolean) => StreamEvents | undefined;

/** A `Network` over a transport. */
export class Node implements Network {
  readonly #options: NetworkOptions;
  readonly #environment: Environment;
  readonly #transport: Transport;
  readonly #guard: Guard;
  readonly #directory: Directory;
  readonly #meetings: Meetings;
  readonly #discovery: Discovery;
  readonly #seek: Seek;
  readonly #streams = new Set<BoundStream>();
  /** Those that count as a link in the directory. */
  readonly #linked = new Set<BoundStream>();
  /** Inbound links by kind and peer. */
  readonly #inbound = new Map<string, number>();
  /** Ends what waits for a hello. */
  readonly #pending = new Set<(error: NetworkError) => void>();
  #self: Peer;
  #hello: Uint8Array = new Uint8Array(0);
  #state: "new" | "started" | "stopped" = "new";

  /** `guard` is what the transport asks too, where it asks one. */
  constructor(
    options: NetworkOptions,
    transport: Transport,
    guard: Guard = new Guard(options.environment, options.limits),
  ) {
    this.#options = options;
    this.#environment = options.environment;
    this.#transport = transport;
    this.#guard = guard;
    guard.drop = (id) => transport.drop(id);
    this.#self = { ...identity(options.secret), role: options.role, addresses: [] };
    this.#directory = new Directory(this.#self.id, options.environment);
    this.#meetings = new Meetings({
      environment: this.#environment,
      directory: this.#directory,
      self: () => this.#self,
      connect: (target, kind, events) => this.#connect(target, kind, events),
      drop: (id) => this.#transport.drop(id),
      favours: (id) => this.#guard.favours(id),
      sample: (id, ms) => this.#discovery.sample(id, ms),
    });
    this.#discovery = new Discovery({
      ...options,
      transport,
      signer: signer(options.secret),
      self: () => this.#self,
      connect: (target, kind, events) => this.#connect(target, kind, events, "universe"),
      kept: (id) => this.#directory.met(id),
      meet: (peer) => this.#meetings.ensure(peer, true),
      found: (peer, updated) => this.#found(peer, updated),
      lost: (id) => this.#directory.forget(id),
    });
    this.#seek = new Seek({
      environment: this.#environment,
      rendezvous: transport.rendezvous ?? [],
      keys: [options.instance, options.universe],
      alone: () => this.census().instance === 0,
      dial: (address) => this.#discovery.visit(address),
    });
    this.#serve(MEET, (stream) => this.#meetings.events(stream));
    for (const [kind, accept] of this.#discovery.served) this.#serve(kind, accept, "universe");
  }

  get catalog(): WatchedCatalog {
    return this.#discovery;
  }

  get entry(): OwnEntry {
    return this.#discovery.entry;
  }

  census(): Census {
    const entries = this.#discovery.peers(), instance = hex(this.#options.instance);
    const met = this.#directory.peers().map(({ id }) => id);
    const ours = entries.filter((peer) => peer.instances.has(instance)).map(({ id }) => id);
    return {
      universe: new Set([...met, ...entries.map(({ id }) => id)]).size,
      instance: new Set([...met, ...ours]).size,
      bootstrap: this.#discovery.bootstrap,
    };
  }

  get self(): Peer {
    return this.#self;
  }

  serve(kind: StreamKind, accept: Accept): void {
    if (kind.name === MEET.name || !/^[a-z0-9-]{1,32}$/.test(kind.name)) {
      throw new TypeError(`a stream kind cannot be called ${kind.name}`);
    }
    this.#serve(kind, accept);
  }

  async start(): Promise<void> {
    if (this.#state !== "new") throw new NetworkError("stopped", "a node starts once");
    this.#state = "started";
    const { listen, announce, bootstrap, role, universe, instance } = this.#options;
    for (const address of [...listen, ...(announce ?? []), ...bootstrap]) {
      this.#transport.check(address);
    }
    const bound = await this.#transport.listen(listen);
    if (this.#stopped) return;
    const addresses = [...(announce ?? bound)].slice(0, MAX_ADDRESSES);
    this.#self = { ...this.#self, addresses };
    this.#hello = encodeHello({ universe, instance, role, addresses });
    this.#meetings.start();
    this.#discovery.start(addresses);
    this.#seek.start(this.#discovery.publishes);
  }

  peers(role?: Role): Peer[] {
    return this.#directory.peers(role);
  }

  onPeer(listener: (peer: Peer) => void): () => void {
    return this.#directory.onPeer(listener);
  }

  async open(
    peer: Peer,
    kind: StreamKind,
    events: (stream: Stream) => StreamEvents,
  ): Promise<Stream> {
    const known = this.#directory.get(peer.id)?.addresses ?? [];
    const addresses = [...new Set([...known, ...peer.addresses])];
    const opening = this.#connect({ key: peer.key, addresses }, kind, events);
    const stream = await opening.catch((error) => {
      if (error instanceof NetworkError && error.code === "unreachable") {
        this.#directory.miss(peer.id);
      }
      throw error;
    });
    if (!this.#stopped) this.#meetings.ensure(stream.peer);
    return stream;
  }

  favour(id: string): void {
    this.#guard.favour(id);
  }

  counts(): Counts {
    return this.#guard.counts(this.#streams.size);
  }

  async stop(): Promise<void> {
    if (!this.#stopped) {
      this.#state = "stopped";
      this.#seek.stop();
      this.#discovery.stop();
      this.#meetings.stop();
      for (const stop of [...this.#pending]) stop(new NetworkError("stopped", "the node stopped"));
      for (const stream of [...this.#streams]) stream.close("the node stopped");
    }
    await this.#transport.stop();
  }

  get #stopped(): boolean {
    return this.#state === "stopped";
  }

  #serve(kind: StreamKind, listen: Listen, scope: Scope = "instance"): void {
    this.#transport.handle(
      this.#protocol(kind, scope),
      kind.maxPerPeer,
      (link) => this.#answer(kind, listen, link, scope),
    );
  }

  #protocol(kind: StreamKind, scope: Scope): string {
    const { universe, instance } = this.#options;
    return scope === "universe" ? universeProtocolOf(universe, kind) : protocolOf(instance, kind);
  }

  /** A server, aggregator or reader of this instance said of itself where it can be dialed. */
  #found({ key, tags, addresses }: PeerInfo, updated: number): void {
    const role = ROLES.find((it) => it !== "client" && tags.has(it));
    if (role === undefined || (role === "reader" && addresses.length === 0)) return;
    const age = Math.max(0, this.#environment.clock.wall() - updated);
    this.#directory.hear({ key, role, addresses, age });
    this.#meetings.wake();
  }

  /** An inbound link: bound it, wait for its hello, ask the owner, answer. */
  #answer(kind: StreamKind, listen: Listen, link: Link, scope: Scope): void {
    const counted = `${scope} ${kind.name} ${link.id}`;
    const count = this.#inbound.get(counted) ?? 0;
    const refuse = (reason: string, level: "debug" | "info" = "info") => {
      link.abort();
      this.#environment.observe(level, "stream refused", {
        peer: link.id,
        kind: kind.name,
        reason,
      });
    };
    if (this.#stopped) return link.abort();
    const refusal = this.#guard.opens(link.id);
    if (refusal !== undefined) return refuse(refusal);
    if (count >= kind.maxPerPeer) return refuse(`already ${count} streams of this kind`);
    this.#inbound.set(counted, count + 1);
    const ended = this.#guard.opened(link.id);
    const release = () => {
      ended();
      const left = (this.#inbound.get(counted) ?? 1) - 1;
      if (left > 0) this.#inbound.set(counted, left);
      else this.#inbound.delete(counted);
    };
    const crowded = new NetworkError("refused", "no hello, and too many others wait for one");
    const { helloMs } = this.#guard.limits;
    const end = this.#awaitHello(link, scope, helloMs, (error, hello) => {
      proven();
      if (hello === undefined) {
        release();
        if (error?.message === NO_HELLO) this.#guard.count("helloMs");
        return refuse(error?.message ?? "no hello", error?.code === "stopped" ? "debug" : "info");
      }
      const stream = this.#stream(link, kind, hello, release, true);
      let events: StreamEvents | undefined;
      let reason = "not accepted";
      try {
        events = listen(stream, this.#ours(hello));
      } catch (error) {
        reason = reasonOf(error);
      }
      if (!stream.open) return stream.begin(events ?? SILENT);
      if (events === undefined) {
        stream.end(reason, "none");
        return refuse(reason);
      }
      this.#count(stream, scope);
      stream.begin(events, this.#hello);
    });
    const proven = this.#guard.waitsForHello(link.id, () => end(crowded));
  }

  #connect(
    target: Target,
    kind: StreamKind,
    events: (stream: Stream, ours: boolean) => StreamEvents,
    scope: Scope = "instance",
  ): Promise<Stream> {
    if (this.#state !== "started" || this.#hello.length === 0) {
      return Promise.reject(new NetworkError("stopped", "the node does not run"));
    }
    if (target.key && equal(target.key, this.#self.key)) return Promise.reject(new OwnAddress());
    return new Promise((resolve, reject) => {
      const abort = new AbortController();
      let waiting = true;
      const fail = (error: unknown) => {
        if (!waiting) return;
        waiting = false;
        cancel();
        this.#pending.delete(fail);
        abort.abort();
        reject(
          error instanceof NetworkError ? error : new NetworkError("unreachable", reasonOf(error)),
        );
      };
      const cancel = this.#environment.clock.after(
        OPEN_MS,
        () => fail(new NetworkError("unreachable", `no answer within ${OPEN_MS} ms`)),
      );
      this.#pending.add(fail);
      this.#transport.open(target, this.#protocol(kind, scope), abort.signal).then((link) => {
        if (!waiting) return link.abort();
        waiting = false;
        cancel();
        this.#pending.delete(fail);
        if (link.id === this.#self.id) {
          link.abort();
          return reject(new OwnAddress());
        }
        this.#awaitHello(link, scope, OPEN_MS, (error, hello) => {
          if (hello === undefined) {
            link.abort();
            return reject(error);
          }
          const stream = this.#stream(link, kind, hello);
          this.#count(stream, scope);
          try {
            stream.begin(events(stream, this.#ours(hello)));
            resolve(stream);
          } catch (error) {
            stream.end(reasonOf(error), "abort");
            reject(error);
          }
        });
        link.send(this.#hello);
      }, fail);
    });
  }

  /** A stream of this instance counts as a link with its peer. */
  #count(stream: BoundStream, scope: Scope): void {
    if (scope === "universe") return;
    this.#directory.link(stream.peer);
    this.#linked.add(stream);
  }

  /** Waits for the hello of a link; tells it, if it is of this scope, or what is wrong. */
  #awaitHello(
    link: Link,
    scope: Scope,
    ms: number,
    done: (error?: NetworkError, hello?: Hello) => void,
  ): (error: NetworkError) => void {
    const { clock } = this.#environment, pending = this.#pending;
    const fits = (hello: Hello) =>
      equal(hello.universe, this.#options.universe) && (scope === "universe" || this.#ours(hello));
    return awaitHello(link, { clock, ms, pending, fits }, done);
  }

  #ours(hello: Hello): boolean {
    return equal(hello.instance, this.#options.instance);
  }

  #stream(
    link: Link,
    kind: StreamKind,
    hello: Hello,
    release = () => {},
    inbound = false,
  ): BoundStream {
    const { key, id } = link;
    const peer = { id, key, role: hello.role, addresses: hello.addresses };
    // What a peer sends on a stream that was opened to it was asked for, but for its reports.
    const meters = { guard: this.#guard, receives: inbound || kind === MEET };
    const stream = new BoundStream(peer, kind, link, this.#environment, meters, (ended) => {
      this.#streams.delete(ended);
      release();
      if (this.#linked.delete(ended)) this.#directory.unlink(id);
    });
    this.#streams.add(stream);
    return stream;
  }
}

const SILENT: StreamEvents = { frame() {}, closed() {} };
