/**
 * One server on trial: a disk that outlives the process, a process that dies at any of its calls, the
 * real engine in it, and a host that applies commands to a state.
 */
import { equal, hex, Reader } from "../../../src/protocol/bytes.ts";
import { ProtocolError } from "../../../src/protocol/errors.ts";
import { Seeded } from "../../../src/universe/seeded.ts";
import type { EngineHost } from "../../../src/committee/engine.ts";
import type { Journal } from "../../../src/committee/journal.ts";
import { RaftCore } from "../../../src/committee/raft/core.ts";
import type { RaftModule } from "../../../src/committee/raft/load.ts";
import type { Members, Ready } from "../../../src/committee/raft/types.ts";
import { decodeMessage, readGroup } from "../../../src/committee/raft_group.ts";
import { RaftEngine } from "../../../src/committee/raft_engine.ts";
import type { Mutant } from "./glue_mutants.ts";
import { FIELD, KIND, numberOf, readFields } from "./raftpb.ts";
import { HashState, type Oracle, Violation } from "./glue_oracle.ts";

/** Thrown through a process that dies. */
class Death extends Error {}

/** Old states of a disk that are kept, to be put back. */
const MAX_COPIES = 6;
/** Commands that are offered again at once. */
const MAX_OFFERED = 32;

/** What a server needs of the world around it. */
export interface Surroundings {
  readonly module: RaftModule;
  readonly seed: number;
  readonly servers: number;
  readonly oracle: Oracle;
  readonly mutant?: Mutant;
  now(): number;
  after(ms: number, task: () => void): () => void;
  send(from: number, to: number, bytes: Uint8Array): boolean;
  died(server: number): void;
}

/** Who runs now: cores are seen through the prototype, which no server passes through. */
let running: GlueServer | undefined;

/** Reports all that cores hand out to the server that runs; the engine needs no door for that. */
const { ready } = RaftCore.prototype;
RaftCore.prototype.ready = function (this: RaftCore): Ready | undefined {
  const found = ready.call(this);
  if (running) running.handed(this, found);
  return found;
};

/** See the module comment. */
export class GlueServer {
  /** What is on disk. */
  records: Uint8Array[] = [];
  readonly #copies: Uint8Array[][] = [];
  engine: RaftEngine | undefined;
  state = new HashState();
  /** Group that the process is in, by name. */
  group: string | undefined;
  boots = 0;
  snapshots = 0;
  readonly pending: number[] = [];
  /** Counts calls over the seams down to the one that kills. */
  fuse: { left: number; readonly before: boolean; readonly voting: boolean } | undefined;
  #core: RaftCore | undefined;
  /** Index of the last entry that the core handed out; unknown until it has. */
  #applied: number | undefined;
  /** Terms of the entries that this life's core has written, by index. */
  readonly #terms = new Map<number, number>();
  #life = 0;
  /** Groups in which it ever wrote. */
  readonly #groups = new Set<string>();

  constructor(readonly world: Surroundings, readonly index: number) {}

  get up(): boolean {
    return this.engine !== undefined;
  }

  /** Members in the view of this server's node. */
  get members(): Members | undefined {
    return this.#core?.status().members;
  }

  /** This server's id, as its disk has it. */
  get id(): number | undefined {
    return this.records[0] && new Reader(this.records[0].subarray(1), "identity").u32();
  }

  /** Starts a process on the disk as it is. */
  start(): void {
    const { module, seed, servers, mutant, oracle } = this.world;
    const life = ++this.#life;
    this.boots++;
    this.state = new HashState();
    this.group = groupOf(this.records);
    this.#core = this.#applied = undefined;
    const { bytes } = new Seeded(seed, `server ${this.index} boot ${this.boots}`);
    const environment = {
      random: bytes,
      clock: {
        now: () => this.world.now(),
        wall: () => this.world.now(),
        after: (ms: number, task: () => void) =>
          this.world.after(ms, () => void (life === this.#life && this.act(task))),
      },
      observe: (_level: string, event: string, fields?: Record<string, unknown>) => {
        if (event !== "order left" || !this.group || oracle.released(this.group)) return;
        throw new Violation(`an order is left that no disk contradicts: ${fields?.reason}`);
      },
    };
    const journal = mutant?.journal?.(this.#journal(life), this.boots) ?? this.#journal(life);
    const host = mutant?.host?.(this.#host(life), this.boots) ?? this.#host(life);
    this.act(() => {
      const options = { module, self: this.index, servers, journal, environment };
      this.engine = new RaftEngine(options, host);
      this.engine.start();
    });
  }

  /** The process is gone, with all that is not on disk. */
  kill(): void {
    this.#life++;
    this.engine?.stop();
    this.engine = this.fuse = this.#core = undefined;
    this.pending.length = 0;
    this.world.died(this.index);
  }

  /** Runs the engine; answers the refusal of a message, if that is what came of it. */
  act(task: () => void): ProtocolError | undefined {
    const outer = running;
    running = this;
    try {
      task();
      if (this.up && this.#applied !== undefined && this.group) {
        this.world.oracle.state(this.group, this.#applied, this.state.digest);
      }
    } catch (error) {
      if (error instanceof ProtocolError) return error;
      if (!(error instanceof Death)) throw error;
    } finally {
      running = outer;
    }
  }

  /** Keeps a copy of the disk, as somebody may who makes backups. */
  copy(): void {
    if (this.#copies.push([...this.records]) > MAX_COPIES) this.#copies.shift();
  }

  /**
   * Puts the oldest copy back; nothing is promised from there on to the groups that this server was
   * ever in: it may have been in several since the copy, under the id that comes back.
   */
  putBack(): boolean {
    const copy = this.#copies.shift();
    if (!copy || sameDisk(copy, this.records)) return false;
    for (const group of this.#groups) this.world.oracle.release(group);
    this.records = copy;
    return true;
  }

  /** Term of an entry in this server's log, if it is there. */
  termAt(index: number): number | undefined {
    return this.#terms.get(index);
  }

  /** Offers a command until it is applied. */
  offer(command: number): void {
    this.pending.push(command);
    this.#propose(command);
  }

  /** Offers again what was not applied. */
  offerAgain(): void {
    const open = this.pending.filter((command) => !this.state.seen.has(command));
    this.pending.splice(0, Infinity, ...open);
    for (const command of open.slice(0, MAX_OFFERED)) this.#propose(command);
  }

  #propose(command: number): void {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, command);
    this.act(() => this.engine?.propose(bytes));
  }

  /** A core handed out what is due. */
  handed(core: RaftCore, ready: Ready | undefined): void {
    const { oracle } = this.world;
    if (core !== this.#core) {
      this.#core = core;
      this.#applied = undefined;
      this.#terms.clear();
    }
    if (!ready || !this.group) return;
    const status = this.#applied === undefined || ready.softState ? core.status() : undefined;
    if (this.#applied === undefined) this.#applied = status!.applied;
    for (const { index, term } of ready.entries) this.#terms.set(index, term);
    if (ready.softState?.role === "leader") oracle.led(this.group, status!.term, status!.id);
    if (ready.snapshot) {
      if (ready.snapshot.index <= this.#applied) throw new Violation("a snapshot of the past");
      this.#applied = ready.snapshot.index;
      this.snapshots++;
    }
    oracle.committed(this.group, this.#applied, ready.committed);
    this.#applied = ready.committed.at(-1)?.index ?? this.#applied;
  }

  /** One call over a seam, which may be the last. */
  #seam<T>(life: number, call: () => T, votes = false): T {
    if (life !== this.#life) throw new Death();
    if (!this.fuse || this.fuse.voting !== votes || --this.fuse.left > 0) return call();
    const { before } = this.fuse;
    if (!before) call();
    this.kill();
    throw new Death();
  }

  #journal(life: number): Journal {
    return {
      load: () => this.records,
      append: (record) => this.#seam(life, () => void this.records.push(record.slice())),
      replace: (records) => {
        const group = groupOf(records);
        const copy = records.map((record) => record.slice());
        this.#seam(life, () => void (this.records = copy));
        if (group !== this.group) this.#applied = this.#core = undefined;
        this.group = group;
        if (group) this.#groups.add(group);
      },
    };
  }

  #host(life: number): EngineHost {
    const { world, index } = this;
    return {
      send: (to, bytes) => {
        const votes = this.fuse?.voting && givesVote(bytes);
        return this.#seam(life, () => world.send(index, to, bytes.slice()), votes);
      },
      apply: (commands) =>
        this.#seam(life, () => commands.forEach((command) => this.state.apply(command))),
      snapshot: () => this.#seam(life, () => this.state.snapshot()),
      restore: (bytes) => this.#seam(life, () => void (this.state = HashState.restored(bytes))),
    };
  }
}

/** The name of the group that a journal's last replacement stands in. */
function groupOf(records: readonly Uint8Array[]): string | undefined {
  const record = records.find(([kind]) => kind === 1);
  return record && hex(readGroup(new Reader(record.subarray(1), "group")).name);
}

function givesVote(bytes: Uint8Array): boolean {
  const message = decodeMessage(bytes);
  if (message.kind !== "raft") return false;
  const fields = readFields(message.message);
  return numberOf(fields, FIELD.type) === KIND.voteResponse && numberOf(fields, FIELD.reject) === 0;
}

/** Whether two disks hold the same. */
function sameDisk(a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean {
  return a.length === b.length && a.every((record, i) => equal(record, b[i]));
}
