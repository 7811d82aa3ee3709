/**
 * What this node says of itself. Each change makes a version newer than all before, and only a
 * change does, but for renewal of the lease.
 */
import { compare, hex } from "../../protocol/bytes.ts";
import { blake3 } from "../../protocol/hash.ts";
import type { Signer } from "../../protocol/keys.ts";
import type { Clock } from "../environment.ts";
import {
  type Departure,
  type Entry,
  isWord,
  MAX_INSTANCES,
  MAX_STREAMS,
  MAX_TAGS,
  MAX_TICKETS,
  signDeparture,
  signEntry,
  type Version,
} from "./entry.ts";
import type { OwnEntry } from "./view.ts";

/** Bytes of the longest ticket body. */
export const MAX_TICKET = 65_536;

/** What does not change while the node runs. */
export interface OwnOptions {
  readonly signer: Signer;
  readonly clock: Clock;
  readonly universe: Uint8Array;
  readonly instances: readonly Uint8Array[];
  readonly tags: readonly string[];
  /** A new version is there; not called before `start`. */
  changed(): void;
}

/** See the module. Nothing is signed before `start`. */
export class Own implements OwnEntry {
  readonly #options: OwnOptions;
  readonly #tags: Set<string>;
  readonly #streams = new Set<string>();
  readonly #tickets = new Map<string, { body: Uint8Array; hash: Uint8Array }>();
  #addresses: readonly string[] = [];
  #version: Version = { started: 0, updated: 0 };
  #entry: Entry | undefined;
  #running = false;

  constructor(options: OwnOptions) {
    this.#options = options;
    this.#tags = new Set(options.tags);
    if (options.instances.length > MAX_INSTANCES) {
      throw new RangeError(`an entry names at most ${MAX_INSTANCES} instances`);
    }
  }

  /** The node runs from now on, and can be dialed at these addresses. */
  start(addresses: readonly string[]): void {
    const now = this.#options.clock.wall();
    this.#addresses = [...new Set(addresses)].sort();
    this.#version = { started: now, updated: now };
    this.#running = true;
  }

  /** The newest version, signed when it is first asked for. */
  get entry(): Entry {
    return this.#entry ??= signEntry(this.#options.signer, {
      universe: this.#options.universe,
      ...this.#version,
      addresses: this.#addresses,
      tags: [...this.#tags].sort(),
      streams: [...this.#streams].sort(),
      instances: [...this.#options.instances].sort(compare),
      tickets: [...this.#tickets].map(([name, { hash }]) => ({ class: name, hash }))
        .sort((a, b) => a.class < b.class ? -1 : 1),
    });
  }

  /** The same said anew, which renews its lease. */
  renew(): void {
    const now = this.#options.clock.wall();
    const updated = Math.max(now, this.#version.updated + 1);
    this.#version = { ...this.#version, updated };
    this.#entry = undefined;
  }

  /**
   * Others hold a version of an earlier life that counts as newer than this one, since this
   * machine's clock went back: this life begins after it.
   */
  outlive(version: Version): void {
    const started = Math.max(this.#version.started, version.started + 1);
    this.#version = { started, updated: Math.max(this.#options.clock.wall(), started) };
    this.#changed();
  }

  /** The word that it leaves, which ends every version before it. */
  depart(): Departure {
    this.renew();
    const { signer, universe } = this.#options;
    return signDeparture(signer, { universe, ...this.#version });
  }

  /** The body of a ticket that this node shows. */
  body(hash: Uint8Array): Uint8Array | undefined {
    const wanted = hex(hash);
    for (const ticket of this.#tickets.values()) {
      if (hex(ticket.hash) === wanted) return ticket.body;
    }
    return undefined;
  }

  addTag(tag: string): void {
    this.#add(this.#tags, tag, MAX_TAGS, "tags");
  }
  removeTag(tag: string): void {
    if (this.#tags.delete(tag)) this.#changed();
  }
  addStream(name: string): void {
    this.#add(this.#streams, name, MAX_STREAMS, "streams");
  }
  removeStream(name: string): void {
    if (this.#streams.delete(name)) this.#changed();
  }

  setTicket(ticketClass: string, body: Uint8Array | undefined): void {
    if (body === undefined) {
      if (this.#tickets.delete(ticketClass)) this.#changed();
      return;
    }
    if (!isWord(ticketClass)) throw new RangeError(`a ticket's class cannot be ${ticketClass}`);
    if (body.length === 0 || body.length > MAX_TICKET) {
      throw new RangeError(`a ticket of ${body.length} bytes, expected 1..${MAX_TICKET}`);
    }
    const known = this.#tickets.get(ticketClass);
    const hash = blake3(body);
    if (known !== undefined && hex(known.hash) === hex(hash)) return;
    if (known === undefined && this.#tickets.size >= MAX_TICKETS) {
      throw new RangeError(`an entry shows at most ${MAX_TICKETS} tickets`);
    }
    this.#tickets.set(ticketClass, { body: body.slice(), hash });
    this.#changed();
  }

  #add(set: Set<string>, word: string, most: number, what: string): void {
    if (set.has(word)) return;
    if (!isWord(word)) {
      throw new RangeError(`${what}: expected 1-32 of a-z 0-9 . -, got ${word.slice(0, 64)}`);
    }
    if (set.size >= most) throw new RangeError(`an entry has at most ${most} ${what}`);
    set.add(word);
    this.#changed();
  }

  #changed(): void {
    if (!this.#running) return;
    this.renew();
    this.#options.changed();
  }
}
