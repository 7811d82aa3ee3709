/**
 * What this server wants in the order: each command is offered once, and again when it was not
 * applied for a while, since an engine may lose it.
 */
import { hex } from "../protocol/bytes.ts";
import type { Signed } from "../protocol/statements.ts";
import type { Clock } from "../universe/environment.ts";
import { batches, type Command, encodeCommand } from "./commands.ts";

/** How long until a command that was not applied is offered again. */
const OFFER_AGAIN_MS = 1_000;

/** Offers by name; forgotten at the end of every round. */
export class Proposals {
  readonly #offered = new Map<string, number>();

  constructor(readonly clock: Clock, readonly propose: (command: Uint8Array) => void) {}

  /** Offers a command under a name that is the same whenever it is owed again. */
  offer(name: string, command: Command): void {
    if (this.#due(name)) this.propose(encodeCommand(command));
  }

  /** Offers what is owed for many clients, as few commands. */
  together(offers: Iterable<readonly [name: string, command: Uint8Array]>): void {
    const due = [...offers].flatMap(([name, command]) => this.#due(name) ? [command] : []);
    for (const batch of batches(due)) this.propose(batch);
  }

  #due(name: string): boolean {
    const now = this.clock.now(), last = this.#offered.get(name);
    if (last !== undefined && now - last < OFFER_AGAIN_MS) return false;
    this.#offered.set(name, now);
    return true;
  }

  /** Offers a signed statement. */
  statement(signed: Signed): void {
    this.offer(`statement ${hex(signed.signature)}`, { kind: "statement", signed });
  }

  /** The round is over or the state is another: what is still owed is offered anew. */
  clear(): void {
    this.#offered.clear();
  }
}
