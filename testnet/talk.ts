/** Who says what in which round. */
import type { Options } from "./options.ts";

/** A text and the client that says it. */
export interface Line {
  readonly client: number;
  readonly text: string;
}

/** Nothing here tells who speaks: that is what the channel is for. */
const PHRASES = [
  "the kettle is on",
  "low tide at six",
  "a quiet street, no traffic",
  "the north wind is back",
  "somebody left the light on",
  "bread is out of the oven",
  "the ferry is late again",
];
/** Without messages of the user's, one client speaks every so many rounds. */
const EVERY = 2;

/** Hands out the lines, round by round; another client in turn says each. */
export class Talk {
  #said = 0;
  #round = 0;
  constructor(readonly options: Pick<Options, "clients" | "rounds" | "messages">) {}

  /** The lines for the next round. */
  next(): Line[] {
    const { clients, rounds, messages } = this.options;
    const round = this.#round++;
    if (rounds !== undefined && round >= rounds) return [];
    const own = messages.length === 0;
    const perRound = own
      ? Number(round % EVERY === 0)
      : Math.ceil(messages.length / (rounds ?? messages.length));
    const lines: Line[] = [];
    for (let i = 0; i < perRound && (own || this.#said < messages.length); i++) {
      const n = this.#said++;
      const text = own ? `${PHRASES[n % PHRASES.length]} (${n + 1})` : messages[n];
      lines.push({ client: n % clients, text });
    }
    return lines;
  }
}
