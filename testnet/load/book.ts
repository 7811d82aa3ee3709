/** What is written down in a run: rounds, what became of each message, what each process used. */
import { Ledger } from "../ledger.ts";
import type { RoundRecord } from "../record.ts";
import type { Told } from "./crowd.ts";
import type { Usage } from "./meter.ts";

/** One round that counts. */
export interface RoundNote {
  readonly round: number;
  /** From the record before to this one, as the reader printed them, ms. */
  readonly ms: number;
  /** Rounds that were void between the two. */
  readonly void: number;
  readonly participants: number;
}

/** A message that landed, by its client's word. */
export interface Landing {
  readonly round: number;
  /** From `send` until its client knew, ms. */
  readonly ms: number;
}

/** What a process used. */
export interface Sample extends Usage {
  /** Rounds since counting began. */
  readonly rounds: number;
  /** Milliseconds since then. */
  readonly at: number;
}

/** A process that is watched. */
export interface Watched {
  readonly name: string;
  /** `server`, `aggregator`, `reader`, `client`, or `crowd` of many clients. */
  readonly role: string;
  /** Clients in it. */
  readonly clients: number;
  readonly samples: Sample[];
}

/** See the module comment. Times are of one clock, in ms. */
export class Book {
  readonly rounds: RoundNote[] = [];
  readonly landings: Landing[] = [];
  readonly nodes: Watched[] = [];
  /** Messages that were sent, and those whose clients were told that they did not land. */
  sent = 0;
  expired = 0;
  readonly #ledger = new Ledger();
  #began: number | undefined;
  #last = 0;

  /** A record that the reader verified; `counts` from the first on with all clients. */
  record(record: RoundRecord, counts: boolean, now: number): void {
    this.#ledger.record(record, counts);
    if (counts && this.#began !== undefined) {
      const { round, void: skipped, participants } = record;
      this.rounds.push({ round, ms: now - this.#last, void: skipped, participants });
    }
    if (counts) this.#began ??= now;
    this.#last = now;
  }

  /** A message leaves. */
  say(id: string, payload: Uint8Array): void {
    this.sent++;
    this.#ledger.sent(id, payload.toBase64());
  }

  /** A client says what became of one. */
  told({ id, outcome, round, slot, ms }: Told): void {
    if (outcome !== "landed") {
      if (this.#ledger.forget(id)) this.expired++;
      return;
    }
    this.landings.push({ round: round!, ms });
    this.#ledger.outcome(id, { outcome, round: round!, slot: slot! });
  }

  /** What a process uses now. */
  sample(node: Watched, usage: Usage, now: number): void {
    node.samples.push({ ...usage, rounds: this.counted, at: now - (this.#began ?? now) });
  }

  /** Rounds that count. */
  get counted(): number {
    return this.#ledger.rounds;
  }

  /** Messages whose fate is not known yet. */
  get waiting(): number {
    return this.#ledger.waiting;
  }

  /** Gives up what still waits: it is lost. */
  close(): void {
    this.#ledger.close();
  }

  /** The sums so far. */
  get summary(): Ledger["summary"] {
    return this.#ledger.summary;
  }

  /** Messages that were lost, the first few. */
  get losses(): Ledger["losses"] {
    return this.#ledger.losses;
  }
}
