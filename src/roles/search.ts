/**
 * Whom a follower asks: not who sent something false or left the committee while there are others,
 * and, where every record is wanted, not who lacks the next one.
 */
import { hex } from "../protocol/bytes.ts";
import { serverIndex } from "../protocol/manifest.ts";
import type { Peer } from "../universe/network.ts";
import type { FollowerOptions } from "./follower.ts";

/** Time for which a reader looks for a holder of what others lack, ms, before it accepts a gap. */
export const SEARCH_MS = 10_000;

/** Holders whose refusal or lack is remembered; beyond, all is forgotten. */
const MAX_REMEMBERED = 1_024;

/** See the module comment. */
export class Search {
  /** By peer, the first round from which it has records, as it said or showed. */
  readonly #lacking = new Map<string, number>();
  readonly #refused = new Set<string>();
  /** Nobody has it: a gap is accepted until the next record came. */
  #over = false;
  #cancel: (() => void) | undefined;

  constructor(
    readonly options: Pick<
      FollowerOptions,
      "network" | "environment" | "epochs" | "complete" | "candidates"
    >,
  ) {}

  /** Holders to ask for round `wanted`, best first. */
  candidates(wanted: number): readonly Peer[] {
    const all = this.options.candidates();
    const may = this.#over
      ? all
      : all.filter(({ id }) => (this.#lacking.get(id) ?? wanted) <= wanted);
    return this.current(some(may, ({ id }) => !this.#refused.has(id)));
  }

  /** Those of some peers that have not left the committee, unless all did. */
  current(peers: readonly Peer[]): readonly Peer[] {
    return some(peers, (peer) => !this.left(peer));
  }

  /** Whether a peer is a server that is not of the newest epoch. */
  left({ role, key }: Peer): boolean {
    return role === "server" && serverIndex(this.options.epochs.newest, key) < 0;
  }

  /** A holder lacks round `wanted`, and goes on from `offered`; whether to ask another. */
  lacks({ id }: Peer, wanted: number, offered: number): boolean {
    const { complete, environment: { clock }, epochs, network } = this.options;
    if (complete === undefined || this.#over) return false;
    if (this.#lacking.size >= MAX_REMEMBERED) this.#lacking.clear();
    this.#lacking.set(id, offered);
    const others = epochs.newest.servers.map(hex).filter((server) => server !== network.self.id);
    if (others.every((server) => (this.#lacking.get(server) ?? 0) > wanted)) {
      this.#over = true;
      return false;
    }
    if (Number.isFinite(complete)) {
      this.#cancel ??= clock.after(complete, () => {
        this.#over = true;
      });
    }
    return true;
  }

  /** The next record came. */
  found(): void {
    this.close();
    this.#over = false;
  }

  /** A holder sent something false. */
  refuse({ id }: Peer): void {
    if (this.#refused.size >= MAX_REMEMBERED) this.#refused.clear();
    this.#refused.add(id);
  }

  /** Ends the search. */
  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}

/** Those that fit, or all where none does. */
function some(peers: readonly Peer[], fits: (peer: Peer) => boolean): readonly Peer[] {
  const fitting = peers.filter(fits);
  return fitting.length > 0 ? fitting : peers;
}
