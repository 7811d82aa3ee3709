/**
 * Keeps a server in tickets: one at the start, the next at half of its life, and at once when asked.
 * While none can be made it tries again, more and more slowly, and says why.
 */
import { makeTicket, TICKET_MS } from "../attest/ticket.ts";
import type { QuoteSource } from "../attest/quote_source.ts";
import type { Environment } from "../universe/environment.ts";
import type { Work } from "./attestation.ts";

/** First and longest pause after a ticket that could not be made. */
const PAUSE_MS = 1_000, MAX_PAUSE_MS = 60_000;

/** What tickets are made with. */
export interface TicketMakerOptions {
  readonly environment: Environment;
  readonly source: QuoteSource;
  readonly work?: Work;
  /** Instance id, fingerprint of the anchor, own key; 32 bytes each. */
  readonly instance: Uint8Array;
  readonly anchor: Uint8Array;
  readonly key: Uint8Array;
  /** How long a ticket holds, ms; an hour unless given. */
  readonly life?: number;
  /** The freshness of a ticket that is made now. */
  readonly freshness: () => Uint8Array;
  readonly made: (ticket: Uint8Array) => void;
}

/** See the module comment. */
export class TicketMaker {
  #cancel = () => {};
  #making = false;
  #again = false;
  #stopped = false;
  #pause = PAUSE_MS;

  constructor(readonly options: TicketMakerOptions) {}

  /** Makes a ticket now; one at a time. */
  make(): void {
    if (this.#making) return void (this.#again = true);
    this.#cancel();
    this.#making = true;
    const { environment: { observe }, life = TICKET_MS } = this.options;
    this.#ticket(life).then((ticket) => {
      this.#pause = PAUSE_MS;
      this.#next(Math.floor(life / 2));
      if (!this.#stopped) this.options.made(ticket);
    }, (error: Error) => {
      observe("error", "no quote", { reason: error.message });
      this.#next(this.#pause);
      this.#pause = Math.min(2 * this.#pause, MAX_PAUSE_MS);
    });
  }

  /** Makes no more. */
  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  #ticket(life: number): Promise<Uint8Array> {
    const { environment: { clock }, source, work = (task) => task() } = this.options;
    const { instance, anchor, key, freshness } = this.options, from = clock.wall();
    const terms = { instance, anchor, key, role: "server" as const, freshness: freshness() };
    return work(() => makeTicket(source, { ...terms, from, until: from + life }));
  }

  #next(ms: number): void {
    this.#making = false;
    if (this.#stopped) return;
    this.#cancel = this.options.environment.clock.after(ms, () => this.make());
    if (!this.#again) return;
    this.#again = false;
    this.make();
  }
}
