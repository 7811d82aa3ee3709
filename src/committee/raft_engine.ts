/**
 * The engine of a committee in the process itself: etcd's raft, with a journal under it and the
 * servers' streams between its nodes.
 *
 * A server that remembers goes on where it was. One that does not (a new one, a lost disk, an
 * ephemeral one) comes under a new id: the leader adds it as a learner, and once it has caught up it
 * takes the vote of the id that stood in its place. Where most voters have forgotten, the first
 * server founds a new group as soon as all are here; the order then begins anew, and whoever
 * followed the old one brings the roster back.
 */
import { equal } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type { Environment } from "../universe/environment.ts";
import { type Engine, type EngineHost, MAX_COMMAND_BYTES } from "./engine.ts";
import type { Journal } from "./journal.ts";
import { RaftCore } from "./raft/core.ts";
import { RaftError } from "./raft/errors.ts";
import { loadRaft, type RaftModule } from "./raft/load.ts";
import type { Limits, Members, Ready, Status } from "./raft/types.ts";
import {
  decodeMessage,
  encodeMessage,
  type Group,
  type GroupStatus,
  isDead,
  isNewer,
  newId,
  NO_GROUP,
  placeOf,
} from "./raft_group.ts";
import { showsLoss } from "./raft_refusal.ts";
import { RaftLog } from "./raft_log.ts";
import { stewardship } from "./raft_steward.ts";

/** The unit of raft's time; a follower waits 10 to 20 of them before it stands for election. */
export const TICK_MS = 100;
/** Ticks between two looks at who should be a member. */
const STEWARD_TICKS = 3;
/** Entries applied since the last snapshot, or bytes in the journal, that make a new one. */
const SNAPSHOT_ENTRIES = 1_000, SNAPSHOT_BYTES = 8 * 2 ** 20;
/** Entries that stay in memory behind a snapshot, for followers that are not far behind. */
const KEPT_ENTRIES = 500;
/** Work done in one go; a network without delay could go on for ever. */
const MAX_WORK = 1_000;
/** How far a group's generation may be ahead of one's own: nobody burns the numbers. */
const MAX_GENERATION_GAP = 2 ** 20;
/** All servers here, and none leads for so long: no vote will come of this group any more. */
const STALLED_MS = 8_000;
/** After it lost its group a server joins none for so long. */
const PAUSE_MS = 1_000;

const LIMITS: Partial<Limits> = {
  entryBytes: MAX_COMMAND_BYTES,
  snapshotBytes: 48 * 2 ** 20,
};

/** What a raft engine is made of. */
export interface RaftEngineOptions {
  readonly module: RaftModule;
  /** Place in the manifest. */
  readonly self: number;
  /** Number of servers. */
  readonly servers: number;
  readonly journal: Journal;
  readonly environment: Environment;
}

/** Makes a server's engine in a committee of so many servers, over a journal. */
export type MakeRaft = (
  servers: number,
  journal: Journal,
) => (host: EngineHost, self: number) => Engine;

/** Loads the engine core; what comes back makes a server's engine, one an epoch. */
export async function raftEngine(environment: Environment): Promise<MakeRaft> {
  const module = await loadRaft();
  return (servers, journal) => (host, self) =>
    new RaftEngine({ module, servers, journal, environment, self }, host);
}

/** See the module comment. */
export class RaftEngine implements Engine {
  readonly #log: RaftLog;
  readonly #peers = new Map<number, GroupStatus>();
  #core: RaftCore | undefined;
  #members: Members | undefined;
  #leader: number | undefined;
  #applied = 0;
  #working = false;
  #ticks = 0;
  #lostAt = -Infinity;
  /** When a leader was known last, or a server was away. */
  #hopedAt = -Infinity;
  #cancel = () => {};
  #stopped = false;

  /** Throws a `ProtocolError` for a journal that no engine wrote. */
  constructor(readonly options: RaftEngineOptions, readonly host: EngineHost) {
    this.#log = new RaftLog(options.journal);
  }

  get leader(): number | undefined {
    return this.#leader;
  }

  get applied(): number {
    return this.#applied;
  }

  get present(): ReadonlySet<number> {
    const { self } = this.options;
    const caughtUp = this.#core?.status().progress.filter(({ id, state }) =>
      state === "replicate" && this.#peers.get(placeOf(id))?.id === id
    );
    return new Set([self, ...(caughtUp ?? []).map(({ id }) => placeOf(id))]);
  }

  start(): void {
    const { self, environment: { random } } = this.options;
    const { id, group } = this.#log;
    if (id === undefined) this.#log.begin(newId(self, random));
    else if (placeOf(id) !== self) {
      throw new ProtocolError("mismatch", `the journal of server ${placeOf(id)}, not of ${self}`);
    }
    if (group) this.#guarded(() => this.#begin());
    const tick = () => {
      this.#cancel = this.options.environment.clock.after(TICK_MS, tick);
      this.#tick();
    };
    tick();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
    this.#core = undefined;
    this.#leader = undefined;
  }

  propose(command: Uint8Array): void {
    if (command.length > MAX_COMMAND_BYTES) {
      throw new ProtocolError(
        "range",
        `a command of ${command.length} bytes, expected at most ${MAX_COMMAND_BYTES}`,
      );
    }
    this.#guarded(() => this.#core?.propose(command));
    this.#work();
  }

  receive(from: number, bytes: Uint8Array): void {
    if (this.#stopped) return;
    const message = decodeMessage(bytes);
    if (message.kind === "raft") {
      const peer = this.#peers.get(from), group = this.#log.group;
      if (!peer || !group || !equal(message.name, group.name)) return;
      this.#guarded(() => this.#core?.step(peer.id, message.message), message.message);
      return this.#work();
    }
    if (message.kind === "join") return this.#asked(message.group);
    const { status } = message;
    if (placeOf(status.id) !== from) {
      throw new ProtocolError("mismatch", `server ${from} speaks as server ${placeOf(status.id)}`);
    }
    this.#peers.set(from, status);
    this.#consider();
  }

  connected(peer: number): void {
    if (this.#stopped) return;
    this.host.send(peer, encodeMessage({ kind: "status", status: this.#status }));
  }

  disconnected(peer: number): void {
    const status = this.#peers.get(peer);
    this.#peers.delete(peer);
    if (status) this.#guarded(() => this.#core?.reportUnreachable(status.id));
  }

  get #status(): GroupStatus {
    const { id, group } = this.#log;
    const { generation, name } = group ?? { generation: 0, name: NO_GROUP };
    const { voters = [], outgoing = [] } = this.#members ?? {};
    return { id: id!, generation, name, voters, outgoing };
  }

  #announce(): void {
    const bytes = encodeMessage({ kind: "status", status: this.#status });
    for (let peer = 0; peer < this.options.servers; peer++) {
      if (peer !== this.options.self) this.host.send(peer, bytes);
    }
  }

  /** Another server said how it stands: who is behind is told, who is first may found anew. */
  #consider(): void {
    const { self, servers } = this.options;
    if (self === 0 && this.#peers.size === servers - 1) {
      const statuses = [this.#status, ...this.#peers.values()];
      if (isDead(statuses)) return this.#found(statuses);
      const here = (status: GroupStatus) => equal(status.name, this.#status.name);
      // All have joined: nobody need wait for an election that times out.
      if (this.#leader === undefined && statuses.every(here)) {
        this.#guarded(() => this.#core?.campaign());
        this.#work();
      }
    }
    this.#tell();
  }

  /** Founders that do not stand in this group yet are told of it. */
  #tell(): void {
    const { group } = this.#log;
    if (!group) return;
    for (const [peer, status] of this.#peers) {
      if (isNewer(group, status) && group.founders.includes(status.id)) {
        this.host.send(peer, encodeMessage({ kind: "join", group }));
      }
    }
  }

  #found(statuses: readonly GroupStatus[]): void {
    const { random } = this.options.environment;
    this.#hopedAt = this.options.environment.clock.now();
    const generation = 1 + Math.max(...statuses.map((status) => status.generation));
    this.#join({ generation, name: random(16), founders: statuses.map(({ id }) => id) });
    this.#tell();
  }

  #asked(group: Group): void {
    const { servers, environment: { clock } } = this.options;
    const mine = this.#status;
    if (group.founders.some((id) => placeOf(id) >= servers)) {
      throw new ProtocolError("range", `a group with more founders than ${servers} servers`);
    }
    if (group.generation > mine.generation + MAX_GENERATION_GAP) {
      throw new ProtocolError("range", `a group of generation ${group.generation}`);
    }
    if (!isNewer(group, mine) || clock.now() - this.#lostAt < PAUSE_MS) return;
    this.#join(group);
  }

  /** Begins in a group where nothing was said under this id. */
  #join(group: Group): void {
    this.#end();
    this.#log.join(group);
    this.host.restore(undefined);
    this.#guarded(() => this.#begin());
    this.#announce();
  }

  /** Starts a core from what the journal holds. */
  #begin(): void {
    const { module, environment: { clock, random } } = this.options;
    const { id, stored } = this.#log;
    this.#core = new RaftCore(module, { id: id!, stored, limits: LIMITS, clock, random });
    this.#members = this.#core.status().members;
    this.#applied = stored.snapshot?.data.length ? stored.snapshot.index : 0;
    if (this.#applied > 0) this.#restore(stored.snapshot!.data);
  }

  /** Hands the host a state. A leader that lies may have sent what is none: no boot survives that. */
  #restore(data: Uint8Array): void {
    try {
      this.host.restore(data.length > 0 ? data : undefined);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      throw new RaftError("panic", `a snapshot that is no state: ${error.message}`);
    }
  }

  #end(): void {
    this.#core = this.#members = this.#leader = undefined;
    this.#applied = 0;
  }

  #tick(): void {
    const { servers, environment: { clock } } = this.options;
    if (this.#leader !== undefined || this.#peers.size < servers - 1) this.#hopedAt = clock.now();
    this.#ticks++;
    this.#guarded(() => this.#core?.tick());
    this.#work();
    if (this.#ticks % STEWARD_TICKS !== 0) return;
    if (this.#leader === undefined) return this.#wait();
    if (this.#leader === this.options.self) {
      this.#guarded(() => this.#steward(this.#core!.status()));
      this.#work();
    }
  }

  /** Nobody leads: who pauses does not join when it is told the first time, and views may be old. */
  #wait(): void {
    const { self, servers, environment: { clock } } = this.options;
    const stalled = clock.now() - this.#hopedAt >= STALLED_MS;
    if (self === 0 && stalled && this.#peers.size === servers - 1) {
      this.#found([this.#status, ...this.#peers.values()]);
    } else this.#tell();
  }

  /** The leader sees to it that every server here is a voter under the id that it has now. */
  #steward(status: Status): void {
    if (status.members.outgoing.length > 0) return;
    this.#tell();
    const group = this.#log.group!;
    const { behind, changes } = stewardship(status, this.#peers, group);
    for (const peer of behind) this.host.send(peer, encodeMessage({ kind: "join", group }));
    if (changes) this.#core!.proposeConfChange(changes);
  }

  /** Does all that is due. What is done may ask for more, or end the group. */
  #work(): void {
    if (this.#working || this.#stopped) return;
    this.#working = true;
    try {
      this.#guarded(() => {
        for (let i = 0; i < MAX_WORK && this.#core; i++) {
          const ready = this.#core.ready();
          if (!ready) break;
          this.#do(this.#core, ready);
        }
      });
    } finally {
      this.#working = false;
    }
  }

  #do(core: RaftCore, ready: Ready): void {
    this.#log.write(ready);
    if (ready.softState) this.#led(ready.softState.leader);
    this.#send(core, ready);
    if (ready.snapshot) {
      this.#applied = ready.snapshot.index;
      this.#members = ready.snapshot.members;
      this.#restore(ready.snapshot.data);
      this.#announce();
    }
    const changed = this.#apply(core, ready);
    if (core !== this.#core) return;
    core.advance();
    // A new member takes no snapshot that does not name it.
    const since = this.#applied - (this.#log.snapshot?.index ?? 0);
    if (changed || since >= SNAPSHOT_ENTRIES || this.#log.bytes >= SNAPSHOT_BYTES) {
      this.#snapshot(core);
    }
    if (changed) this.#announce();
  }

  /** Hands commands to the host; tells whether the members changed. */
  #apply(core: RaftCore, { committed }: Ready): boolean {
    const commands: Uint8Array[] = [];
    let changed = false;
    for (const entry of committed) {
      if (entry.type !== "normal") {
        this.#members = core.applyConfChange(entry);
        changed = true;
      } else if (entry.data.length > 0) commands.push(entry.data);
      this.#applied = entry.index;
    }
    if (commands.length > 0) this.host.apply(commands);
    return changed;
  }

  #snapshot(core: RaftCore): void {
    const snapshot = core.createSnapshot(this.host.snapshot());
    this.#log.compact(snapshot);
    const { first } = core.status();
    if (snapshot.index - KEPT_ENTRIES >= first) core.compact(snapshot.index - KEPT_ENTRIES);
  }

  #send(core: RaftCore, { messages }: Ready): void {
    const { name } = this.#log.group!;
    for (const { to, snapshot, bytes } of messages) {
      const place = placeOf(to);
      const left = this.#peers.get(place)?.id === to &&
        this.host.send(place, encodeMessage({ kind: "raft", name, message: bytes }));
      if (!left) core.reportUnreachable(to);
      if (snapshot) core.reportSnapshot(to, left);
    }
  }

  #led(id: number): void {
    const leader = id === 0 ? undefined : placeOf(id);
    if (leader === this.#leader) return;
    this.#leader = leader;
    const { self, environment: { observe } } = this.options;
    observe("info", "leader", { server: leader ?? "none", self: leader === self });
  }

  /**
   * What raft refuses of others' doing is passed over. What it does not survive, or what its own
   * journal contradicts (an older disk was put back), ends this server's part in the group: it comes
   * again under a new id, with nothing said.
   */
  #guarded(act: () => void, message?: Uint8Array): void {
    if (this.#stopped) return;
    try {
      act();
    } catch (error) {
      if (!(error instanceof RaftError)) throw error;
      const { term } = this.#log.stored.hardState!;
      if (error.code === "message" && !(message && showsLoss(error, message, term))) {
        throw new ProtocolError("encoding", error.message);
      }
      if (["peer", "dropped", "upstream"].includes(error.code)) return;
      const { self, environment: { clock, observe, random } } = this.options;
      observe("warn", "order left", { reason: error.message.slice(0, 200) });
      this.#lostAt = clock.now();
      this.#end();
      this.#log.begin(newId(self, random));
      this.#announce();
    }
  }
}
