/**
 * One node of etcd's raft: a pure core. It has no clock, no network and no disk; the caller ticks
 * it, carries its messages and stores what `ready` hands out. Every call is synchronous.
 *
 * Memory: bytes that go in are copied before the call returns; bytes that come out stand in arrays
 * of their own, which are the caller's. The node itself holds its log since the last compaction.
 *
 * A message that no honest node sends is refused before raft sees it, as far as that can be told.
 * What raft then finds impossible makes it panic: the node is dead from there on, and its host
 * goes on. Restarting it from what was stored is safe.
 */
import { Writer } from "../../protocol/bytes.ts";
import type { Clock, Random } from "../../universe/environment.ts";
import { RaftError, refusal } from "./errors.ts";
import type { RaftModule } from "./load.ts";
import type { Change, Entry, Limits, Members, Ready, Snapshot, Status, Stored } from "./types.ts";
import { Wasi } from "./wasi.ts";
import * as wire from "./wire.ts";

/** How a node is set up. */
export interface RaftOptions {
  /** From 1. */
  readonly id: number;
  /** What it remembers; `founded` gives the beginning of a new group. */
  readonly stored: Stored;
  /** A follower that hears nothing for so many ticks to twice as many starts an election. */
  readonly electionTicks?: number;
  readonly heartbeatTicks?: number;
  /** Ask before disturbing: a node that was cut off does not depose a leader. */
  readonly preVote?: boolean;
  /** A leader that hears no majority steps down. */
  readonly checkQuorum?: boolean;
  readonly limits?: Partial<Limits>;
  /** Time for Go's runtime; raft itself reads none. */
  readonly clock: Pick<Clock, "now">;
  /** Draws the election timeouts: the same bytes and calls give the same run. */
  readonly random: Random;
}

/** Limits for small commands. */
export const LIMITS: Limits = {
  entryBytes: 64 * 1_024,
  batchBytes: 256 * 1_024,
  inflight: 64,
  uncommittedBytes: 4 * 1_048_576,
  snapshotBytes: 16 * 1_048_576,
};

const MAX_TICKS = 1_000_000;
const MAX_BYTES = 2 ** 28;
/** What a message holds beside its entries or snapshot, at most. */
const OVERHEAD = 4_096;

/** What every founding voter of a new group starts from. */
export function founded(voters: readonly number[], data: Uint8Array = new Uint8Array()): Stored {
  const members = { voters, learners: [], outgoing: [], nextLearners: [], autoLeave: false };
  return { snapshot: { index: 1, term: 1, members, data } };
}

/** The module's exports: operations answer 0 or a code. */
type Operation =
  | ("create" | "tick" | "campaign" | "propose" | "proposeConfChange" | "step" | "ready")
  | ("applyConfChange" | "advance" | "createSnapshot" | "compact" | "reportSnapshot")
  | ("reportUnreachable" | "transferLeader" | "status");
type Exports =
  & Record<Operation, (...numbers: (number | bigint)[]) => number>
  & { readonly memory: WebAssembly.Memory; _initialize(): void }
  & { input(length: number): number; output(): number; outputLength(): number };

/** A raft node in a WebAssembly instance of its own. */
export class RaftCore {
  readonly #exports: Exports;
  readonly #wasi: Wasi;
  readonly #limits: Limits;
  #dead = false;

  /** @throws {RaftError} with code `argument` if `stored` is not what a node can have stored. */
  constructor(module: RaftModule, options: RaftOptions) {
    this.#limits = { ...LIMITS, ...options.limits };
    const setup = encodeSetup(options, this.#limits);
    this.#wasi = new Wasi(options.clock, options.random);
    const instance = new WebAssembly.Instance(module.wasm, this.#wasi.imports(module.wasm));
    this.#exports = instance.exports as unknown as Exports;
    this.#wasi.attach(this.#exports.memory);
    this.#alive(() => this.#exports._initialize());
    this.#call("create", setup);
  }

  /** One unit of time passed. */
  tick(): void {
    this.#call("tick");
  }

  /** Starts an election now. */
  campaign(): void {
    this.#call("campaign");
  }

  /**
   * Offers an entry: at the leader it is appended, elsewhere sent on. It may still be lost.
   *
   * @throws {RaftError} with code `dropped` where no leader is known or too much is uncommitted.
   */
  propose(data: Uint8Array): void {
    this.#bounded(data, this.#limits.entryBytes, "an entry");
    this.#call("propose", data);
  }

  /**
   * Offers a change of the members, one at a time until it is applied. Several changes at once go
   * through a joint configuration, which raft leaves by itself.
   */
  proposeConfChange(changes: readonly Change[]): void {
    const w = new Writer().u8(0);
    wire.writeChanges(w, changes);
    this.#call("proposeConfChange", w.end());
  }

  /**
   * A message that arrived from `from`, as the network knows it.
   *
   * @throws {RaftError} with code `message` or `peer`; the node stays as it was.
   */
  step(from: number, message: Uint8Array): void {
    const { entryBytes, batchBytes, snapshotBytes } = this.#limits;
    const most = Math.max(entryBytes, batchBytes, snapshotBytes) + OVERHEAD;
    this.#bounded(message, most, "a message", "message");
    this.#call("step", message, wire.nodeId(from));
  }

  /** The work that is due, if any; `advance` must follow before the next one. */
  ready(): Ready | undefined {
    const found = this.#call("ready");
    return found.length === 0 ? undefined : wire.readReady(found);
  }

  /** Puts a committed change of the members into force, in the order of `committed`. */
  applyConfChange(entry: Pick<Entry, "index">): Members {
    const index = wire.whole(entry.index, 0, wire.MAX_NUMBER, "an entry's index");
    return wire.readMembers(this.#call("applyConfChange", undefined, BigInt(index)));
  }

  /** What the last `ready` handed out is stored and applied. */
  advance(): void {
    this.#call("advance");
  }

  /** `data` is the state at `applied`. Make a new one after each change of the members. */
  createSnapshot(data: Uint8Array): Snapshot {
    this.#bounded(data, this.#limits.snapshotBytes, "a snapshot");
    return wire.readSnapshot(this.#call("createSnapshot", data));
  }

  /** Forgets entries up to `index`, at most the snapshot's. */
  compact(index: number): void {
    this.#call(
      "compact",
      undefined,
      BigInt(wire.whole(index, 0, wire.MAX_NUMBER, "an index")),
    );
  }

  /** What became of a message with a snapshot; without it the leader waits for that follower. */
  reportSnapshot(to: number, arrived: boolean): void {
    this.#call("reportSnapshot", undefined, wire.nodeId(to), Number(arrived));
  }

  /** A message to `to` was lost. */
  reportUnreachable(to: number): void {
    this.#call("reportUnreachable", undefined, wire.nodeId(to));
  }

  /** Asks that `to` lead from now on. */
  transferLeader(to: number): void {
    this.#call("transferLeader", undefined, wire.nodeId(to));
  }

  /** The node as it stands. */
  status(): Status {
    return wire.readStatus(this.#call("status"));
  }

  /** Bytes of the instance's memory, which never shrinks. */
  get memoryBytes(): number {
    return this.#exports.memory.buffer.byteLength;
  }

  #bounded(
    bytes: Uint8Array,
    most: number,
    what: string,
    code: "argument" | "message" = "argument",
  ): void {
    if (bytes instanceof Uint8Array && bytes.length <= most) return;
    throw new RaftError(code, `${what} of ${bytes?.length} bytes, expected at most ${most}`);
  }

  /** Calls an operation with `input`; answers a copy of its output. */
  #call(
    operation: Operation,
    input: Uint8Array = new Uint8Array(),
    ...numbers: (number | bigint)[]
  ): Uint8Array {
    return this.#alive(() => {
      const { memory } = this.#exports;
      // Growing the memory replaces its buffer: every view is made after the call that may grow it.
      const at = this.#exports.input(input.length);
      new Uint8Array(memory.buffer, at, input.length).set(input);
      const code = this.#exports[operation](...numbers);
      const start = this.#exports.output(), length = this.#exports.outputLength();
      const out = new Uint8Array(memory.buffer, start >>> 0, length >>> 0).slice();
      if (code !== 0) throw refusal(code, new TextDecoder().decode(out));
      return out;
    });
  }

  /** Runs the instance; what it does not survive ends this node. */
  #alive<T>(run: () => T): T {
    if (this.#dead) throw new RaftError("dead", "the raft node panicked before; restart it");
    try {
      return run();
    } catch (error) {
      if (error instanceof RaftError) throw error;
      this.#dead = true;
      const [words] = this.#wasi.words.split("\n\ngoroutine", 1);
      throw new RaftError("panic", `the raft node is dead: ${words || error}`);
    }
  }
}

/** The layout that `newNode` reads (`scripts/raft/shim/node.go`). */
function encodeSetup(options: RaftOptions, limits: Limits): Uint8Array {
  const { electionTicks = 10, heartbeatTicks = 1, preVote = true, checkQuorum = true } = options;
  const { snapshot, hardState, entries = [] } = options.stored;
  const w = new Writer().u32(wire.nodeId(options.id));
  w.u32(wire.whole(electionTicks, 2, MAX_TICKS, "electionTicks"));
  w.u32(wire.whole(heartbeatTicks, 1, electionTicks - 1, "heartbeatTicks"));
  w.u8(Number(preVote)).u8(Number(checkQuorum));
  w.u32(wire.whole(limits.entryBytes, 1, MAX_BYTES, "limits.entryBytes"));
  w.u32(wire.whole(limits.batchBytes, 1, MAX_BYTES, "limits.batchBytes"));
  w.u32(wire.whole(limits.inflight, 1, 65_536, "limits.inflight"));
  w.u32(wire.whole(limits.uncommittedBytes, 1, MAX_BYTES, "limits.uncommittedBytes"));
  w.u32(wire.whole(limits.snapshotBytes, 1, MAX_BYTES, "limits.snapshotBytes"));
  w.u8(Number(snapshot !== undefined));
  if (snapshot) wire.writeSnapshot(w, snapshot);
  wire.writeHardState(w, hardState ?? { term: 0, vote: 0, commit: 0 });
  wire.writeEntries(w, entries);
  return w.end();
}
