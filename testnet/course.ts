/**
 * The course of a run: wait until every client takes part, talk, fall silent, end. Fed with what
 * readers and clients say; it decides what is said next and when it is over.
 */
import { Agreement } from "./agreement.ts";
import { Ledger, type Loss, type Outcome, type Summary } from "./ledger.ts";
import type { Options } from "./options.ts";
import type { RoundRecord } from "./record.ts";
import { Talk } from "./talk.ts";

/** Rounds in silence that the last messages have to land. */
export const SILENT_ROUNDS = 20;

/** The reason of a client that was asked to stop. */
const SHUTDOWN = /\bshutdown$/;

/** What the course does to the world. */
export interface Actions {
  /** Gives a client a message. */
  say(client: number, message: { readonly id: string; readonly message: string }): void;
  /** A record that both readers have. */
  round(record: RoundRecord, counts: boolean): void;
  /** The rounds asked for are over, and the fate of every message is known. */
  over(): void;
}

/** One run. */
export class Course {
  readonly #agreement = new Agreement();
  readonly #ledger = new Ledger();
  readonly #talk: Talk;
  readonly #ready = new Set<number>();
  #counting = false;
  #over = false;
  #sent = 0;

  constructor(
    readonly options: Pick<Options, "clients" | "rounds" | "messages">,
    readonly actions: Actions,
  ) {
    this.#talk = new Talk(options);
  }

  /** A line of a client. */
  client(index: number, line: Record<string, unknown>): void {
    if (line.ready === true) this.#ready.add(index);
    else if (typeof line.id === "string" && "outcome" in line) {
      const outcome = parseOutcome(line);
      // Ctrl-C reaches the clients before us: what they drop then was not lost by the channel. A
      // client that goes on its own ends the run anyway.
      if (outcome.outcome !== "landed" && SHUTDOWN.test(outcome.reason)) return;
      this.#ledger.outcome(line.id, outcome);
      this.#end();
    }
  }

  /** A record of a reader; throws a `Disagreement` where the two differ. */
  reader(index: 0 | 1, record: RoundRecord): void {
    for (const agreed of this.#agreement.add(index, record)) this.#round(agreed);
  }

  /** The sums so far. */
  get summary(): Summary {
    return this.#ledger.summary;
  }

  /** Messages that were lost. */
  get losses(): readonly Loss[] {
    return this.#ledger.losses;
  }

  /** Clients that said they take part. */
  get ready(): number {
    return this.#ready.size;
  }

  /** True from the first round in which all clients took part. */
  get counting(): boolean {
    return this.#counting;
  }

  /** Gives up what still waits: the run is broken. */
  close(): void {
    this.#ledger.close();
  }

  /** True if the run did all that it was asked to. */
  get succeeded(): boolean {
    const { landed, lost } = this.summary;
    return this.#over && landed > 0 && lost === 0;
  }

  #round(record: RoundRecord): void {
    const { clients } = this.options;
    this.#counting ||= this.#ready.size === clients && record.participants >= clients;
    this.#ledger.record(record, this.#counting);
    this.actions.round(record, this.#counting);
    if (!this.#counting || this.#over) return;
    this.#speak();
    this.#end();
  }

  #speak(): void {
    for (const { client, text } of this.#talk.next()) {
      const id = `c${client}-${this.#sent++}`;
      this.#ledger.sent(id, base64(text));
      this.actions.say(client, { id, message: text });
    }
  }

  #end(): void {
    const { rounds } = this.options;
    if (this.#over || rounds === undefined || this.#ledger.rounds < rounds) return;
    if (this.#ledger.waiting && this.#ledger.rounds < rounds + SILENT_ROUNDS) return;
    this.#ledger.close();
    this.#over = true;
    this.actions.over();
  }
}

function parseOutcome(line: Record<string, unknown>): Outcome {
  const { outcome, round, slot, reason } = line;
  if (outcome === "landed" && Number.isSafeInteger(round) && Number.isSafeInteger(slot)) {
    return { outcome, round: round as number, slot: slot as number };
  }
  if (outcome === "expired" || outcome === "refused") {
    return { outcome, reason: typeof reason === "string" ? reason : "no reason given" };
  }
  throw new Error(`an outcome that is none: ${JSON.stringify(line).slice(0, 120)}`);
}

function base64(text: string): string {
  return new TextEncoder().encode(text).toBase64();
}
