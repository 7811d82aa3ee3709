/**
 * Who took part lately, as far as this server saw: the reason for which an absent client's place
 * may be freed, and against which a leader's claim of absence is held.
 */
import { hex, unhex } from "../protocol/bytes.ts";
import type { Roster } from "../protocol/roster.ts";

/** Counts records since each client of the roster was last seen. */
export class Attendance {
  #records = 0;
  readonly #seen = new Map<string, number>();
  /** Clients whose place was freed against what this server saw, by the record at which it was. */
  readonly #wronged = new Map<string, number>();

  constructor(readonly leaseRounds: number) {}

  /** A record was certified with these participants of this roster. */
  record(participants: readonly number[], roster: Roster): void {
    this.#records++;
    const standing = new Set([...roster.clients()].map(([, { client }]) => hex(client)));
    for (const name of this.#seen.keys()) if (!standing.has(name)) this.#seen.delete(name);
    for (const name of standing) if (!this.#seen.has(name)) this.#seen.set(name, this.#records);
    for (const index of participants) {
      const entry = roster.at(index);
      if (entry) this.#seen.set(hex(entry.client), this.#records);
    }
    for (const [name, since] of this.#wronged) {
      if (standing.has(name) || this.#records - since >= this.leaseRounds) {
        this.#wronged.delete(name);
      }
    }
  }

  /** Clients whose lease is over, with their indices. */
  absent(roster: Roster): { readonly index: number; readonly client: Uint8Array }[] {
    const out = [];
    for (const [index, { client }] of roster.clients()) {
      if (this.#records - (this.#seen.get(hex(client)) ?? this.#records) >= this.leaseRounds) {
        out.push({ index, client });
      }
    }
    return out;
  }

  /** A client's place was freed for absence: held against what this server saw. */
  expired(client: Uint8Array): void {
    const name = hex(client), seen = this.#seen.get(name);
    if (seen !== undefined && this.#records - seen < this.leaseRounds) {
      this.#wronged.set(name, this.#records);
    }
    this.#seen.delete(name);
  }

  /** A client that lost its place without a reason and does not stand in the roster again. */
  wronged(roster: Roster): string | undefined {
    for (const name of this.#wronged.keys()) {
      if (roster.indexOf(unhex(name, 32)) === undefined) return name;
    }
    return undefined;
  }
}
