/**
 * Registrations that this server admitted, offered until the order has them: an engine may lose
 * what it is given before it knows its leader, or begin anew without the roster.
 */
import { hex } from "../protocol/bytes.ts";
import type { Registration } from "../protocol/registration.ts";
import type { Proposals } from "./proposals.ts";
import type { CommitteeState } from "./state.ts";

/** How long a registration is offered; one that the order does not take is no use for longer. */
const OFFER_MS = 60_000;

/** See the module comment; bounded by `maxClients`. */
export class Seating {
  readonly #waiting = new Map<
    string,
    { readonly registration: Registration; readonly until: number }
  >();

  constructor(readonly maxClients: number) {}

  /** A registration to be seated; the newest session of a client counts. */
  add(registration: Registration, now: number): void {
    const name = hex(registration.client), before = this.#waiting.get(name);
    if (before && before.registration.session > registration.session) return;
    if (!before && this.#waiting.size >= this.maxClients) return;
    this.#waiting.set(name, { registration, until: now + OFFER_MS });
  }

  /** Offers what the state has not seated yet. */
  owe({ registry }: CommitteeState, proposals: Proposals, now: number): void {
    for (const [name, { registration, until }] of this.#waiting) {
      const { client, session } = registration, seated = registry.session(client);
      if (now >= until || (seated !== undefined && seated >= session)) this.#waiting.delete(name);
      else proposals.offer(`register ${name} ${session}`, { kind: "register", registration });
    }
  }
}
