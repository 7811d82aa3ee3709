/** A group of raft nodes in one process: a network with cuts, disks that survive a crash. */
import { type Limits, type Message, type Stored } from "../../../src/committee/raft/types.ts";
import { RaftCore } from "../../../src/committee/raft/core.ts";
import { RaftError } from "../../../src/committee/raft/errors.ts";
import type { RaftModule } from "../../../src/committee/raft/load.ts";
import { Seeded } from "../../../src/universe/seeded.ts";

/** Rounds of messages without a tick between them. */
const MAX_ROUNDS = 10_000;

const encoder = new TextEncoder(), decoder = new TextDecoder();

/** A node, its disk and the commands that it applied. */
export class Member {
  core: RaftCore;
  applied: string[] = [];
  /** What a restart finds; entries are kept by index. */
  disk: { snapshot?: Stored["snapshot"]; hardState?: Stored["hardState"]; entries: Entries };
  up = true;

  constructor(readonly group: Group, readonly id: number, stored: Stored) {
    this.disk = { ...stored, entries: [...stored.entries ?? []] };
    this.core = this.#start();
  }

  #start(): RaftCore {
    const { module, seed, limits } = this.group;
    this.applied = this.disk.snapshot ? texts(this.disk.snapshot.data) : [];
    const random = new Seeded(seed, `${this.id} ${this.group.restarts++}`).bytes;
    const clock = { now: () => 0 };
    return new RaftCore(module, { id: this.id, stored: this.disk, limits, clock, random });
  }

  crash(): void {
    this.up = false;
  }

  restart(): void {
    this.core = this.#start();
    this.up = true;
  }

  propose(text: string): void {
    this.core.propose(encoder.encode(text));
  }

  /** A message from another node; an answer of one that was removed meanwhile counts for nothing. */
  take(from: number, bytes: Uint8Array): void {
    try {
      this.core.step(from, bytes);
    } catch (error) {
      if (!(error instanceof RaftError && error.code === "peer")) throw error;
    }
  }

  /** Does the work that is due; answers messages, and whether there was any work. */
  work(): readonly Message[] | undefined {
    const ready = this.core.ready();
    if (!ready) return undefined;
    const { disk } = this;
    if (ready.snapshot) {
      disk.snapshot = ready.snapshot;
      disk.entries = disk.entries.filter(({ index }) => index > ready.snapshot!.index);
      this.applied = texts(ready.snapshot.data);
    }
    disk.hardState = ready.hardState ?? disk.hardState;
    if (ready.entries.length > 0) {
      const [{ index: from }] = ready.entries;
      disk.entries = [...disk.entries.filter(({ index }) => index < from), ...ready.entries];
    }
    for (const entry of ready.committed) {
      if (entry.type !== "normal") this.core.applyConfChange(entry);
      else if (entry.data.length > 0) this.applied.push(decoder.decode(entry.data));
    }
    this.core.advance();
    // A new member takes no snapshot that does not name it.
    if (ready.committed.some(({ type }) => type !== "normal")) this.compact();
    return ready.messages;
  }

  /** A snapshot of all that is applied; the log behind it is forgotten. */
  compact(): void {
    const snapshot = this.core.createSnapshot(encoder.encode(JSON.stringify(this.applied)));
    this.core.compact(snapshot.index);
    this.disk.snapshot = snapshot;
    this.disk.entries = this.disk.entries.filter(({ index }) => index > snapshot.index);
  }
}

type Entries = NonNullable<Stored["entries"]>;

function texts(data: Uint8Array): string[] {
  return data.length === 0 ? [] : JSON.parse(decoder.decode(data));
}

/** Members that reach each other, but for those that are cut off. */
export class Group {
  readonly members = new Map<number, Member>();
  readonly cut = new Set<number>();
  /** What happened, for comparing two runs. */
  readonly trace: string[] = [];
  restarts = 0;

  constructor(
    readonly module: RaftModule,
    readonly seed: number,
    readonly limits?: Partial<Limits>,
  ) {}

  add(id: number, stored: Stored): Member {
    const member = new Member(this, id, stored);
    this.members.set(id, member);
    return member;
  }

  at(id: number): Member {
    return this.members.get(id)!;
  }

  /** The leader whose term is the highest. */
  get leader(): Member | undefined {
    return [...this.members.values()].filter(({ up }) => up)
      .map((it) => ({ it, status: it.core.status() }))
      .filter(({ status }) => status.role === "leader")
      .sort((a, b) => b.status.term - a.status.term)[0]?.it;
  }

  /** Carries messages until there are none. */
  pump(): void {
    let busy = true;
    for (let rounds = 0; busy; rounds++) {
      if (rounds > MAX_ROUNDS) throw new Error("messages give rise to messages without end");
      busy = false;
      for (const member of this.members.values()) {
        const messages = member.up ? member.work() : undefined;
        if (!messages) continue;
        busy = true;
        for (const message of messages) this.#carry(member, message);
      }
    }
  }

  #carry(from: Member, { to, snapshot, bytes }: Message): void {
    this.trace.push(`${from.id}>${to}:${bytes.length}:${bytes.join()}`);
    const target = this.members.get(to);
    const lost = !target?.up || this.cut.has(from.id) || this.cut.has(to);
    if (!lost) target.take(from.id, bytes);
    if (lost) from.core.reportUnreachable(to);
    if (snapshot) from.core.reportSnapshot(to, !lost);
  }

  /** Time passes for all until `done`; answers the ticks, or throws after `most`. */
  run(done: () => unknown, most = 200): number {
    for (let ticks = 0; ticks <= most; ticks++) {
      this.pump();
      if (done()) return ticks;
      for (const member of this.members.values()) if (member.up) member.core.tick();
    }
    throw new Error(`nothing of the kind within ${most} ticks`);
  }

  /** Time passes. */
  pass(ticks: number): void {
    let left = ticks;
    this.run(() => left-- === 0, ticks);
  }
}
