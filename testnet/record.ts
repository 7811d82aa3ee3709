/** What a reader prints of a record that it verified, checked at the border. */

/** One message of a record. */
export interface Message {
  readonly slot: number;
  /** The bytes, base64: names the message, and is not for a terminal. */
  readonly payload: string;
  /** The same in a form that can be printed. */
  readonly text: string;
}

/** One finalized round. */
export interface RoundRecord {
  readonly round: number;
  readonly hash: string;
  readonly previous: string;
  readonly participants: number;
  /** Clients that could have taken part. */
  readonly roster: number;
  /** Round numbers skipped since the record before. */
  readonly void: number;
  /** Milliseconds by phase, as the reader saw them. */
  readonly phases: Readonly<Record<string, number>>;
  readonly messages: readonly Message[];
}

/** A line of a reader; throws if it is none. */
export function parseRecord(line: Record<string, unknown>): RoundRecord {
  const phases = object(line.phases, "phases");
  if (!Array.isArray(line.messages)) throw wrong("messages", line.messages);
  return {
    round: count(line.round, "round"),
    hash: text(line.hash, "hash"),
    previous: text(line.previous, "previous"),
    participants: count(line.participants, "participants"),
    roster: count(line.roster, "roster"),
    void: count(line.void, "void"),
    phases: Object.fromEntries(
      Object.entries(phases).map(([name, ms]) => [name, milliseconds(ms, `phases.${name}`)]),
    ),
    messages: line.messages.map((it) => {
      const { slot, payload, text: printed } = object(it, "messages");
      return {
        slot: count(slot, "slot"),
        payload: text(payload, "payload"),
        text: text(printed, "text"),
      };
    }),
  };
}

function object(value: unknown, field: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null) throw wrong(field, value);
  return value as Record<string, unknown>;
}

function count(value: unknown, field: string): number {
  if (!Number.isSafeInteger(value) || value as number < 0) throw wrong(field, value);
  return value as number;
}

function milliseconds(value: unknown, field: string): number {
  if (typeof value !== "number" || !Number.isFinite(value)) throw wrong(field, value);
  return value;
}

function text(value: unknown, field: string): string {
  if (typeof value !== "string") throw wrong(field, value);
  return value;
}

function wrong(field: string, value: unknown): Error {
  return new Error(`a record whose ${field} is ${JSON.stringify(value)?.slice(0, 80)}`);
}
