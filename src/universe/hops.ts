/**
 * Who may open relayed connections at a relay: strangers never take what members need, neither of
 * the relay nor of a node that it serves. A relay learns where a connection leads after its stream
 * came, and not on which of a peer's streams, so what one peer holds at a node is at most what it
 * asked for, and at most the streams that it has.
 */

/** Relayed connections of one peer, of all strangers, and of all peers, at one relay. */
export const HOPS_PER_PEER = 16, STRANGER_HOPS = 192, MAX_HOPS = 256;
/** Relayed connections to one node, from one relay; those of strangers. */
export const MAX_STOPS = 96, STRANGER_STOPS = 64;

interface Hopper {
  open: number;
  /** How often it asked for each node since it had no stream. */
  readonly asked: Map<string, number>;
}

/** See the module. Ids are of peers, as 64 hex digits. */
export class Hops {
  readonly #hoppers = new Map<string, Hopper>();

  constructor(readonly favours: (id: string) => boolean) {}

  /** A stream of a peer, for one relayed connection: what says that it ended, or why it may not be. */
  open(id: string): (() => void) | string {
    const hopper = this.#hoppers.get(id) ?? { open: 0, asked: new Map<string, number>() };
    if (this.#sum(() => true) >= MAX_HOPS) return "too many relayed connections";
    if (!this.favours(id)) {
      if (hopper.open >= HOPS_PER_PEER) return "too many relayed connections of one peer";
      if (this.#sum((it) => !this.favours(it)) >= STRANGER_HOPS) {
        return "too many relayed connections of strangers";
      }
    }
    hopper.open++;
    this.#hoppers.set(id, hopper);
    return () => {
      if (--hopper.open === 0) this.#hoppers.delete(id);
    };
  }

  /** A peer asks for a node on one of its streams: whether that node has room for it. */
  leads(id: string, to: string): boolean {
    const hopper = this.#hoppers.get(id);
    if (hopper === undefined) return false;
    if (!this.favours(id) && this.#strangersAt(to) >= STRANGER_STOPS) return false;
    hopper.asked.set(to, (hopper.asked.get(to) ?? 0) + 1);
    return true;
  }

  #sum(among: (id: string) => boolean): number {
    let sum = 0;
    for (const [id, { open }] of this.#hoppers) if (among(id)) sum += open;
    return sum;
  }

  #strangersAt(to: string): number {
    let sum = 0;
    for (const [id, { open, asked }] of this.#hoppers) {
      if (!this.favours(id)) sum += Math.min(open, asked.get(to) ?? 0);
    }
    return sum;
  }
}
