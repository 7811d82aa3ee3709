/**
 * A catalog for tests of streams, in place of the discovery service: nodes of one process that know
 * of each other what the test lets them know. A change of an entry reaches those who know the node
 * after `SPREAD_MS`, unless the board is quiet; a sync always does.
 */
import { hex } from "../../../src/protocol/bytes.ts";
import { blake3 } from "../../../src/protocol/hash.ts";
import type { CatalogView, OwnEntry, PeerInfo } from "../../../src/universe/discovery/view.ts";
import type { Environment } from "../../../src/universe/environment.ts";
import { type Network, NetworkError } from "../../../src/universe/network.ts";

/** How long news take, in milliseconds. */
const SPREAD_MS = 5;

/** All nodes. */
export class Board {
  readonly nodes = new Map<string, BoardNode>();
  /** While true, changes reach nobody but by a sync. */
  quiet = false;

  add(network: Network, environment: Environment): BoardNode {
    const node = new BoardNode(this, network, environment);
    this.nodes.set(network.self.id, node);
    return node;
  }

  /** Every node knows every other. */
  meetAll(): void {
    for (const one of this.nodes.values()) {
      for (const other of this.nodes.values()) one.hear(other);
    }
  }
}

/** One node: what it says of itself, and what it knows of the others. */
export class BoardNode implements CatalogView, OwnEntry {
  readonly #known = new Map<string, PeerInfo>();
  readonly #rtts = new Map<string, number>();
  readonly #listeners = new Set<() => void>();
  readonly #tags = new Set<string>();
  readonly #streams = new Set<string>();
  readonly #tickets = new Map<string, Uint8Array>();
  #told = false;
  /** Syncs that this node began. */
  syncs = 0;
  /** Ticket bodies that this node asked for. */
  fetched = 0;

  constructor(
    readonly board: Board,
    readonly network: Network,
    readonly environment: Environment,
  ) {}

  /** What others may know of it now. */
  get info(): PeerInfo {
    const { id, key, addresses } = this.network.self;
    const tickets = [...this.#tickets].map(([name, body]) => ({
      class: name.split("/")[0],
      hash: hex(blake3(body)),
    }));
    return {
      id,
      key,
      addresses,
      tags: new Set(this.#tags),
      streams: new Set(this.#streams),
      instances: new Set(),
      tickets,
    };
  }

  peers(): readonly PeerInfo[] {
    return [...this.#known.keys()].sort().map((id) => this.get(id)!);
  }

  get(id: string): PeerInfo | undefined {
    const info = this.#known.get(id);
    const rtt = this.#rtts.get(id);
    return info && rtt !== undefined ? { ...info, rtt } : info;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  syncWith(peer: { readonly key: Uint8Array }): Promise<void> {
    this.syncs++;
    const other = this.board.nodes.get(hex(peer.key));
    return new Promise((resolve, reject) => {
      this.environment.clock.after(SPREAD_MS, () => {
        if (other === undefined) return reject(new NetworkError("unreachable", "nobody"));
        this.hear(other);
        other.hear(this);
        resolve();
      });
    });
  }

  ticket(id: string, hash: string): Promise<Uint8Array | undefined> {
    this.fetched++;
    const shown = this.board.nodes.get(id);
    const bodies = shown ? [...shown.#tickets.values()] : [];
    return new Promise((resolve) => {
      const body = bodies.find((it) => hex(blake3(it)) === hash);
      this.environment.clock.after(SPREAD_MS, () => resolve(body));
    });
  }

  addTag(tag: string): void {
    this.#tags.add(tag);
    this.#spread();
  }
  removeTag(tag: string): void {
    this.#tags.delete(tag);
    this.#spread();
  }
  addStream(name: string): void {
    this.#streams.add(name);
    this.#spread();
  }
  removeStream(name: string): void {
    this.#streams.delete(name);
    this.#spread();
  }
  /** A class may be written `jwt/2`, for a second ticket of the class. */
  setTicket(ticketClass: string, body: Uint8Array | undefined): void {
    if (body) this.#tickets.set(ticketClass, body);
    else this.#tickets.delete(ticketClass);
    this.#spread();
  }

  /** Knows another node as it is now. */
  hear(other: BoardNode): void {
    if (other === this) return;
    this.#known.set(other.network.self.id, other.info);
    this.#changed();
  }

  /** Knows it no more. */
  forget(other: BoardNode): void {
    if (this.#known.delete(other.network.self.id)) this.#changed();
  }

  /** Measured a round trip with another. */
  measured(other: BoardNode, rtt: number): void {
    this.#rtts.set(other.network.self.id, rtt);
    this.#changed();
  }

  #spread(): void {
    if (this.board.quiet) return;
    const { id } = this.network.self;
    for (const other of this.board.nodes.values()) {
      other.environment.clock.after(SPREAD_MS, () => {
        if (other.#known.has(id)) other.hear(this);
      });
    }
  }

  #changed(): void {
    if (this.#told) return;
    this.#told = true;
    queueMicrotask(() => {
      this.#told = false;
      for (const listener of [...this.#listeners]) listener();
    });
  }
}
