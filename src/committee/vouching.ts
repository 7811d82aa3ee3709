/**
 * What this server vouches for: its words, offered until the order has them; taken back when they
 * end, or when what they rest on does not hold any more.
 */
import { hex } from "../protocol/bytes.ts";
import type { Signer } from "../protocol/keys.ts";
import { encodeCommand } from "./commands.ts";
import type { Proposals } from "./proposals.ts";
import type { CommitteeState } from "./state.ts";
import { createVouch, stands, type Vouch, VOUCHES_PER_CLIENT } from "./vouches.ts";

/** How long a client may stand in the roster after its vouch ended: until the order knows of it. */
export const LAPSE_GRACE_MS = 60_000;
/** How often what is owed is looked at; words given meanwhile are offered together. */
const OWE_MS = 100;
/** How often this server looks for vouches that ended. */
const LOOK_MS = 1_000;

/** What it works with. */
export interface VouchingOptions {
  readonly signer: Signer;
  readonly instance: Uint8Array;
  /** Place in the manifest. */
  readonly self: number;
  readonly maxClients: number;
}

/** See the module comment. */
export class Vouching {
  readonly #owed = new Map<string, Vouch>();
  #look = 0;
  #next = 0;

  constructor(readonly options: VouchingOptions) {}

  /** Vouches for a client until then (Unix ms); no later than `now` takes the word back. */
  say(client: Uint8Array, until: number, { vouches }: CommitteeState, now: number): void {
    const { signer, instance, self } = this.options, name = hex(client);
    const before = Math.max(
      vouches.of(self, client)?.time ?? 0,
      this.#owed.get(name)?.time ?? 0,
    );
    const time = Math.max(now, before + 1);
    this.#owe(name, createVouch(signer, instance, { client, time, until: Math.max(0, until) }));
  }

  /** Words of an order that is over, said again in the new one. */
  repeat(vouches: Iterable<Vouch>, now: number): void {
    for (const vouch of vouches) {
      if (stands(vouch) && vouch.until > now) this.#owe(hex(vouch.client), vouch);
    }
  }

  /** Whether this server lets a client stand in the roster of a header. */
  admits(client: Uint8Array, { vouches }: CommitteeState, now: number): boolean {
    const vouch = vouches.of(this.options.self, client);
    return vouch !== undefined && stands(vouch) && vouch.until + LAPSE_GRACE_MS >= now;
  }

  /** Offers what the order does not have yet; `wall` tells which vouches have ended. */
  owe(state: CommitteeState, proposals: Proposals, now: number, wall: number): void {
    const { self } = this.options;
    if (now >= this.#look) {
      this.#look = now + LOOK_MS;
      for (const vouch of state.vouches.by(self)) {
        if (stands(vouch) && vouch.until < wall) this.say(vouch.client, 0, state, wall);
      }
    }
    if (this.#owed.size === 0 || now < this.#next) return;
    this.#next = now + OWE_MS;
    const owed: [string, Uint8Array][] = [];
    for (const [name, vouch] of this.#owed) {
      const known = state.vouches.of(self, vouch.client);
      if (known && known.time >= vouch.time) this.#owed.delete(name);
      else owed.push([name + vouch.time, encodeCommand({ kind: "vouch", server: self, vouch })]);
    }
    proposals.together(owed);
  }

  #owe(name: string, vouch: Vouch): void {
    if (!this.#owed.has(name)) {
      const most = VOUCHES_PER_CLIENT * this.options.maxClients;
      if (this.#owed.size >= most) this.#owed.delete(this.#owed.keys().next().value!);
    }
    this.#owed.set(name, vouch);
  }
}
