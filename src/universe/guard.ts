/**
 * What a node holds its peers to, stream by stream (`limits.ts`): how many they open, how much they
 * send, how much waits for them. Whoever floods is cut and stays out for a while; whoever reads too
 * slowly loses the stream on which most waits. Members of the committee are held to the bounds of
 * their streams alone.
 */
import { Buckets, Tally } from "./bucket.ts";
import type { Environment } from "./environment.ts";
import {
  type Counts,
  type LimitName,
  LIMITS,
  type Limits,
  MAX_MEMBERS,
  MAX_TRACKED,
  noRefusals,
  type Traffic,
} from "./limits.ts";

/** A stream on which bytes may wait. */
export interface Waiting {
  readonly peer: { readonly id: string };
  readonly kind: { readonly name: string };
  /** Bytes that wait now. */
  readonly waiting: number;
  /** Ends it. */
  cut(reason: string): void;
}

/** What the transport under a node holds. */
export type Held = Pick<Counts, "connections" | "handshakes" | "unfinished">;

/** See the module comment. */
export class Guard {
  readonly limits: Limits;
  /** Cuts every connection with a peer; the node's to set. */
  drop: (id: string) => void = () => {};
  /** What the transport holds; the transport's to set. */
  held: () => Held = () => ({ connections: 0, handshakes: 0, unfinished: 0 });
  readonly #members = new Set<string>();
  /** Peers that stay out, and until when. */
  readonly #barred = new Map<string, number>();
  readonly #opens: Buckets;
  readonly #frames: Buckets;
  readonly #bytes: Buckets;
  readonly #open = new Tally();
  /** Streams without a hello, oldest first, and what ends each. */
  readonly #unproven = new Map<symbol, { readonly id: string; readonly end: () => void }>();
  readonly #unprovenOf = new Tally();
  /** Bytes that wait, as of the last look, by stream. */
  readonly #waiting = new Map<Waiting, number>();
  readonly #waitingOf = new Tally();
  readonly #traffic = new Map<string, Traffic>();
  readonly #refused: Record<LimitName, number> = noRefusals();

  constructor(readonly environment: Environment, limits: Partial<Limits> = {}) {
    this.limits = { ...LIMITS, ...limits };
    this.#opens = new Buckets(this.limits.opensPerPeer, MAX_TRACKED);
    this.#frames = new Buckets(this.limits.framesPerPeer, MAX_TRACKED);
    this.#bytes = new Buckets(this.limits.bytesPerPeer, MAX_TRACKED);
  }

  /** What is held and was refused, but for the streams that the node itself knows. */
  counts(streams: number): Counts {
    return {
      ...this.held(),
      streams,
      unproven: this.#unproven.size,
      waiting: this.#waitingOf.total,
      traffic: Object.fromEntries(this.#traffic),
      refused: { ...this.#refused },
    };
  }

  /** A member of the committee, which always finds room. */
  favour(id: string): void {
    this.#members.delete(id);
    this.#members.add(id);
    if (this.#members.size > MAX_MEMBERS) {
      this.#members.delete(this.#members.keys().next().value!);
    }
    this.#barred.delete(id);
    for (const stream of [...this.#waiting.keys()]) if (stream.peer.id === id) this.#look(stream);
  }

  /** Whether a peer is a member. */
  favours(id: string): boolean {
    return this.#members.has(id);
  }

  /** So many bytes passed on a stream of this kind. Kinds are those that this node has. */
  passed({ name }: { readonly name: string }, sent: number, received: number): void {
    const before = this.#traffic.get(name) ?? { sent: 0, received: 0 };
    this.#traffic.set(name, { sent: before.sent + sent, received: before.received + received });
  }

  /** Something was refused under a limit. */
  count(limit: LimitName): void {
    this.#refused[limit]++;
  }

  /** Whether a peer was cut for flooding a short while ago. */
  barred(id: string): boolean {
    const until = this.#barred.get(id);
    if (until === undefined) return false;
    if (until > this.environment.clock.now()) return true;
    this.#barred.delete(id);
    return false;
  }

  /** A peer opens a stream: why it may not, or undefined. */
  opens(id: string): string | undefined {
    if (this.favours(id)) return undefined;
    if (this.barred(id)) return "it flooded a short while ago";
    const now = this.environment.clock.now();
    if (!this.#opens.take(id, 1, now)) {
      this.#flood(id, "opensPerPeer");
      return "it opens too many streams";
    }
    const open = this.#open.of(id);
    if (open < this.limits.streamsPerPeer) return undefined;
    this.count("streamsPerPeer");
    return `already ${open} streams, at most ${this.limits.streamsPerPeer}`;
  }

  /** A peer has opened a stream; the returned function says that it ended. */
  opened(id: string): () => void {
    this.#open.add(id, 1);
    return () => this.#open.add(id, -1);
  }

  /**
   * A peer's stream waits for its hello; the returned function says that it came, or the stream
   * ended. Where too many wait, one of those who have most of them is ended.
   */
  waitsForHello(id: string, end: () => void): () => void {
    if (this.#unproven.size >= this.limits.unproven) {
      this.count("unproven");
      const most = this.#unprovenOf.largest();
      for (const [name, one] of this.#unproven) {
        if (one.id !== most) continue;
        this.#proven(name);
        one.end();
        break;
      }
    }
    const name = Symbol();
    this.#unproven.set(name, { id, end });
    this.#unprovenOf.add(id, 1);
    return () => this.#proven(name);
  }

  #proven(name: symbol): void {
    const one = this.#unproven.get(name);
    if (one === undefined) return;
    this.#unproven.delete(name);
    this.#unprovenOf.add(one.id, -1);
  }

  /** A frame of a peer came; false where it sends too much and was cut. */
  frame(id: string, length: number): boolean {
    if (this.favours(id)) return true;
    const now = this.environment.clock.now();
    if (!this.#frames.take(id, 1, now)) return this.#flood(id, "framesPerPeer");
    if (!this.#bytes.take(id, length, now)) return this.#flood(id, "bytesPerPeer");
    return true;
  }

  #flood(id: string, limit: LimitName): false {
    this.count(limit);
    this.bar(id, limit);
    return false;
  }

  /** Cuts a peer, which stays out for a while. */
  bar(id: string, limit: LimitName): void {
    if (this.barred(id)) return;
    const { barMs } = this.limits, { clock, observe } = this.environment;
    if (this.#barred.size >= MAX_TRACKED) this.#barred.delete(this.#barred.keys().next().value!);
    this.#barred.set(id, clock.now() + barMs);
    observe("warn", "peer barred", { peer: id, limit, for: barMs });
    // After the turn: the peer's streams are being served in it.
    clock.after(0, () => this.drop(id));
  }

  /** Something was sent on a stream, or it ended: looks at what waits, and cuts what is too slow. */
  sent(stream: Waiting): void {
    this.#look(stream);
    const { waiting, waitingPerPeer } = this.limits, { id } = stream.peer;
    if (this.#waitingOf.of(id) > waitingPerPeer) this.#relieve("waitingPerPeer", id);
    while (this.#waitingOf.total > waiting && this.#relieve("waiting")) continue;
  }

  /** A stream ended. */
  ended(stream: Waiting): void {
    this.#waitingOf.add(stream.peer.id, -(this.#waiting.get(stream) ?? 0));
    this.#waiting.delete(stream);
  }

  #look(stream: Waiting): void {
    const { id } = stream.peer;
    const before = this.#waiting.get(stream) ?? 0;
    const now = this.favours(id) ? 0 : stream.waiting;
    if (now === before) return;
    this.#waitingOf.add(id, now - before);
    if (now === 0) this.#waiting.delete(stream);
    else this.#waiting.set(stream, now);
  }

  /** Looks at all streams, of one peer or all; cuts the one on which most waits if it is too much. */
  #relieve(limit: "waiting" | "waitingPerPeer", id?: string): boolean {
    const all = [...this.#waiting.keys()].filter(({ peer }) => id === undefined || peer.id === id);
    for (const one of all) this.#look(one);
    const sum = () => id === undefined ? this.#waitingOf.total : this.#waitingOf.of(id);
    if (sum() <= this.limits[limit]) return false;
    const most = id ?? this.#waitingOf.largest();
    let fullest: Waiting | undefined;
    for (const [one, bytes] of this.#waiting) {
      if (one.peer.id !== most) continue;
      if (fullest === undefined || bytes > this.#waiting.get(fullest)!) fullest = one;
    }
    if (fullest === undefined) return false;
    this.count(limit);
    this.environment.observe("warn", "slow reader cut", {
      peer: fullest.peer.id,
      kind: fullest.kind.name,
      limit,
      waiting: sum(),
      most: this.limits[limit],
    });
    this.ended(fullest);
    fullest.cut(`${sum()} bytes wait to be sent`);
    return true;
  }
}
