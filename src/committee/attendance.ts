/**
 * Who took part lately, as far as this server saw: the reason for which an absent client's place
 * may be freed, and against which a leader's claim of absence is held. Servers do not all run for
 * equally long, so of what one cannot know it says nothing: who only stood in the roster is given a
 * whole lease by a leader, and is not held against one.
 */
import { hex, unhex } from "../protocol/bytes.ts";
import type { Parameters } from "../protocol/parameters.ts";
import type { Roster } from "../protocol/roster.ts";

/** Counts records since each client of the roster was last seen. */
export class Attendance {
  #records = 0;
  /** The record in which each client of the roster took part last. */
  readonly #took = new Map<string, number>();
  /** The record with which each came to stand in the roster, as far as this server saw. */
  readonly #stood = new Map<string, number>();
  /** Clients whose place was freed against what this server saw, and until when that is held. */
  readonly #wronged = new Map<string, number>();

  constructor(readonly lease: Pick<Parameters, "leaseRounds" | "roundPeriod">) {}

  /** A record is this server's head, with these participants of this roster. */
  record(participants: readonly number[], roster: Roster): void {
    this.#records++;
    const standing = new Set([...roster.clients()].map(([, { client }]) => hex(client)));
    for (const seen of [this.#took, this.#stood]) {
      for (const name of seen.keys()) if (!standing.has(name)) seen.delete(name);
    }
    for (const name of standing) if (!this.#stood.has(name)) this.#stood.set(name, this.#records);
    for (const index of participants) {
      const entry = roster.at(index);
      if (entry) this.#took.set(hex(entry.client), this.#records);
    }
    for (const name of this.#wronged.keys()) if (standing.has(name)) this.#wronged.delete(name);
  }

  /** Clients whose lease is over, with their indices. */
  absent(roster: Roster): { readonly index: number; readonly client: Uint8Array }[] {
    const out = [];
    for (const [index, { client }] of roster.clients()) {
      const name = hex(client);
      const seen = this.#took.get(name) ?? this.#stood.get(name) ?? this.#records;
      if (this.#records - seen >= this.lease.leaseRounds) out.push({ index, client });
    }
    return out;
  }

  /** A client's place was freed for absence, at `now` (ms): held against what this server saw. */
  expired(client: Uint8Array, now: number): void {
    const { leaseRounds, roundPeriod } = this.lease, name = hex(client);
    const took = this.#took.get(name);
    // For as long as a lease lasts: no records come meanwhile, and the client may be gone by now.
    if (took !== undefined && this.#records - took < leaseRounds) {
      this.#wronged.set(name, now + leaseRounds * roundPeriod);
    }
    this.#took.delete(name);
    this.#stood.delete(name);
  }

  /** A client that lost its place without a reason and does not stand in the roster again. */
  wronged(roster: Roster, now: number): string | undefined {
    for (const [name, until] of this.#wronged) {
      if (now >= until) this.#wronged.delete(name);
      else if (roster.indexOf(unhex(name, 32)) === undefined) return name;
    }
    return undefined;
  }
}
