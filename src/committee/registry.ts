/**
 * The registry of admitted clients: who stands at which index of the roster. An index that becomes
 * free is used again only after a header that shows it empty.
 */
import { equal, hex } from "../protocol/bytes.ts";
import type { Registration } from "../protocol/registration.ts";
import { Roster } from "../protocol/roster.ts";
import type { Command } from "./commands.ts";

/** Admitted clients, bounded by `maxClients`, in the order that the engine gives. */
export class Registry {
  readonly roster = new Roster();
  readonly #seats = new Map<number, Registration>();
  readonly #agreements = new Set<string>();
  /** Sessions of those who left, so that an old registration cannot bring them back. */
  readonly #gone = new Map<string, { readonly client: Uint8Array; readonly session: number }>();
  #free: number[] = [];
  #freeing: number[] = [];

  constructor(readonly maxClients: number) {}

  /** Clients that stand in the roster. */
  get size(): number {
    return this.roster.count;
  }
  /** Indices left since the last header. */
  get freeing(): readonly number[] {
    return this.#freeing;
  }

  /** Seats a client, or renews its session; false if nothing changed. */
  register(registration: Registration): boolean {
    const { client, agreement, session } = registration;
    const index = this.roster.indexOf(client);
    const last = index === undefined
      ? this.#gone.get(hex(client))?.session
      : this.#seats.get(index)!.session;
    if (last !== undefined && session <= last) return false;
    if (this.#agreements.has(hex(agreement))) return false;
    const place = index ?? this.#take();
    if (place === undefined) return false;
    this.#put(place, registration);
    this.#gone.delete(hex(client));
    return true;
  }

  /** The client goes of its own will. */
  leave(registration: Registration): boolean {
    const index = this.roster.indexOf(registration.client);
    if (index === undefined || registration.session < this.#seats.get(index)!.session) return false;
    return this.#vacate(index, registration.session);
  }

  /** The client was absent for too long. */
  expire(index: number, client: Uint8Array): boolean {
    const seat = this.#seats.get(index);
    return seat !== undefined && equal(seat.client, client) && this.#vacate(index, seat.session);
  }

  /** The client may not stand here any more. */
  remove(client: Uint8Array): boolean {
    const index = this.roster.indexOf(client);
    return index !== undefined && this.#vacate(index, this.#seats.get(index)!.session);
  }

  /** A header showed the roster as it is: what is empty in it may be used again. */
  headed(): void {
    this.#free = [...this.#free, ...this.#freeing].sort((a, b) => b - a);
    this.#freeing = [];
  }

  /** The session of a seated client. */
  session(client: Uint8Array): number | undefined {
    const index = this.roster.indexOf(client);
    return index === undefined ? undefined : this.#seats.get(index)!.session;
  }

  /** Registrations of all that stand in the roster. */
  registrations(): Iterable<Registration> {
    return this.#seats.values();
  }

  /** Commands that seat everybody again, after `places`. */
  *commands(): Generator<Command> {
    for (const [index, registration] of this.#seats) yield { kind: "seat", index, registration };
    for (const { client, session } of this.#gone.values()) yield { kind: "gone", client, session };
  }

  /** Makes `size` empty places, of which `freeing` may not be used before the next header. */
  places(size: number, freeing: readonly number[]): boolean {
    for (let index = 0; index < size; index++) this.roster.set(index, undefined);
    this.#freeing = [...freeing];
    this.#free = Array.from({ length: size }, (_, i) => size - 1 - i).filter((i) =>
      !freeing.includes(i)
    );
    return true;
  }

  /** Seats a client at a given place. */
  seat(index: number, registration: Registration): boolean {
    const { client, agreement } = registration;
    if (index >= this.roster.size || this.#seats.has(index)) return false;
    if (this.roster.indexOf(client) !== undefined || this.#agreements.has(hex(agreement))) {
      return false;
    }
    this.#free = this.#free.filter((i) => i !== index);
    this.#put(index, registration);
    return true;
  }

  /** Remembers the session of one who left. */
  gone(client: Uint8Array, session: number): boolean {
    if (this.#gone.size >= this.maxClients) this.#gone.delete(this.#gone.keys().next().value!);
    this.#gone.set(hex(client), { client, session });
    return true;
  }

  #take(): number | undefined {
    return this.#free.pop() ?? (this.roster.size < this.maxClients ? this.roster.size : undefined);
  }

  #put(index: number, registration: Registration): void {
    const before = this.#seats.get(index);
    if (before) this.#agreements.delete(hex(before.agreement));
    this.#seats.set(index, registration);
    this.#agreements.add(hex(registration.agreement));
    this.roster.set(index, { client: registration.client, agreement: registration.agreement });
  }

  #vacate(index: number, session: number): boolean {
    const { client, agreement } = this.#seats.get(index)!;
    this.#agreements.delete(hex(agreement));
    this.#seats.delete(index);
    this.roster.set(index, undefined);
    this.#freeing.push(index);
    return this.gone(client, session);
  }
}
