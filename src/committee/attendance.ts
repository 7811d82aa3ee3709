/**
 * Who took part lately, as far as this server saw: the reason for which an absent client's place
 * may be freed, and against which a leader's claim of absence is held.
 */
import { hex } from "../protocol/bytes.ts";
import type { Roster } from "../protocol/roster.ts";

/** Counts records since each client was last seen; bounded by the roster. */
export class Attendance {
  #records = 0;
  readonly #seen = new Map<string, number>();

  constructor(readonly leaseRounds: number) {}

  /** A record was certified with these participants. */
  record(participants: readonly number[], roster: Roster): void {
    this.#records++;
    for (const index of participants) {
      const entry = roster.at(index);
      if (entry) this.#seen.set(hex(entry.client), this.#records);
    }
    for (const [, { client }] of roster.clients()) {
      if (!this.#seen.has(hex(client))) this.#seen.set(hex(client), this.#records);
    }
    if (this.#seen.size > 2 * roster.count + 16) {
      for (const name of this.#seen.keys()) {
        if (this.#records - this.#seen.get(name)! > 2 * this.leaseRounds) this.#seen.delete(name);
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

  /** Whether this server saw the client in one of the last `leaseRounds` records. */
  sawLately(client: Uint8Array): boolean {
    const seen = this.#seen.get(hex(client));
    return seen !== undefined && this.#records - seen < this.leaseRounds;
  }

  /** Forgets a client whose place was given up, so that its next session starts anew. */
  forget(client: Uint8Array): void {
    this.#seen.delete(hex(client));
  }
}
