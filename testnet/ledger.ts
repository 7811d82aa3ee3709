/** What was sent, what became of it, and the sums of a run. */
import type { RoundRecord } from "./record.ts";

/** What a client says of one of its messages. */
export type Outcome =
  | { readonly outcome: "landed"; readonly round: number; readonly slot: number }
  | { readonly outcome: "expired" | "refused"; readonly reason: string };

/** The sums of a run. */
export interface Summary {
  readonly rounds: number;
  /** The fewest participants of any round. */
  readonly participants: number;
  readonly landed: number;
  readonly lost: number;
  readonly void: number;
}

/** A message that did not land, and why. */
export interface Loss {
  readonly id: string;
  readonly reason: string;
}

/** Records kept for outcomes that come later than the record they speak of. */
const MAX_RECORDS = 128;
/** Losses that are named; all are counted. */
const MAX_LOSSES = 20;

/** The line that ends a run. */
export function summaryLine(sum: Summary): string {
  return `${sum.rounds} rounds, ${sum.participants} participants, ` +
    `${sum.landed} messages landed, ${sum.lost} lost, ${sum.void} void`;
}

/** Counts rounds and follows every message from its sending to its place in a record. */
export class Ledger {
  readonly #waiting = new Map<string, { payload: string; at?: { round: number; slot: number } }>();
  readonly #records = new Map<number, Map<number, string>>();
  readonly #losses: Loss[] = [];
  #round = -1;
  #rounds = 0;
  #participants?: number;
  #landed = 0;
  #lost = 0;
  #void = 0;

  /** A message leaves; `payload` in base64. */
  sent(id: string, payload: string): void {
    this.#waiting.set(id, { payload });
  }

  /** What a client says of it. An id that is not waited for is none of ours. */
  outcome(id: string, outcome: Outcome): void {
    const message = this.#waiting.get(id);
    if (!message) return;
    if (outcome.outcome !== "landed") this.#lose(id, `${outcome.outcome}: ${outcome.reason}`);
    else {
      message.at = { round: outcome.round, slot: outcome.slot };
      this.#settle(id);
    }
  }

  /** Its sender knows that it did not land, and nothing is expected of it; false for none of ours. */
  forget(id: string): boolean {
    return this.#waiting.delete(id);
  }

  /** A record that both readers have; those before counting starts only settle messages. */
  record(record: RoundRecord, counts: boolean): void {
    this.#round = record.round;
    this.#records.set(record.round, new Map(record.messages.map((it) => [it.slot, it.payload])));
    if (this.#records.size > MAX_RECORDS) this.#records.delete(this.#records.keys().next().value!);
    if (counts) {
      // What was void before the first round that counts does not count either.
      if (this.#rounds > 0) this.#void += record.void;
      this.#rounds++;
      this.#participants = Math.min(this.#participants ?? Infinity, record.participants);
    }
    for (const id of [...this.#waiting.keys()]) this.#settle(id);
  }

  /** Messages whose fate is not known yet. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Rounds that count. */
  get rounds(): number {
    return this.#rounds;
  }

  /** The lost ones, the first few. */
  get losses(): readonly Loss[] {
    return this.#losses;
  }

  /** Gives up what still waits: it is lost. */
  close(): void {
    for (const [id, { at }] of [...this.#waiting]) {
      this.#lose(id, at ? `landed in round ${at.round}, which no reader has` : "no word of it");
    }
  }

  /** The sums so far. */
  get summary(): Summary {
    return {
      rounds: this.#rounds,
      participants: this.#participants ?? 0,
      landed: this.#landed,
      lost: this.#lost,
      void: this.#void,
    };
  }

  /** A message that landed by its client's word lands once the readers' record has it. */
  #settle(id: string): void {
    const { payload, at } = this.#waiting.get(id)!;
    if (!at || at.round > this.#round) return;
    const slots = this.#records.get(at.round);
    if (slots?.get(at.slot) !== payload) {
      this.#lose(id, `landed in round ${at.round}, but the readers' record does not have it`);
      return;
    }
    slots.delete(at.slot);
    this.#waiting.delete(id);
    this.#landed++;
  }

  #lose(id: string, reason: string): void {
    this.#waiting.delete(id);
    this.#lost++;
    if (this.#losses.length < MAX_LOSSES) this.#losses.push({ id, reason });
  }
}
