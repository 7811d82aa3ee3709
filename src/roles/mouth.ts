/**
 * What a client process says, and how it tells what became of it: lines of standard input, or a
 * fixed payload at a cadence. With `--json` each line is `{"id"?, "message"}` or `{"id"?,
 * "payload": base64}`, and each outcome a line; without, a line is a message.
 */
import type { Outbox } from "./outbox.ts";

/** The options that it follows. */
export interface MouthOptions {
  readonly json: boolean;
  readonly cadence: number;
  readonly message?: string;
}

/** Speaks for a client process. */
export class Mouth {
  #rounds = 0;
  #count = 0;

  constructor(
    readonly outbox: Outbox,
    readonly options: MouthOptions,
    readonly print: (line: string) => void,
  ) {}

  /** A round went by: the fixed payload goes out at its cadence. */
  round(): void {
    const { message, cadence } = this.options;
    if (message !== undefined && this.#rounds++ % cadence === 0) {
      this.#send(undefined, new TextEncoder().encode(message));
    }
  }

  /** One line of standard input. */
  line(line: string): void {
    if (line === "") return;
    if (!this.options.json) return this.#send(undefined, new TextEncoder().encode(line));
    let given: { id?: unknown; message?: unknown; payload?: unknown };
    try {
      given = JSON.parse(line);
      const { message, payload } = given;
      const bytes = typeof message === "string"
        ? new TextEncoder().encode(message)
        : Uint8Array.from(atob(payload as string), (character) => character.charCodeAt(0));
      if (typeof message !== "string" && typeof payload !== "string") throw new TypeError();
      this.#send(given.id, bytes);
    } catch {
      this.#say({ refused: 'expected a line {"message": text} or {"payload": base64}' });
    }
  }

  #send(id: unknown, payload: Uint8Array): void {
    const name = typeof id === "string" || typeof id === "number" ? id : ++this.#count;
    const told = (p: { kind: string }) => {
      const { kind, ...rest } = p;
      this.#say(
        kind === "retrying"
          ? { id: name, retrying: true, ...rest }
          : { id: name, outcome: kind, ...rest },
      );
    };
    try {
      this.outbox.send(payload).onProgress(told);
    } catch (error) {
      told({ kind: "refused", reason: (error as Error).message } as { kind: string });
    }
  }

  #say(object: Record<string, unknown>): void {
    if (this.options.json) this.print(`${JSON.stringify(object)}\n`);
    else this.print(`${Object.values(object).join(" ")}\n`);
  }
}
