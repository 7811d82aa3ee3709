/**
 * Whom a follower asks: not who sent something false, left the committee or was late just now while
 * there are others, and, where every record is wanted, not who lacks the next one.
 */
import { hex } from "../protocol/bytes.ts";
import { serverIndex } from "../protocol/manifest.ts";
import type { Peer } from "../universe/network.ts";
import type { FollowerOptions } from "./follower.ts";

/** Time for which a reader looks for a holder of what others lack, ms, before it accepts a gap. */
export const SEARCH_MS = 10_000;

/** Time for which a holder is passed over that was late, ms. */
export const LATE_MS = 30_000;

/** Holders whose refusal, lack or lateness is remembered; beyond, all is forgotten. */
const MAX_REMEMBERED = 1_024;

/** See the module comment. */
export class Search {
  /** By peer, the first round from which it has records, as it said or showed. */
  readonly #lacking = new Map<string, number>();
  readonly #refused = new Set<string>();
  /** By peer, until when it is passed over. */
  readonly #late = new Map<string, number>();
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
    return this.current(may);
  }

  /** Those of some peers that sent nothing false, have not left the committee and are in time. */
  current(peers: readonly Peer[]): readonly Peer[] {
    const now = this.options.environment.clock.now();
    const honest = some(peers, ({ id }) => !this.#refused.has(id));
    const members = some(honest, (peer) => !this.left(peer));
    return some(members, ({ id }) => (this.#late.get(id) ?? 0) <= now);
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

  /** A holder has nothing new. */
  late({ id }: Peer): void {
    if (this.#late.size >= MAX_REMEMBERED) this.#late.clear();
    this.#late.set(id, this.options.environment.clock.now() + LATE_MS);
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
