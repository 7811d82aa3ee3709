/**
 * The entries of a universe that this node holds: each of them signed, the newest of its node, not
 * older than a lease and not from the future, whatever way it came. Nothing else is hearsay.
 *
 * It is bounded, and nobody can fill it alone: each sender may bring so many new nodes a minute, and
 * when it is full a newcomer takes the place of the youngest of whoever brought most. Nodes that
 * `kept` names never go for that, those of our own instance go last.
 */
import { equal, hex } from "../../protocol/bytes.ts";
import type { Clock } from "../environment.ts";
import { compareVersions, type Departure, type Entry, genuine, type Version } from "./entry.ts";
import { Quota } from "./quota.ts";
import { type RoundTrip, smooth } from "./rtt.ts";
import { Tombs } from "./tombs.ts";
import type { PeerInfo } from "./view.ts";

/** How long an entry holds after it was signed, in milliseconds. */
export const LEASE_MS = 180_000;
/** How far ahead another node's clock may be, in milliseconds. */
export const DRIFT_MS = 60_000;
/** Entries that are held. */
export const MAX_ENTRIES = 4_096;
/** Nodes that one sender may make known: at once, and each second after that. */
export const NEW_BURST = 512;
export const NEW_PER_SECOND = 4;
/** Versions of one node that are taken: at once, and each second after that. */
export const VERSION_BURST = 16;
export const VERSIONS_PER_SECOND = 0.1;

/** What became of an entry or departure. */
export type Outcome =
  | "new"
  | "updated"
  | "departed"
  /** Not newer than what is known. */
  | "stale"
  /** Its lease is over. */
  | "outdated"
  /** From the future. */
  | "drifted"
  | "other-universe"
  /** The signature is not its node's. */
  | "forged"
  /** Its sender, or its node, says too much. */
  | "limited"
  | "full"
  /** This node's own. */
  | "own";

/** What a catalog is told once. */
export interface CatalogOptions {
  readonly clock: Clock;
  /** Universe id, 32 bytes. */
  readonly universe: Uint8Array;
  /** This node's id. */
  readonly self: string;
  /** This node's instance. */
  readonly instance: Uint8Array;
  /** Whether a node must stay: one that we are linked with, or of our instance and met. */
  kept(id: string): boolean;
  /** An entry is new, newer, or gone. */
  changed(kind: "discovered" | "updated" | "departed", peer: PeerInfo, entry: Entry): void;
  /** Others hold this version of this node. */
  own(version: Version): void;
}

/** Who brought a node: another's id, or the node itself. */
const ITSELF = "itself";

interface Held {
  entry: Entry;
  info: PeerInfo | undefined;
  readonly by: string;
  rtt: RoundTrip | undefined;
  /** The smoothed time that was told last. */
  told: number;
}

/** By how much of itself a smoothed time changes before it is news. */
const RTT_NEWS = 1 / 4;

/** See the module. */
export class Catalog {
  readonly #options: CatalogOptions;
  /** In the order in which the nodes became known. */
  readonly #held = new Map<string, Held>();
  readonly #tombs = new Tombs(LEASE_MS + DRIFT_MS);
  readonly #newcomers = new Quota(NEW_BURST, NEW_PER_SECOND);
  readonly #versions = new Quota(VERSION_BURST, VERSIONS_PER_SECOND);
  #sorted: PeerInfo[] | undefined;
  /** No lease ends before it. */
  #lapse = Infinity;

  constructor(options: CatalogOptions) {
    this.#options = options;
  }

  /** Entries whose lease runs, by id. */
  peers(): readonly PeerInfo[] {
    this.expire();
    return this.#sorted ??= [...this.#held.values()].map((held) => infoOf(held))
      .sort((a, b) => a.id < b.id ? -1 : 1);
  }

  get(id: string): PeerInfo | undefined {
    this.expire();
    const held = this.#held.get(id);
    return held && infoOf(held);
  }

  /** The entry itself, or the departure, of a node. */
  item(id: string): Entry | Departure | undefined {
    return this.#held.get(id)?.entry ?? this.#tombs.get(id);
  }

  /** Everything that is held: entries, and departures. */
  items(): (Entry | Departure)[] {
    this.expire();
    return [...[...this.#held.values()].map(({ entry }) => entry), ...this.#tombs.all()];
  }

  get size(): number {
    this.expire();
    return this.#held.size;
  }

  /** Takes an entry that `from` handed over. Its signature is checked if all else speaks for it. */
  upsert(entry: Entry, from: string): Outcome {
    const now = this.#options.clock.wall();
    const held = this.#held.get(entry.id);
    const early = this.#judge(entry, held?.entry, now);
    if (early !== undefined) return early;
    if (entry.updated + LEASE_MS <= now) return "outdated";
    if (this.#tombs.covers(entry.id, entry)) return "stale";
    const by = from === entry.id ? ITSELF : from;
    if (held === undefined && by !== ITSELF && !this.#newcomers.take(by, now)) return "limited";
    if (!genuine(entry)) return "forged";
    if (!this.#versions.take(entry.id, now)) return "limited";
    this.#lapse = Math.min(this.#lapse, entry.updated + LEASE_MS);
    this.#sorted = undefined;
    if (held !== undefined) {
      held.entry = entry;
      held.info = undefined;
      this.#options.changed("updated", infoOf(held), entry);
      return "updated";
    }
    if (!this.#makeRoom(by, this.#ours(entry))) return "full";
    this.#tombs.remove(entry.id);
    const added: Held = { entry, info: undefined, by, rtt: undefined, told: -1 };
    this.#held.set(entry.id, added);
    this.#options.changed("discovered", infoOf(added), entry);
    return "new";
  }

  /** Takes a departure that `from` handed over. */
  depart(departure: Departure, from: string): Outcome {
    const now = this.#options.clock.wall();
    const held = this.#held.get(departure.id);
    const tomb = this.#tombs.get(departure.id);
    const early = this.#judge(departure, tomb, now);
    if (early !== undefined) return early;
    if (departure.updated + LEASE_MS + DRIFT_MS <= now) return "outdated";
    if (held !== undefined && compareVersions(departure, held.entry) < 0) return "stale";
    const unknown = held === undefined && from !== departure.id;
    if (unknown && !this.#newcomers.take(from, now)) return "limited";
    if (!genuine(departure)) return "forged";
    this.#tombs.add(departure, held !== undefined);
    this.#lapse = Math.min(this.#lapse, departure.updated + LEASE_MS + DRIFT_MS);
    if (held !== undefined) this.#remove(held);
    return "departed";
  }

  /** Whether a version of a node would be taken, as far as that can be told without it. */
  wants(id: string, version: Version, departure: boolean): boolean {
    if (id === this.#options.self) return false;
    const now = this.#options.clock.wall();
    const until = version.updated + LEASE_MS + (departure ? DRIFT_MS : 0);
    if (version.updated > now + DRIFT_MS || until <= now) return false;
    const held = this.#held.get(id)?.entry;
    const tomb = this.#tombs.get(id);
    if (!departure) {
      return !this.#tombs.covers(id, version) &&
        (held === undefined || compareVersions(version, held) > 0);
    }
    if (tomb !== undefined) return compareVersions(version, tomb) > 0;
    return held === undefined || compareVersions(version, held) >= 0;
  }

  /** One more round-trip time of a node, in milliseconds; tells whether that is news. */
  sample(id: string, ms: number): boolean {
    const held = this.#held.get(id);
    if (held === undefined) return false;
    held.rtt = smooth(held.rtt, ms);
    held.info = undefined;
    this.#sorted = undefined;
    const now = held.rtt?.smoothed ?? held.told;
    if (Math.abs(now - held.told) <= held.told * RTT_NEWS) return false;
    held.told = now;
    return true;
  }

  /** Drops what is past its time. */
  expire(): void {
    const now = this.#options.clock.wall();
    if (now < this.#lapse) return;
    this.#lapse = this.#tombs.expire(now);
    for (const held of [...this.#held.values()]) {
      const until = held.entry.updated + LEASE_MS;
      if (until <= now) this.#remove(held);
      else this.#lapse = Math.min(this.#lapse, until);
    }
  }

  /** What speaks against an item at first sight. */
  #judge(item: Entry | Departure, known: Version | undefined, now: number): Outcome | undefined {
    if (!equal(item.universe, this.#options.universe)) return "other-universe";
    if (item.updated > now + DRIFT_MS) return "drifted";
    if (item.id === this.#options.self) {
      if (genuine(item)) this.#options.own(item);
      return "own";
    }
    return known !== undefined && compareVersions(item, known) <= 0 ? "stale" : undefined;
  }

  #ours(entry: Entry): boolean {
    return entry.instances.some((instance) => equal(instance, this.#options.instance));
  }

  #remove(held: Held): void {
    this.#held.delete(held.entry.id);
    this.#sorted = undefined;
    this.#options.changed("departed", infoOf(held), held.entry);
  }

  /** Room for one more that `by` brought; false if there is none. */
  #makeRoom(by: string, ours: boolean): boolean {
    if (this.#held.size < MAX_ENTRIES) return true;
    const foreign = this.#youngest((held) => !this.#ours(held.entry));
    const victim = foreign ?? (ours ? this.#youngest(() => true) : undefined);
    if (victim === undefined) return false;
    const fair = victim.by !== by || (ours && victim === foreign);
    if (fair) this.#remove(victim);
    return fair;
  }

  /** The youngest of those that whoever brought most of them brought. */
  #youngest(among: (held: Held) => boolean): Held | undefined {
    const brought = new Map<string, { count: number; last: Held }>();
    for (const held of this.#held.values()) {
      if (!among(held) || this.#options.kept(held.entry.id)) continue;
      brought.set(held.by, { count: (brought.get(held.by)?.count ?? 0) + 1, last: held });
    }
    let most: { count: number; last: Held } | undefined;
    for (const one of brought.values()) if (one.count > (most?.count ?? 0)) most = one;
    return most?.last;
  }
}

function infoOf(held: Held): PeerInfo {
  const { entry } = held;
  return held.info ??= {
    id: entry.id,
    key: entry.key,
    addresses: entry.addresses,
    tags: new Set(entry.tags),
    streams: new Set(entry.streams),
    instances: new Set(entry.instances.map(hex)),
    tickets: entry.tickets.map((ticket) => ({ class: ticket.class, hash: hex(ticket.hash) })),
    ...(held.rtt && { rtt: held.rtt.smoothed }),
  };
}
