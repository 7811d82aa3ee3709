/**
 * What a node keeps of frames that have begun and not ended, for all its streams together. Whoever
 * begins long frames and does not end them loses the streams on which most of it is kept.
 */
import { Tally } from "./bucket.ts";
import type { Environment } from "./environment.ts";
import type { Guard } from "./guard.ts";

/** A link on which a frame may have begun. */
export interface Receiving {
  /** The peer's id. */
  readonly id: string;
  /** Ends it, as if from outside. */
  lose(reason: string): void;
}

/** See the module comment. */
export class Unfinished {
  readonly #links = new Map<Receiving, number>();
  readonly #peers = new Tally();

  constructor(readonly environment: Environment, readonly guard: Guard) {}

  /** Bytes that are kept, of strangers. */
  get total(): number {
    return this.#peers.total;
  }

  /** So many bytes more or less are kept for a link; false where it was ended for it. */
  kept(link: Receiving, bytes: number): boolean {
    if (bytes > 0 && this.guard.favours(link.id)) return true;
    const before = this.#links.get(link) ?? 0, now = Math.max(0, before + bytes);
    this.#peers.add(link.id, now - before);
    if (now === 0) this.#links.delete(link);
    else this.#links.set(link, now);
    if (bytes <= 0) return true;
    const { unfinished, unfinishedPerPeer } = this.guard.limits;
    if (this.#peers.of(link.id) > unfinishedPerPeer) this.#relieve("unfinishedPerPeer", link.id);
    while (this.#peers.total > unfinished) this.#relieve("unfinished", this.#peers.largest()!);
    return this.#links.has(link);
  }

  /** A link ended. */
  forget(link: Receiving): void {
    this.#peers.add(link.id, -(this.#links.get(link) ?? 0));
    this.#links.delete(link);
  }

  /** Ends the link of a peer that keeps most. */
  #relieve(limit: "unfinished" | "unfinishedPerPeer", id: string): void {
    let fullest: Receiving | undefined;
    for (const [link, bytes] of this.#links) {
      if (link.id === id && bytes > (fullest ? this.#links.get(fullest)! : 0)) fullest = link;
    }
    if (fullest === undefined) return;
    const kept = this.#peers.of(id);
    this.guard.count(limit);
    this.environment.observe("warn", "slow writer cut", {
      peer: id,
      limit,
      kept,
      most: this.guard.limits[limit],
    });
    this.forget(fullest);
    fullest.lose("its frames do not end");
  }
}
