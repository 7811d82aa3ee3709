/**
 * Which servers have shown a ticket that holds. Each ticket is judged once, one after the other, off
 * the round's path, and again when collateral changes; it ends by itself. Whoever serves tickets on
 * is believed in nothing: a ticket speaks for one key, and that key proves itself on its connection
 * or by its signatures.
 */
import { AttestationError } from "../attest/reasons.ts";
import { decodeTicket, type Ticket, type VerifiedTicket, verifyTicket } from "../attest/ticket.ts";
import { equal, hex } from "../protocol/bytes.ts";
import { MAX_SERVERS } from "../protocol/parameters.ts";
import type { Environment } from "../universe/environment.ts";
import type { Attestation } from "./attestation.ts";
import type { Fresh } from "./freshness.ts";

/** Servers whose tickets are kept: those of a committee, and as many that may join it. */
export const MAX_ATTESTED = 2 * MAX_SERVERS;
/** Tickets that wait to be judged. */
const MAX_WAITING = 256;
/** How often what could not be judged yet is looked at again. */
const AGAIN_MS = 1_000;
/** How much longer a ticket must hold to take another one's place, ms. */
const LATER_MS = 1_000;

/** What it works with. */
export interface AttestedOptions {
  readonly environment: Environment;
  /** Instance id, 32 bytes. */
  readonly instance: Uint8Array;
  readonly attestation: Attestation;
  /** Whose tickets are wanted. */
  readonly wanted: (key: Uint8Array) => boolean;
  /**
   * Whether a ticket was made when it says, for those who judge that; undefined where nothing is
   * known yet to judge it by: it holds until there is.
   */
  readonly fresh?: (ticket: Ticket) => Fresh | undefined;
  /** A server's ticket verified, though its record may be still to come. */
  readonly proven?: (key: Uint8Array) => void;
}

/** A server's ticket as it came. */
export interface ServerTicket {
  readonly key: Uint8Array;
  readonly bytes: Uint8Array;
}

interface Pending extends ServerTicket {
  readonly why: string;
  /** It verified, and waits for its record alone. */
  readonly proven: boolean;
  /** Its server was told of in the log. */
  told?: boolean;
}

interface Standing extends ServerTicket {
  readonly until: number;
  readonly cancel: () => void;
}

/** A server's ticket holds from now on, or (with a reason) no more. */
export type TicketListener = (key: Uint8Array, refusal: string | undefined) => void;

/** See the module comment. */
export class AttestedServers {
  readonly #standing = new Map<string, Standing>();
  /** Why a server has none, if one came. */
  readonly #refusals = new Map<string, string>();
  /** Tickets that cannot be judged yet: their collateral, or their record, is not here. */
  readonly #pending = new Map<string, Pending>();
  /** Tickets that hold though nobody could tell how fresh they are. */
  readonly #unjudged = new Map<string, ServerTicket>();
  readonly #listeners = new Set<TicketListener>();
  readonly #unsubscribe: () => void;
  #waiting = 0;
  #tail: Promise<unknown> = Promise.resolve();
  #cancelAgain = () => {};
  #stopped = false;

  constructor(readonly options: AttestedOptions) {
    this.#unsubscribe = options.attestation.collateral.onChange(() => {
      for (const { key, bytes } of [...this.#standing.values()]) this.#judge(key, bytes);
      this.#lookAgain();
    });
  }

  /** Tickets that hold. */
  get tickets(): readonly ServerTicket[] {
    return [...this.#standing.values()];
  }

  /** Until when a server's ticket holds, Unix ms. */
  until(key: Uint8Array): number | undefined {
    return this.#standing.get(hex(key))?.until;
  }

  /** Ends all of it. */
  stop(): void {
    this.#stopped = true;
    this.#unsubscribe();
    this.#cancelAgain();
    for (const { cancel } of this.#standing.values()) cancel();
  }

  /** Why a server is not attested, or undefined. */
  refusal(key: Uint8Array): string | undefined {
    const name = hex(key);
    if (this.#standing.has(name)) return undefined;
    return this.#refusals.get(name) ?? this.#pending.get(name)?.why ?? "no ticket";
  }

  /** Whether a server's ticket verified: it stands, or waits for its record alone. */
  proven(key: Uint8Array): boolean {
    const name = hex(key);
    return this.#standing.has(name) || this.#pending.get(name)?.proven === true;
  }

  /** Called at each change; the returned function ends it. */
  onChange(listener: TicketListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Takes a ticket of a server; false, in the end, where it does not hold. */
  offer(key: Uint8Array, bytes: Uint8Array): Promise<boolean> {
    const standing = this.#standing.get(hex(key));
    if (standing && equal(standing.bytes, bytes)) return Promise.resolve(true);
    if (!this.options.wanted(key) || this.#waiting >= MAX_WAITING) return Promise.resolve(true);
    return this.#judge(key.slice(), bytes.slice());
  }

  #judge(key: Uint8Array, bytes: Uint8Array): Promise<boolean> {
    const { work = (task) => task() } = this.options.attestation;
    this.#waiting++;
    const result = this.#tail.then(() => work(() => this.#verdict(key, bytes)));
    this.#tail = result.catch(() => {});
    return result.finally(() => this.#waiting--);
  }

  async #verdict(key: Uint8Array, bytes: Uint8Array): Promise<boolean> {
    if (this.#stopped) return true;
    const name = hex(key), { instance, attestation, fresh, environment } = this.options;
    const { policy, collateral: book } = attestation, now = environment.clock.wall();
    try {
      const ticket = decodeTicket(bytes);
      const freshness = fresh ? fresh(ticket) : "fresh";
      if (freshness === "stale") throw new AttestationError("ticket-stale");
      const collateral = book.forQuote(ticket.quote, now);
      const judge = { instance, role: "server" as const, key, collateral, policy, now };
      const verified = await verifyTicket(ticket, judge);
      const why = "it names a record still to come";
      if (freshness === "ahead") this.#wait({ key, bytes, why, proven: true });
      else this.#accept(key, bytes, verified);
      this.options.proven?.(key);
      if (freshness === undefined && this.#unjudged.size < MAX_ATTESTED) {
        this.#unjudged.set(name, { key, bytes });
        this.#again();
      }
      return true;
    } catch (error) {
      if (!(error instanceof AttestationError)) throw error;
      if (error.code === "collateral-missing") {
        book.want?.(decodeTicket(bytes).quote);
        this.#wait({ key, bytes, why: error.message, proven: false });
        return true;
      }
      this.#refuse(name, key, bytes, error);
      return false;
    }
  }

  #accept(key: Uint8Array, bytes: Uint8Array, verified: VerifiedTicket): void {
    const { clock, observe } = this.options.environment, name = hex(key);
    const before = this.#standing.get(name), until = verified.grantedUntil;
    this.#pending.delete(name);
    this.#refusals.delete(name);
    // What is hardly newer is not passed on: two tickets of one moment would chase each other.
    const newer = !before || until >= before.until + LATER_MS;
    if (!newer && !equal(before.bytes, bytes)) return;
    if (!before && this.#standing.size >= MAX_ATTESTED) return;
    before?.cancel();
    const cancel = clock.after(Math.max(1, until + 1 - clock.wall()), () => {
      const error = new AttestationError("ticket-expired");
      if (this.#standing.get(name)?.bytes === bytes) this.#refuse(name, key, bytes, error);
    });
    this.#standing.set(name, { key, bytes, until, cancel });
    if (before && equal(before.bytes, bytes)) return;
    observe(before ? "debug" : "info", "server attested", {
      peer: name,
      status: verified.status,
      until: new Date(until).toISOString(),
      simulated: verified.simulated,
    });
    for (const listener of [...this.#listeners]) listener(key, undefined);
  }

  /** A ticket does not hold. Where it is the one that stands, its server is out. */
  #refuse(name: string, key: Uint8Array, bytes: Uint8Array, error: AttestationError): void {
    const { observe } = this.options.environment, standing = this.#standing.get(name);
    if (this.#pending.get(name)?.bytes === bytes) this.#pending.delete(name);
    if (standing && !equal(standing.bytes, bytes)) return;
    if (this.#refusals.get(name) !== error.message) {
      observe("warn", standing ? "server evicted" : "server refused", {
        peer: name,
        code: error.code,
        reason: error.message,
      });
    }
    if (this.#refusals.size >= MAX_ATTESTED) {
      this.#refusals.delete(this.#refusals.keys().next().value!);
    }
    this.#refusals.set(name, error.message);
    if (!standing) return;
    standing.cancel();
    this.#standing.delete(name);
    for (const listener of [...this.#listeners]) listener(key, error.message);
  }

  #wait(ticket: Pending): void {
    const name = hex(ticket.key), before = this.#pending.get(name), { why } = ticket;
    if (!before && this.#pending.size >= MAX_ATTESTED && !this.#makeRoom(ticket)) return;
    // What it waits for may be on the way: only what lasts is told.
    const lasts = before?.why === why;
    if (lasts && !before.told && !this.#standing.has(name)) {
      this.options.environment.observe("warn", "server refused", { peer: name, reason: why });
    }
    this.#pending.set(name, { ...ticket, told: lasts });
    this.#again();
  }

  /** What verified, or renews what stands, takes the place of a quote that anyone could make up. */
  #makeRoom({ key, proven }: Pending): boolean {
    if (!proven && !this.#standing.has(hex(key))) return false;
    const first = [...this.#pending].find(([name, it]) => !it.proven && !this.#standing.has(name));
    return first !== undefined && this.#pending.delete(first[0]);
  }

  #again(): void {
    this.#cancelAgain();
    this.#cancelAgain = this.options.environment.clock.after(AGAIN_MS, () => this.#lookAgain());
  }

  #lookAgain(): void {
    for (const { key, bytes } of [...this.#pending.values()]) this.#judge(key, bytes);
    for (const [name, { key, bytes }] of [...this.#unjudged]) {
      if (this.options.fresh?.(decodeTicket(bytes)) === undefined) continue;
      this.#unjudged.delete(name);
      this.#judge(key, bytes);
    }
    if (this.#unjudged.size > 0) this.#again();
  }
}
