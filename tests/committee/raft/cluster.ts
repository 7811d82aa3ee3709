/** A committee of real engines whose links and disks a test pulls by hand; time is virtual. */
import { loadRaft } from "../../../src/committee/raft/load.ts";
import { Oracle } from "./glue_oracle.ts";
import { Schedule } from "./glue_schedule.ts";
import { GlueServer } from "./glue_server.ts";

const module = await loadRaft();

/** Virtual ms after which a wait counts as hung. */
const HUNG_MS = 30_000;

/** Servers that reach each other, but for those that are cut off. */
export class Cluster {
  readonly servers: GlueServer[];
  readonly oracle = new Oracle();
  readonly #schedule = new Schedule();
  #sides: readonly number[];

  /** All of them up, and one leads. */
  constructor(readonly count: number, seed: number) {
    this.#sides = Array(count).fill(0);
    const world = {
      ...{ module, seed, servers: count, oracle: this.oracle },
      now: () => this.#schedule.now,
      after: (ms: number, task: () => void) => this.#schedule.after(ms, task),
      send: (from: number, to: number, bytes: Uint8Array) => this.#send(from, to, bytes),
      died: () => {},
    };
    this.servers = Array.from({ length: count }, (_, index) => new GlueServer(world, index));
    for (const { index } of this.servers) this.start(index);
    this.until(() => this.servers.every(({ engine }) => engine!.leader !== undefined));
  }

  /** The place of the server that all in a part of the committee follow. */
  leader(of: readonly number[] = this.servers.map(({ index }) => index)): number | undefined {
    const said = new Set(of.map((index) => this.servers[index].engine?.leader));
    return said.size === 1 ? [...said][0] : undefined;
  }

  /** Starts a server on its disk, or on an empty one. */
  start(index: number, lost = false): void {
    const server = this.servers[index];
    if (lost) server.records = [];
    server.start();
    for (const other of this.servers) if (other !== server) this.#link(index, other.index, true);
  }

  /** Kills a server; the others notice. */
  kill(index: number): void {
    this.servers[index].kill();
    for (const other of this.servers) if (other.up) this.#tell(other.index, index, false);
  }

  /** Leaves links only between servers with the same number, one a server. */
  part(sides: readonly number[]): void {
    const before = this.#sides;
    this.#sides = sides;
    for (let a = 0; a < this.count; a++) {
      for (let b = a + 1; b < this.count; b++) {
        const had = before[a] === before[b], has = sides[a] === sides[b];
        if (had !== has) this.#link(a, b, has);
      }
    }
  }

  /** Parts one server from the rest. */
  cut(index: number): void {
    this.part(this.servers.map((server) => Number(server.index === index)));
  }

  /** Everybody reaches everybody. */
  heal(): void {
    this.part(this.servers.map(() => 0));
  }

  /** Lets time pass until `done`. */
  until(done: () => boolean, ms = HUNG_MS): void {
    for (const end = this.#schedule.now + ms; !done();) {
      if (this.#schedule.next > end) throw new Error(`nothing of the kind within ${ms} ms`);
      this.#schedule.step();
    }
  }

  /** Lets time pass. */
  pass(ms: number): void {
    for (const end = this.#schedule.now + ms; this.#schedule.next <= end;) this.#schedule.step();
  }

  /** Whether servers have applied a command. */
  applied(command: number, ...at: number[]): boolean {
    const servers = at.length > 0 ? at.map((index) => this.servers[index]) : this.servers;
    return servers.every(({ state }) => state.seen.has(command));
  }

  #reach(a: number, b: number): boolean {
    return this.#sides[a] === this.#sides[b] && this.servers[a].up && this.servers[b].up;
  }

  #link(a: number, b: number, open: boolean): void {
    if (open && !this.#reach(a, b)) return;
    this.#tell(a, b, open);
    this.#tell(b, a, open);
  }

  #tell(to: number, about: number, open: boolean): void {
    const server = this.servers[to];
    if (!server.up) return;
    const { engine } = server;
    server.act(() => open ? engine!.connected(about) : engine!.disconnected(about));
  }

  #send(from: number, to: number, bytes: Uint8Array): boolean {
    if (!this.#reach(from, to)) return false;
    this.#schedule.after(1, () => {
      const server = this.servers[to];
      if (this.#reach(from, to)) server.act(() => server.engine!.receive(from, bytes));
    });
    return true;
  }
}
