/**
 * Own entry and departures by gossip: told when a neighbour appears, when there is a new version,
 * and every `ANNOUNCE_MS`, which renews the lease everywhere. A message is u8 0 and an entry, or
 * u8 1 and a departure.
 */
import { concat, hex } from "../../protocol/bytes.ts";
import { ProtocolError } from "../../protocol/errors.ts";
import type { Environment } from "../environment.ts";
import type { Gossip, Transport, Verdict } from "../transport.ts";
import type { Outcome } from "./catalog.ts";
import { isDeparture, type Item } from "./digest.ts";
import { decodeDeparture, decodeEntry, MAX_ENTRY } from "./entry.ts";

/** Bytes of the longest message. */
export const MAX_ANNOUNCEMENT = 1 + MAX_ENTRY;
/** Between two announcements of an unchanged entry, in milliseconds; half more or less by chance. */
export const ANNOUNCE_MS = 45_000;
/**
 * Between an announcement and the next one for a change, or for a neighbour, in milliseconds. Each
 * is a version, and of those others take one in ten seconds in the long run.
 */
export const GAP_MS = 250;
export const NEIGHBOUR_GAP_MS = 10_000;

/** The topic of a universe. */
export function topicOf(universe: Uint8Array): string {
  return `/mosaik/announce/${hex(universe)}`;
}

/** What announcing needs of its node. */
export interface AnnounceHost {
  readonly environment: Environment;
  readonly universe: Uint8Array;
  /** The entry to tell, its lease renewed; undefined for those who publish none. */
  entry(): Item | undefined;
  /** Takes what a neighbour passed on. */
  take(item: Item, from: string): Outcome;
  ignored(id: string): boolean;
  /** A neighbour passed on what only a liar or a broken program does. */
  fault(id: string, reason: string): void;
  neighbour(id: string): void;
  /** Own entry, for those who hear no gossip. */
  tell(item: Item): void;
}

/** See the module. */
export class Announcer {
  readonly #host: AnnounceHost;
  readonly #gossip: Gossip | undefined;
  #cancel: () => void = () => {};
  #due = Infinity;
  #said = -Infinity;
  #stopped = false;

  /** Joins the topic, where the transport has gossip and this node publishes. */
  constructor(host: AnnounceHost, transport: Transport | undefined) {
    this.#host = host;
    this.#gossip = transport?.gossip?.(topicOf(host.universe), {
      message: (bytes, from) => this.#hear(bytes, from),
      neighbour: (id) => {
        this.soon(NEIGHBOUR_GAP_MS);
        host.neighbour(id);
      },
    });
  }

  /** Tells the entry as soon as the last time is long enough ago. */
  soon(gap = GAP_MS): void {
    this.#at(Math.max(this.#now(), this.#said + gap));
  }

  /** Passes on an item that came another way. */
  pass(item: Item): void {
    this.#gossip?.publish(concat(Uint8Array.of(isDeparture(item) ? 1 : 0), item.bytes));
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
    this.#gossip?.leave();
  }

  #now(): number {
    return this.#host.environment.clock.now();
  }

  #at(due: number): void {
    if (this.#stopped || due >= this.#due) return;
    this.#cancel();
    this.#due = due;
    this.#cancel = this.#host.environment.clock.after(due - this.#now(), () => this.#say());
  }

  #say(): void {
    const now = this.#now();
    const item = this.#host.entry();
    this.#due = Infinity;
    if (item === undefined) return;
    this.#said = now;
    this.pass(item);
    this.#host.tell(item);
    const [high, low] = this.#host.environment.random(2);
    this.#at(now + ANNOUNCE_MS / 2 + ANNOUNCE_MS * (high * 256 + low) / 65_536);
  }

  #hear(bytes: Uint8Array, from: string): Verdict {
    if (this.#stopped || this.#host.ignored(from)) return "ignore";
    let outcome: Outcome;
    try {
      outcome = this.#host.take(decode(bytes), from);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#host.fault(from, error.message);
      return "reject";
    }
    if (outcome === "new" || outcome === "updated" || outcome === "departed") return "accept";
    return outcome === "forged" || outcome === "other-universe" ? "reject" : "ignore";
  }
}

function decode(bytes: Uint8Array): Item {
  if (bytes.length < 1 || bytes.length > MAX_ANNOUNCEMENT || bytes[0] > 1) {
    throw new ProtocolError("length", `an announcement of ${bytes.length} bytes, out of form`);
  }
  const body = bytes.slice(1);
  return bytes[0] === 0 ? decodeEntry(body) : decodeDeparture(body);
}
