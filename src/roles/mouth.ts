/**
 * What a client process says, and how it tells what became of it: lines of standard input, or a
 * fixed payload at a cadence. With `--json` each line is `{"id"?, "message"}` or `{"id"?,
 * "payload": base64}`, and each outcome a line; without, a line is a message.
 */
import { ProtocolError } from "../protocol/errors.ts";
import type { Outbox, Progress } from "./outbox.ts";

/** The options that it follows. */
export interface MouthOptions {
  readonly json: boolean;
  readonly cadence: number;
  readonly message?: string;
}

/** Lines that may wait until the client takes part. */
const MAX_EARLY = 1_024;

/** Speaks for a client process. */
export class Mouth {
  readonly #early: string[] = [];
  #outbox: Outbox | undefined;
  #rounds = 0;
  #count = 0;

  /** `settled` hears of each message's end, and how many rounds it took. */
  constructor(
    readonly options: MouthOptions,
    readonly print: (line: string) => void,
    readonly settled: (outcome: string, rounds: number) => void = () => {},
  ) {}

  /** The client is there: what was said so far goes out. */
  open(outbox: Outbox): void {
    this.#outbox = outbox;
    for (const line of this.#early.splice(0)) this.line(line);
  }

  /** A round went by: the fixed payload goes out at its cadence. */
  round(): void {
    const { message, cadence } = this.options;
    if (this.#rounds++ % cadence === 0 && message !== undefined) {
      this.#send(undefined, new TextEncoder().encode(message));
    }
  }

  /** One line of standard input. */
  line(line: string): void {
    if (line === "") return;
    if (!this.#outbox) {
      if (this.#early.length < MAX_EARLY) this.#early.push(line);
      else {this.#say({
          outcome: "refused",
          reason: `over ${MAX_EARLY} lines before the committee was met`,
        });}
    } else if (!this.options.json) this.#send(undefined, new TextEncoder().encode(line));
    else this.#object(line);
  }

  #object(line: string): void {
    let given: { readonly id?: unknown; readonly message?: unknown; readonly payload?: unknown };
    let bytes: Uint8Array;
    try {
      given = JSON.parse(line);
      bytes = bytesOf(given);
    } catch {
      return this.#say({
        outcome: "refused",
        reason: 'expected a line {"message": text} or {"payload": base64}',
      });
    }
    this.#send(given.id, bytes);
  }

  #send(id: unknown, payload: Uint8Array): void {
    const name = typeof id === "string" || typeof id === "number" ? id : ++this.#count;
    const began = this.#rounds;
    const told = (progress: Progress) => {
      // An outcome is told before the round of its record has gone by.
      if (progress.kind !== "retrying") this.settled(progress.kind, this.#rounds + 1 - began);
      this.#tell(name, progress);
    };
    try {
      this.#outbox!.send(payload).onProgress(told);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      told({ kind: "refused", reason: error.message });
    }
  }

  #tell(id: string | number, progress: Progress): void {
    const { kind, ...rest } = progress;
    if (this.options.json) {
      return this.#say(
        kind === "retrying" ? { id, retrying: true, ...rest } : { id, outcome: kind, ...rest },
      );
    }
    const what = progress.kind === "landed"
      ? `${progress.round}/${progress.slot}`
      : progress.reason;
    this.print(`${id} ${kind} ${what}\n`);
  }

  #say(object: Record<string, unknown>): void {
    this.print(
      this.options.json ? `${JSON.stringify(object)}\n` : `${object.outcome} ${object.reason}\n`,
    );
  }
}

function bytesOf(
  { message, payload }: { readonly message?: unknown; readonly payload?: unknown },
): Uint8Array {
  if (typeof message === "string") return new TextEncoder().encode(message);
  if (typeof payload !== "string") throw new TypeError();
  return Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
}
