/** A network without a wire: a role's handlers in the hands of the test, over a clock it turns. */
import { concat, hex } from "../../src/protocol/bytes.ts";
import { signer } from "../../src/protocol/keys.ts";
import { type Counts, noRefusals } from "../../src/universe/limits.ts";
import type { Environment, Fields } from "../../src/universe/environment.ts";
import type { OwnEntry, WatchedCatalog } from "../../src/universe/discovery/view.ts";
import type {
  Accept,
  Census,
  Network,
  Peer,
  Role,
  Stream,
  StreamEvents,
  StreamKind,
} from "../../src/universe/network.ts";
import { Answering, type Channel, Dialing } from "../../src/committee/handshake.ts";
import type { Manifest } from "../../src/protocol/manifest.ts";
import { Archivist } from "../../src/roles/archivist.ts";
import { Epochs } from "../../src/roles/epochs.ts";
import { Feed } from "../../src/roles/feed.ts";
import { memoryArchive } from "../../src/roles/records.ts";
import type { ServerOptions } from "../../src/roles/server.ts";
import { type Attested, Gate } from "../../src/roles/admission.ts";
import { Random } from "../protocol/random.ts";

/** One stream, from the test's end. */
export class Wire implements Stream {
  readonly sent: Uint8Array[] = [];
  closed: string | undefined;
  events!: StreamEvents;
  /** Longest frame that the role takes now. */
  longest = Infinity;

  constructor(readonly peer: Peer, readonly kind: string, readonly ended: () => void = () => {}) {}

  send(frame: Uint8Array): boolean {
    if (this.closed !== undefined) return false;
    this.sent.push(frame);
    return true;
  }
  limit(bytes: number): void {
    this.longest = bytes;
  }
  close(reason = "closed"): void {
    if (this.closed !== undefined) return;
    this.closed = reason;
    this.ended();
    queueMicrotask(() => this.events.closed(reason));
  }
  /** A frame arrives, as a node hands it on: what the role throws ends the stream. */
  frame(bytes: Uint8Array): void {
    if (this.closed !== undefined) throw new Error(`${this.kind} is closed: ${this.closed}`);
    if (bytes.length > this.longest) return this.close(`frame over ${this.longest} bytes`);
    try {
      this.events.frame(bytes);
    } catch (error) {
      this.close((error as Error).message);
      throw error;
    }
  }
}

/** A `Network` that hands out what was served and opened. */
export class Wires implements Network {
  readonly self: Peer;
  readonly served = new Map<string, Accept>();
  readonly opened: Wire[] = [];
  readonly known: Peer[] = [];
  readonly log: { level: string; event: string; fields?: Fields }[] = [];
  readonly environment: Environment;
  now = 1_800_000_000_000;
  #timers: { at: number; task: () => void }[] = [];

  constructor(role: Role, readonly secret: Uint8Array, random = new Random(99)) {
    this.self = peerOf(role, secret);
    this.environment = {
      clock: {
        now: () => this.now,
        wall: () => this.now,
        after: (ms, task) => {
          const timer = { at: this.now + ms, task };
          this.#timers.push(timer);
          return () => void (this.#timers = this.#timers.filter((other) => other !== timer));
        },
      },
      random: (n) => random.bytes(n),
      observe: (level, event, fields) => void this.log.push({ level, event, fields }),
    };
  }

  /** Time passes; what is due happens. */
  async pass(ms: number): Promise<void> {
    const end = this.now + ms;
    for (;;) {
      await Promise.resolve();
      const next = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.now = Math.max(this.now, next.at);
      next.task();
      await Promise.resolve();
    }
    this.now = end;
  }
  /** A peer opens a stream here. */
  dial(peer: Peer, kind: StreamKind): Wire {
    const wire = new Wire(peer, kind.name);
    const events = this.served.get(kind.name)?.(wire);
    if (!events) throw new Error(`${kind.name} refused`);
    wire.events = events;
    return wire;
  }
  /** The open streams of a kind that the role opened. */
  to(kind: StreamKind): Wire[] {
    return this.opened.filter((wire) => wire.kind === kind.name && wire.closed === undefined);
  }

  serve(kind: StreamKind, accept: Accept): void {
    this.served.set(kind.name, accept);
  }
  start(): Promise<void> {
    return Promise.resolve();
  }
  stop(): Promise<void> {
    return Promise.resolve();
  }
  peers(role?: Role): Peer[] {
    return this.known.filter((peer) => role === undefined || peer.role === role);
  }
  onPeer(): () => void {
    return () => {};
  }
  /** Ids that were favoured, in order. */
  readonly favoured: string[] = [];
  favour(id: string): void {
    this.favoured.push(id);
  }
  counts(): Counts {
    const none = { connections: 0, handshakes: 0, unproven: 0, waiting: 0, unfinished: 0 };
    return { ...none, streams: this.opened.length, traffic: {}, refused: noRefusals() };
  }
  /** No role asks for these. */
  get catalog(): WatchedCatalog {
    throw new Error("no catalog");
  }
  get entry(): OwnEntry {
    throw new Error("no entry");
  }
  census(): Census {
    const known = this.known.length;
    return { universe: known, instance: known, bootstrap: { tried: 0, answered: 0, failures: [] } };
  }
  open(peer: Peer, kind: StreamKind, events: (stream: Stream) => StreamEvents): Promise<Stream> {
    const wire: Wire = new Wire(
      peer,
      kind.name,
      () => void this.opened.splice(this.opened.indexOf(wire), 1),
    );
    this.opened.push(wire);
    wire.events = events(wire);
    return Promise.resolve(wire);
  }
}

/** A peer of a role and a secret. */
export function peerOf(role: Role, secret: Uint8Array): Peer {
  const { key } = signer(secret);
  return { id: hex(key), key, role, addresses: [] };
}

/** Bytes with one kind byte before them. */
export function kinded(kind: number, ...bytes: Uint8Array[]): Uint8Array {
  return concat(Uint8Array.of(kind), ...bytes);
}

/** The committee's secret wherever a test needs one. */
export const COMMITTEE_SECRET = new TextEncoder().encode("a secret for tests only");

/** The gate of the role under test. */
export function gateOf(
  wires: Wires,
  instance: Uint8Array,
  secrets = [COMMITTEE_SECRET],
  attested?: Attested,
): Gate {
  return new Gate({ network: wires, environment: wires.environment, instance, secrets, attested });
}

/** What a server under test has in its first epoch; its log is in memory, and served. */
export function epochOf(
  wires: Wires,
  manifest: Manifest,
): Pick<ServerOptions, "manifest" | "start" | "archivist" | "feed"> {
  const { environment } = wires, epochs = new Epochs([manifest]), archive = memoryArchive();
  const archivist = new Archivist({ network: wires, environment, epochs, archive });
  const feed = new Feed(epochs.root, archive);
  feed.serve(wires, epochs.parameters);
  archivist.start();
  return { manifest, start: { round: 0, hash: manifest.root }, archivist, feed };
}

/** A server dials the role under test and proves the secret; what the role then sent stays. */
export function joins(wires: Wires, peer: Peer, kind: StreamKind, instance: Uint8Array): Wire {
  const wire = wires.dial(peer, kind), { random } = wires.environment;
  const dialing = new Dialing(
    random,
    { instance, kind: kind.name, dialer: peer.key, answerer: wires.self.key },
    COMMITTEE_SECRET,
    0,
  );
  wire.frame(dialing.first);
  wire.frame(dialing.reply(wire.sent[0]));
  dialing.finish(wire.sent[1]);
  wire.sent.splice(0, 2);
  return wire;
}

/** As `joins`, for a stream that the role under test has opened. */
export function answers(wires: Wires, wire: Wire, instance: Uint8Array): Wire {
  const { peer, kind } = wire;
  const channel: Channel = { instance, kind, dialer: wires.self.key, answerer: peer.key };
  const answering = new Answering(wires.environment.random, channel, [COMMITTEE_SECRET]);
  wire.frame(answering.reply(wire.sent[0]));
  const last = answering.finish(wire.sent[1]);
  wire.sent.splice(0, 2);
  wire.frame(last);
  return wire;
}
