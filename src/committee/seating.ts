/**
 * Registrations that this server admitted, offered until the order has them: an engine may lose
 * what it is given before it knows its leader, or begin anew without the roster.
 */
import { hex } from "../protocol/bytes.ts";
import type { Registration } from "../protocol/registration.ts";
import { encodeCommand } from "./commands.ts";
import type { Proposals } from "./proposals.ts";
import type { CommitteeState } from "./state.ts";

/** How long a registration is offered; one that the order does not take is no use for longer. */
const OFFER_MS = 60_000;

/** How often what waits is looked at; what came meanwhile is offered together. */
const LOOK_MS = 100;

/** How far a registration's session time may be from this server's clock. */
const MAX_SESSION_SKEW_MS = 86_400_000;

interface Waiting {
  readonly registration: Registration;
  readonly until: number;
  readonly command: Uint8Array;
  /** The command in hex, as the state names what the order has and the roster not yet. */
  readonly ordered: string;
}

/** See the module comment; bounded by `maxClients`. */
export class Seating {
  readonly #waiting = new Map<string, Waiting>();

  #look = 0;

  constructor(readonly maxClients: number) {}

  /** Takes an admitted client's registration, at a Unix time; answers why not, or undefined. */
  seat(
    registration: Registration,
    { registry }: CommitteeState,
    now: number,
    wall: number,
  ): string | undefined {
    const { client, session } = registration, seated = registry.session(client);
    if (Math.abs(wall - session) > MAX_SESSION_SKEW_MS) return "session time more than a day off";
    if (seated === session) return undefined;
    if (seated !== undefined && seated > session) return "a newer session of this client exists";
    const full = registry.size >= this.maxClients;
    if (seated === undefined && full) return "the roster is full";
    this.add(registration, now);
    return undefined;
  }

  /** A registration to be seated; the newest session of a client counts. */
  add(registration: Registration, now: number): void {
    const name = hex(registration.client), before = this.#waiting.get(name);
    if (before && before.registration.session > registration.session) return;
    if (!before && this.#waiting.size >= this.maxClients) return;
    const command = encodeCommand({ kind: "register", registration }), ordered = hex(command);
    this.#waiting.set(name, { registration, until: now + OFFER_MS, command, ordered });
  }

  /** Offers what the state has not seated yet, of clients that it would seat. */
  owe(state: CommitteeState, proposals: Proposals, now: number): void {
    if (this.#waiting.size === 0 || now < this.#look) return;
    this.#look = now + LOOK_MS;
    const { registry, waiting } = state, owed: [string, Uint8Array][] = [];
    for (const [name, { registration, until, command, ordered }] of this.#waiting) {
      const { client, session } = registration, seated = registry.session(client);
      if (now >= until || (seated !== undefined && seated >= session)) this.#waiting.delete(name);
      else if (state.admissible(client) && !waiting.has(ordered)) {
        owed.push([`register ${name} ${session}`, command]);
      }
    }
    proposals.together(owed);
  }
}
