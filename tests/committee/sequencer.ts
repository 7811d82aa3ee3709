/**
 * The smallest engine: the manifest's first server puts commands in the order in which they reach
 * it, and hands its state to whoever joins. Without that server there is no order.
 *
 * Messages: u8 kind ‖ body. 0 join · 1 propose ‖ command · 2 snapshot ‖ state · 3 commit ‖ command.
 */
import { concat } from "../../src/protocol/bytes.ts";
import { ProtocolError } from "../../src/protocol/errors.ts";
import { type Engine, type EngineHost, MAX_COMMAND_BYTES } from "../../src/committee/engine.ts";

const JOIN = 0, PROPOSE = 1, SNAPSHOT = 2, COMMIT = 3;

/** Place of the server that orders. */
const FIRST = 0;

/** Most commands that wait while one is applied; a loop that feeds itself ends there. */
const MAX_QUEUED = 4_096;

/** An ordered sequencer at the manifest's first server. */
export class Sequencer implements Engine {
  readonly #joined = new Set<number>();
  readonly #queue: Uint8Array[] = [];
  #applying = false;
  applied = 0;
  #following = false;
  #stopped = false;

  constructor(readonly self: number, readonly host: EngineHost) {
    if (self === FIRST) this.#joined.add(self);
  }

  get leader(): number | undefined {
    return this.self === FIRST || this.#following ? FIRST : undefined;
  }

  get present(): ReadonlySet<number> {
    return this.#joined;
  }

  start(): void {}

  stop(): void {
    this.#stopped = true;
    this.#following = false;
  }

  propose(command: Uint8Array): void {
    if (command.length > MAX_COMMAND_BYTES) {
      throw new ProtocolError(
        "range",
        `a command of ${command.length} bytes, expected at most ${MAX_COMMAND_BYTES}`,
      );
    }
    if (this.#stopped) return;
    if (this.self === FIRST) this.#commit(command);
    else if (this.#following) this.host.send(FIRST, concat(Uint8Array.of(PROPOSE), command));
  }

  receive(from: number, message: Uint8Array): void {
    const kind = message[0], body = message.subarray(1);
    if (this.self === FIRST) {
      if (kind === JOIN && body.length === 0) {
        this.#joined.add(from);
        this.host.send(from, concat(Uint8Array.of(SNAPSHOT), this.host.snapshot()));
      } else if (kind === PROPOSE && body.length <= MAX_COMMAND_BYTES && this.#joined.has(from)) {
        this.#commit(body);
      } else throw new ProtocolError("type", `an engine message of kind ${kind} at the sequencer`);
    } else {
      if (from !== FIRST) throw new ProtocolError("type", `an engine message of server ${from}`);
      if (kind === SNAPSHOT) {
        this.#following = true;
        this.host.restore(body);
      } else if (kind === COMMIT && this.#following) {
        this.applied++;
        this.host.apply([body]);
      } else throw new ProtocolError("type", `an engine message of kind ${kind} at a follower`);
    }
  }

  connected(peer: number): void {
    if (this.#stopped) return;
    if (this.self !== FIRST && peer === FIRST) this.host.send(FIRST, Uint8Array.of(JOIN));
  }

  disconnected(peer: number): void {
    if (this.self === FIRST) this.#joined.delete(peer);
    else if (peer === FIRST) this.#following = false;
  }

  /** Applies and sends out in one order, also when applying one command proposes the next. */
  #commit(command: Uint8Array): void {
    if (this.#queue.length >= MAX_QUEUED) {
      throw new ProtocolError("range", "too many commands wait");
    }
    this.#queue.push(command);
    if (this.#applying) return;
    this.#applying = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        const message = concat(Uint8Array.of(COMMIT), next);
        for (const peer of this.#joined) if (peer !== FIRST) this.host.send(peer, message);
        this.applied++;
        this.host.apply([next]);
      }
    } finally {
      this.#applying = false;
    }
  }
}
