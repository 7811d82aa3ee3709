/**
 * One child process: its first line, its lines after that, its end. It runs behind `Process`, so
 * that a test can play one.
 */
import type { Command } from "./command.ts";
import { Lines, Tail } from "./lines.ts";

/** The part of `Deno.ChildProcess` that is used. */
export interface Process {
  readonly stdin: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
  readonly stderr: ReadableStream<Uint8Array>;
  readonly status: Promise<{ readonly code: number; readonly signal: string | null }>;
  kill(signal: Deno.Signal): void;
}

/** Starts a process. */
export type Spawn = (command: Command) => Process;

/** What a role says first. */
export interface Up {
  readonly peer: string;
  readonly addresses: readonly string[];
}

/** How a process ended, and what it wrote last. */
export interface Ending {
  readonly name: string;
  /** True if it had said that it is up. */
  readonly wasUp: boolean;
  readonly code: number;
  readonly signal: string | null;
  /** What was wrong with its output, if that is why it was ended. */
  readonly fault?: string;
  /** Raw: escape it before a terminal sees it. */
  readonly lastWords: readonly string[];
}

/** What the owner of a child hears. */
export interface ChildEvents {
  /** One line after the first, parsed. An exception ends the child with its message as fault. */
  said?(value: Record<string, unknown>): void;
  /** Every chunk of standard error. */
  logged?(chunk: Uint8Array): void;
}

/** A running child. */
export class Child {
  readonly name: string;
  /** Its first line. Never rejects; a child that ends before it leaves it pending. */
  readonly up: Promise<Up>;
  /** Its end, after both outputs were read. Never rejects. */
  readonly ended: Promise<Ending>;
  readonly #process: Process;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #tail = new Tail();
  #wasUp = false;
  #fault?: string;

  constructor(command: Command, spawn: Spawn, events: ChildEvents = {}) {
    this.name = command.name;
    this.#process = spawn(command);
    this.#input = this.#process.stdin.getWriter();
    this.#input.closed.catch(() => {});
    const { promise, resolve } = Promise.withResolvers<Up>();
    this.up = promise;
    const outputs = [this.#readLines(resolve, events), this.#readLog(events)];
    this.ended = this.#process.status.then(async ({ code, signal }) => {
      await Promise.all(outputs);
      const lastWords = this.#tail.lines();
      return { name: this.name, wasUp: this.#wasUp, code, signal, fault: this.#fault, lastWords };
    });
  }

  /** Writes one JSON line to its standard input. A child that ended hears nothing. */
  say(value: unknown): void {
    this.#input.write(new TextEncoder().encode(JSON.stringify(value) + "\n")).catch(() => {});
  }

  /** Asks it to end, by the end of its standard input and by SIGTERM. */
  ask(): void {
    this.#input.close().catch(() => {});
    this.kill("SIGTERM");
  }

  /** Sends a signal; one that has ended does not mind. */
  kill(signal: Deno.Signal): void {
    try {
      this.#process.kill(signal);
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  async #readLines(up: (value: Up) => void, events: ChildEvents): Promise<void> {
    const lines = new Lines();
    try {
      for await (const chunk of this.#process.stdout) {
        for (const line of lines.push(chunk)) {
          const value = object(line);
          if (this.#wasUp) events.said?.(value);
          else {
            const first = parseUp(value);
            this.#wasUp = true;
            up(first);
          }
        }
      }
    } catch (error) {
      this.#fault = error instanceof Error ? error.message : String(error);
      this.kill("SIGKILL");
    }
  }

  async #readLog(events: ChildEvents): Promise<void> {
    try {
      for await (const chunk of this.#process.stderr) {
        this.#tail.push(chunk);
        events.logged?.(chunk);
      }
    } catch { /* its end is told by its status */ }
  }
}

function object(line: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch { /* refused below */ }
  if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  throw new Error(`expected a JSON line on standard output, got ${JSON.stringify(cut(line))}`);
}

function parseUp(value: Record<string, unknown>): Up {
  const { up, peer, addresses } = value;
  const strings = Array.isArray(addresses) && addresses.every((it) => typeof it === "string");
  if (up === true && typeof peer === "string" && strings) return { peer, addresses };
  throw new Error(`expected {"up":true,...} as the first line, got ${cut(JSON.stringify(value))}`);
}

function cut(text: string): string {
  return text.length > 120 ? text.slice(0, 120) + "…" : text;
}
