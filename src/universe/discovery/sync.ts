/**
 * Whom this node compares its catalog with, and when: it keeps sessions open to a few peers that it
 * chose by chance, compares on each of them every `SYNC_MS`, and as often with one more peer, so
 * that parts of a universe that lost each other find together.
 */
import type { Environment } from "../environment.ts";
import { NetworkError, type Stream, type StreamEvents, type StreamKind } from "../network.ts";
import { reasonOf } from "../stream.ts";
import type { Target } from "../transport.ts";
import { encodeItems, type Item } from "./digest.ts";
import { CATALOG, type Holdings, Session } from "./session.ts";
import type { PeerInfo } from "./view.ts";

/** Sessions that a node keeps to peers of its choice: one that others dial, and one that only dials. */
export const LINKS = 3;
export const LEAF_LINKS = 2;
/** Between two comparisons with one peer, in milliseconds; half of it more or less by chance. */
export const SYNC_MS = 30_000;
/** Sessions that others may have open here. */
export const MAX_INBOUND = 8_192;
/** Sessions that are being opened at a time, beside those to bootstrap addresses. */
export const MAX_OPENING = 4;
/** Until a peer that was dialed is dialed again, in milliseconds. */
const PAUSE_MS = 2_000;

/** What comparing needs of its node. */
export interface SyncHost {
  readonly environment: Environment;
  connect(
    target: Target,
    kind: StreamKind,
    events: (stream: Stream, ours: boolean) => StreamEvents,
  ): Promise<Stream>;
  /** Peers to choose sessions from. */
  candidates(): readonly PeerInfo[];
  /** Whether a peer is not heard now. */
  ignored(id: string): boolean;
  /** Sessions to keep. */
  readonly links: number;
  /** Whether news is asked for, and told, on the sessions that this node keeps. */
  readonly push: boolean;
}

/** A session that this node opened. */
export interface Opened {
  readonly session: Session;
  /** Whether its peer is of our own instance. */
  readonly ours: boolean;
  /** The first comparison; rejects with a `NetworkError`. */
  readonly done: Promise<void>;
}

/** See the module. */
export class Sync {
  readonly #host: SyncHost;
  readonly #holdings: Holdings;
  readonly #outbound = new Map<string, { session: Session; due: number }>();
  readonly #inbound = new Set<Session>();
  /** Inbound sessions by peer. */
  readonly #callers = new Map<string, number>();
  /** When a peer that was dialed may be dialed again. */
  readonly #paused = new Map<string, number>();
  #opening = 0;
  #chance: number;

  constructor(host: SyncHost, holdings: Holdings) {
    this.#host = host;
    this.#holdings = holdings;
    this.#chance = this.#later();
  }

  /** Whether it has opened sessions enough, or more than that. */
  get full(): boolean {
    return this.#outbound.size >= this.#host.links;
  }
  get crowded(): boolean {
    return this.#outbound.size > this.#host.links;
  }

  /** Whether this node has a session open with a peer: one that it opened, or any. */
  opened(id: string): boolean {
    return this.#outbound.has(id);
  }
  linked(id: string): boolean {
    return this.#outbound.has(id) || this.#callers.has(id);
  }

  /** Answers a session that a peer opened. */
  accept(stream: Stream): StreamEvents | undefined {
    const { id } = stream.peer;
    if (this.#host.ignored(id) || this.#inbound.size >= MAX_INBOUND) return undefined;
    const session: Session = new Session(this.#holdings, stream, false, () => {
      this.#inbound.delete(session);
      const left = this.#callers.get(id)! - 1;
      if (left > 0) this.#callers.set(id, left);
      else this.#callers.delete(id);
    });
    this.#inbound.add(session);
    this.#callers.set(id, (this.#callers.get(id) ?? 0) + 1);
    return session;
  }

  /** Hands items to the sessions that want news, or to all of them, but not back to `from`. */
  tell(items: readonly Item[], all = false, from?: string): void {
    const frames = encodeItems(items);
    for (const session of this.#inbound) {
      if ((all || session.follows) && session.stream.peer.id !== from) session.pass(frames);
    }
    if (!all && !(this.#host.push && this.#holdings.tells)) return;
    for (const [id, { session }] of this.#outbound) if (id !== from) session.pass(frames);
  }

  /** Opens a session, unless one is open with whoever answers, and compares on it. */
  async open(target: Target): Promise<Opened> {
    let session: Session | undefined, ours = false;
    const opening = this.#host.connect(target, CATALOG, (stream, same) => {
      ours = same;
      const { id } = stream.peer;
      session = this.#outbound.get(id)?.session;
      if (session !== undefined || this.#host.ignored(id)) {
        throw new NetworkError("refused", "the peer is compared with already, or not heard");
      }
      session = new Session(this.#holdings, stream, true, () => void this.#outbound.delete(id));
      this.#outbound.set(id, { session, due: this.#later() });
      return session;
    });
    await opening.catch((error) => {
      if (session === undefined) throw error;
    });
    const done = this.#compare(session!);
    done.catch(() => {});
    return { session: session!, ours, done };
  }

  /** Compares with a peer now, over the session that is open or a new one. */
  async with(id: string, target: Target): Promise<void> {
    const open = this.#outbound.get(id);
    if (open !== undefined) return await this.#compare(open.session);
    const { session, done } = await this.open(target);
    await done;
    if (this.crowded) session.stream.close("compared");
  }

  /** As `with`, for what nobody waits for: where too much is under way, nothing happens. */
  try(id: string, target: Target): void {
    const now = this.#host.environment.clock.now();
    if (this.#opening >= MAX_OPENING || now < (this.#paused.get(id) ?? 0)) return;
    if (this.#outbound.has(id) || this.#host.ignored(id)) return;
    this.#opening++;
    this.#paused.set(id, now + PAUSE_MS);
    this.with(id, target).catch(() => {}).finally(() => this.#opening--);
  }

  /** Opens what is missing, and compares where it is time. */
  tick(): void {
    const now = this.#host.environment.clock.now();
    for (const [id, until] of this.#paused) if (now >= until) this.#paused.delete(id);
    for (const open of this.#outbound.values()) {
      if (now < open.due) continue;
      open.due = this.#later();
      this.#compare(open.session).catch(() => {});
    }
    if (!this.full) this.#tryOne();
    if (now < this.#chance) return;
    this.#chance = this.#later();
    if (this.#holdings.tells) this.#tryOne();
  }

  #compare(session: Session): Promise<void> {
    return session.compare(this.#host.push).catch((error) => {
      session.stream.close("not compared");
      throw new NetworkError("unreachable", reasonOf(error));
    });
  }

  #tryOne(): void {
    const candidates = this.#host.candidates()
      .filter(({ id }) => !this.#outbound.has(id) && !this.#paused.has(id));
    if (candidates.length === 0) return;
    const { id, key, addresses } = candidates[this.#below(candidates.length)];
    this.try(id, { key, addresses });
  }

  /** A time half of `SYNC_MS` from now, or up to half as long again. */
  #later(): number {
    return this.#host.environment.clock.now() + SYNC_MS / 2 + this.#below(SYNC_MS);
  }

  #below(n: number): number {
    const [a, b, c] = this.#host.environment.random(3);
    return Math.floor(((a * 256 + b) * 256 + c) / 2 ** 24 * n);
  }
}
