/**
 * The peers of this instance that a node knows: those it met, and servers, aggregators and readers
 * that can be dialed whose signed entries it holds. What a peer said itself over a link stands above
 * its entry, which only adds addresses to try. Servers and aggregators that were met are forgotten
 * `FORGET_MS` after they were last linked or heard of; all others with their entry.
 *
 * An entry costs nothing and proves nothing, so those who were never met hold no place against a
 * newcomer: whoever was missed most often gives way.
 */
import { hex } from "../protocol/bytes.ts";
import type { Environment } from "./environment.ts";
import { MAX_ADDRESSES } from "./hello.ts";
import type { Peer, Role } from "./network.ts";
import { reasonOf } from "./stream.ts";

/** Servers and aggregators that a directory holds. */
export const MAX_KNOWN = 256;
/** Readers that a directory holds by their entries alone; whoever is linked is held besides. */
export const MAX_READERS = 64;
/** Peers of whom it is remembered how often they were missed: as many as a catalog holds. */
export const MAX_MISSED = 4_096;
/** How long a peer that nobody is linked with stays known, in milliseconds. */
export const FORGET_MS = 600_000;

/** What the entry of a server, aggregator or reader says. */
export interface Report {
  readonly key: Uint8Array;
  readonly role: Role;
  readonly addresses: readonly string[];
  /** Milliseconds since it said so. */
  readonly age: number;
}

interface Entry {
  peer: Peer;
  /** Addresses by its own word, empty if never met. */
  own: readonly string[];
  told: readonly string[];
  /** When it was told. */
  toldAt: number;
  met: boolean;
  seen: number;
  /** Open links with it. */
  links: number;
}

/** Whether nodes of a role meet all of their kind, and are remembered when they are gone. */
export function isPublic(role: Role): boolean {
  return role === "server" || role === "aggregator";
}

export class Directory {
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new Set<(peer: Peer) => void>();
  #sorted: Peer[] | undefined;
  #public = 0;
  /** Readers whose entry is held. */
  readonly #readers = new Set<string>();
  /** Attempts in a row that did not reach a peer, also of those that gave way. */
  readonly #missed = new Map<string, number>();

  constructor(readonly self: string, readonly environment: Environment) {}

  /** Known peers in the order of their ids. */
  peers(role?: Role): Peer[] {
    this.#sorted ??= [...this.#entries.values()].map((entry) => entry.peer)
      .sort((a, b) => a.id < b.id ? -1 : 1);
    return role === undefined
      ? this.#sorted.slice()
      : this.#sorted.filter((peer) => peer.role === role);
  }

  /** Calls for each peer known now, then for each new one. */
  onPeer(listener: (peer: Peer) => void): () => void {
    const own = (peer: Peer) => {
      try {
        listener(peer);
      } catch (error) {
        this.environment.observe("error", "peer listener failed", { reason: reasonOf(error) });
      }
    };
    this.#listeners.add(own);
    for (const peer of this.peers()) if (this.#listeners.has(own)) own(peer);
    return () => this.#listeners.delete(own);
  }

  /** The newest that is known of a peer. */
  get(id: string): Peer | undefined {
    return this.#entries.get(id)?.peer;
  }

  /** A link with the peer opened and its hello said `peer`. */
  link(peer: Peer): void {
    const now = this.environment.clock.now();
    let entry = this.#entries.get(peer.id);
    if (entry === undefined) {
      if (isPublic(peer.role)) this.#makeRoom();
      entry = { peer, own: [], told: [], toldAt: 0, met: false, seen: now, links: 0 };
      this.#add(entry);
    }
    this.#missed.delete(peer.id);
    entry.links++;
    entry.met = true;
    entry.seen = now;
    entry.own = peer.addresses;
    this.#replace(entry, peer.role);
  }

  /** A link with the peer ended. */
  unlink(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.links--;
    entry.seen = this.environment.clock.now();
    if (entry.links > 0 || isPublic(entry.peer.role)) return;
    if (!this.#readers.has(id)) return this.#remove(entry);
    entry.met = false;
    entry.own = [];
    this.#replace(entry, "reader");
  }

  /** A server, aggregator or reader said this in its entry. */
  hear(report: Report): void {
    const id = hex(report.key);
    if (id === this.self || report.age >= FORGET_MS) return;
    if (report.role !== "reader") this.#readers.delete(id);
    else if (!this.#hearsReader(id)) return;
    const seen = this.environment.clock.now() - report.age;
    let entry = this.#entries.get(id);
    if (entry === undefined) {
      if (isPublic(report.role) && this.#public >= MAX_KNOWN && !this.#yield(id)) return;
      const peer = { id, key: report.key, role: report.role, addresses: report.addresses };
      entry = { peer, own: [], told: report.addresses, toldAt: seen, met: false, seen, links: 0 };
      this.#add(entry);
      return;
    }
    entry.seen = Math.max(entry.seen, seen);
    if (seen <= entry.toldAt) return;
    entry.toldAt = seen;
    entry.told = report.addresses;
    this.#replace(entry, entry.met ? entry.peer.role : report.role);
  }

  /** An attempt to reach a peer failed. */
  miss(id: string): void {
    const missed = this.missed(id) + 1;
    this.#missed.delete(id);
    if (this.#missed.size >= MAX_MISSED) this.#missed.delete(this.#missed.keys().next().value!);
    this.#missed.set(id, missed);
  }

  /** How many attempts failed since a peer was linked last. */
  missed(id: string): number {
    return this.#missed.get(id) ?? 0;
  }

  /** Whether a peer is linked now, or was met. */
  met(id: string): boolean {
    return this.#entries.get(id)?.met ?? false;
  }

  /** The entry of a peer is gone: so is the peer, if it was never met. */
  forget(id: string): void {
    const entry = this.#entries.get(id);
    this.#readers.delete(id);
    if (entry !== undefined && !entry.met) this.#remove(entry);
  }

  /** Forgets whom nobody has seen for long. */
  expire(): void {
    const before = this.environment.clock.now() - FORGET_MS;
    for (const entry of [...this.#entries.values()]) {
      if (entry.links === 0 && entry.seen < before) this.#remove(entry);
    }
  }

  #replace(entry: Entry, role: Role): void {
    const addresses = [...new Set([...entry.own, ...entry.told])].slice(0, MAX_ADDRESSES);
    const old = entry.peer;
    const same = old.role === role && addresses.length === old.addresses.length &&
      addresses.every((address, i) => address === old.addresses[i]);
    if (!same) {
      if (isPublic(old.role)) this.#public--;
      if (isPublic(role)) this.#public++;
      entry.peer = { id: old.id, key: old.key, role, addresses };
      this.#sorted = undefined;
    }
  }

  #add(entry: Entry): void {
    this.#entries.set(entry.peer.id, entry);
    this.#sorted = undefined;
    if (isPublic(entry.peer.role)) this.#public++;
    for (const listener of [...this.#listeners]) {
      if (this.#listeners.has(listener)) listener(entry.peer);
    }
  }

  /** Whether there is room for the entry of a reader, where another that was missed gave way. */
  #hearsReader(id: string): boolean {
    const full = this.#readers.size >= MAX_READERS && !this.#readers.has(id);
    if (full && !this.#giveWay((one) => this.#readers.has(one.peer.id), this.missed(id) + 1)) {
      return false;
    }
    this.#readers.add(id);
    return true;
  }

  /** Whether a server or aggregator gave way to one that was missed no more often. */
  #yield(id: string): boolean {
    return this.#giveWay((one) => isPublic(one.peer.role), this.missed(id));
  }

  /** Removes, of those who were never met, whom most attempts missed; by chance among equals. */
  #giveWay(among: (entry: Entry) => boolean, least: number): boolean {
    let most = least, worst: Entry[] = [];
    for (const entry of this.#entries.values()) {
      const missed = this.missed(entry.peer.id);
      if (entry.met || missed < most || !among(entry)) continue;
      if (missed > most) worst = [];
      most = missed;
      worst.push(entry);
    }
    if (worst.length === 0) return false;
    const [high, low] = this.environment.random(2);
    this.#remove(worst[(high * 256 + low) % worst.length]);
    return true;
  }

  #remove(entry: Entry): void {
    this.#entries.delete(entry.peer.id);
    this.#readers.delete(entry.peer.id);
    this.#sorted = undefined;
    if (isPublic(entry.peer.role)) this.#public--;
  }

  /** A peer that was met takes the place of the one unmet that was seen longest ago. */
  #makeRoom(): void {
    if (this.#public < MAX_KNOWN) return;
    let oldest: Entry | undefined;
    for (const entry of this.#entries.values()) {
      if (entry.links > 0 || !isPublic(entry.peer.role)) continue;
      if (oldest === undefined || entry.seen < oldest.seen) oldest = entry;
    }
    if (oldest !== undefined) this.#remove(oldest);
  }
}
