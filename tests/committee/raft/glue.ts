/**
 * A committee of real engines in one thread, over virtual time from one seed: what is sent is lost,
 * doubled, late and out of order, streams break, servers die at any call and come back with their
 * disk, without it, or with an older one. Real streams neither lose nor reorder; the engine must be
 * safe even so. Twice in a run all faults end, and everything must go on within `RETURN_MS`.
 *
 * A server that lost its disk is another server to raft, so all checks hold for it. Where an older
 * disk was put back, raft promises nothing in that group any more; only going on is asked for. Nor is
 * anything promised from one group to the next, which begins with an empty order.
 */
import type { RaftModule } from "../../../src/committee/raft/load.ts";
import { Seeded } from "../../../src/universe/seeded.ts";
import type { Mutant } from "./glue_mutants.ts";
import { Oracle, Violation } from "./glue_oracle.ts";
import { GlueServer } from "./glue_server.ts";
import { Schedule } from "./glue_schedule.ts";
import { forecast, type Weather } from "./glue_weather.ts";

/** Virtual time in which every server applies new commands once all faults are over. */
export const RETURN_MS = 15_000;
/** Virtual time for which faults go on, twice in a run. */
const FAULTS_MS = 8_000;
/** Events of a run; beyond it something feeds itself. */
const MAX_STEPS = 100_000;
/** How often a server offers again what was not applied. */
const OFFER_AGAIN_MS = 1_000;
/** How long a stream that was reset stays away. */
const REOPEN_MS = 500;
/** The first byte of what streams alone must keep in order: how a server stands. */
const STATUS = 0;

/** What a run did. */
export interface Tally {
  steps: number;
  commits: number;
  leaderships: number;
  crashes: number;
  wiped: number;
  putBack: number;
  snapshots: number;
  refoundings: number;
  /** Longest virtual time until everything went on after faults. */
  returnMs: number;
}

/** A run's outcome. */
export interface Outcome extends Tally {
  /** What must not happen and did. */
  readonly violation?: string;
}

/** A way between two servers; each new one has a number, 0 while there is none. */
interface Way {
  open: boolean;
  number: number;
}

/** One run. */
export class Glue {
  readonly oracle = new Oracle();
  readonly servers: GlueServer[];
  readonly tally: Tally = {
    ...{ steps: 0, commits: 0, leaderships: 0, crashes: 0, wiped: 0, putBack: 0, snapshots: 0 },
    ...{ refoundings: 0, returnMs: 0 },
  };
  readonly #schedule = new Schedule();
  readonly #draw: Seeded;
  readonly #ways = new Map<string, Way>();
  /** The way that each end knows of, by `from>to`. */
  readonly #ends = new Map<string, number>();
  readonly #muted = new Set<string>();
  readonly #last = new Map<string, number>();
  readonly #weather: Weather;
  #calm = true;
  #nextCommand = 1;

  constructor(
    readonly module: RaftModule,
    readonly seed: number,
    readonly count: number,
    readonly mutant?: Mutant,
  ) {
    this.#draw = new Seeded(seed, "glue");
    this.#weather = { ...forecast(this.#draw), ...mutant?.weather };
    const { oracle } = this;
    const world = {
      ...{ module, seed, servers: count, oracle, mutant },
      now: () => this.#schedule.now,
      after: (ms: number, task: () => void) => this.#schedule.after(ms, task),
      send: (from: number, to: number, bytes: Uint8Array) => this.#send(from, to, bytes),
      died: (index: number) => this.#died(index),
    };
    this.servers = Array.from({ length: count }, (_, index) => new GlueServer(world, index));
  }

  /** Runs to the end, or to the first violation. */
  run(): Outcome {
    let violation: string | undefined;
    try {
      this.#recover();
      for (let episode = 0; episode < 2; episode++) {
        this.#storm();
        this.#recover();
      }
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      violation = error.message;
    }
    for (const server of this.servers) server.kill();
    this.tally.snapshots = this.servers.reduce((sum, { snapshots }) => sum + snapshots, 0);
    this.tally.commits = this.oracle.commits;
    this.tally.leaderships = this.oracle.leaderships;
    this.tally.refoundings = Math.max(0, this.oracle.groups - 1);
    return violation === undefined ? this.tally : { ...this.tally, violation };
  }

  #chance(share: number): boolean {
    return this.#draw.real() < share;
  }

  #below(limit: number): number {
    return Math.floor(this.#draw.real() * limit);
  }

  /** Faults, for a while. */
  #storm(): void {
    this.#calm = false;
    const end = this.#schedule.now + FAULTS_MS;
    const fault = () => {
      if (this.#calm) return;
      this.#fault();
      this.#schedule.after(50 + this.#below(700), fault);
    };
    const offer = () => {
      if (this.#calm) return;
      const server = this.servers[this.#below(this.count)];
      for (let i = 0; i < this.#weather.burst && server.up; i++) server.offer(this.#nextCommand++);
      this.#schedule.after(20 + this.#below(150), offer);
    };
    fault();
    offer();
    this.#pass(() => this.#schedule.now >= end, FAULTS_MS);
    this.#calm = true;
  }

  #fault(): void {
    const server = this.servers[this.#below(this.count)];
    if (this.#weather.quarrel && this.#chance(0.7)) return this.#quarrel();
    const dice = this.#below(100);
    if (dice < 10) this.#part();
    else if (dice < 20) this.#mend();
    else if (dice < 27) this.#flap(server.index);
    else if (dice < 34) this.#muted.add(`${server.index}>${this.#below(this.count)}`);
    else if (dice < 40) this.#muted.clear();
    else if (dice < 44) server.copy();
    else if (dice < 53) this.#corner();
    else if (dice < 63) this.#light(server, 1, true);
    else if (dice < 76) this.#light(server, 1 + this.#below(40), false);
    else if (dice < 78) this.#calamity();
    else this.servers.filter(({ up }) => !up).forEach((dead) => this.#bringBack(dead));
  }

  /** The server will die: at its nth call, or right where it has given its vote. */
  #light(server: GlueServer, left: number, voting: boolean): void {
    if (server.up) server.fuse = { left, voting, before: this.#chance(voting ? 0.2 : 0.5) };
  }

  /** No leader for long, and no voter that remembers for long. */
  #quarrel(): void {
    for (const server of this.servers) {
      if (server.engine?.leader === server.index && this.#chance(0.5)) server.kill();
      else this.#light(server, 1, true);
    }
  }

  /** Who leads is alone, and is asked for more than it can commit. */
  #corner(): void {
    for (const server of this.servers) {
      if (server.engine?.leader !== server.index) continue;
      for (const { index } of this.servers) {
        if (index !== server.index) this.#renew(index, server.index, false);
      }
      for (let i = this.#below(8); i >= 0 && server.up; i--) server.offer(this.#nextCommand++);
    }
  }

  /** A majority loses its disks at once. */
  #calamity(): void {
    if (!this.#weather.wipes) return;
    const first = this.#below(this.count);
    for (let i = 0; i <= this.count >> 1; i++) {
      const server = this.servers[(first + i) % this.count];
      if (server.up) server.kill();
      this.#wipe(server);
    }
  }

  #wipe(server: GlueServer): void {
    server.records = [];
    this.tally.wiped++;
  }

  #bringBack(server: GlueServer): void {
    if (this.#chance(0.3)) return;
    if (this.#weather.wipes && this.#chance(0.3)) this.#wipe(server);
    else if (this.#weather.putsBack && this.#chance(0.4) && server.putBack()) this.tally.putBack++;
    this.#start(server);
  }

  #start(server: GlueServer): void {
    server.start();
    if (!server.up) return;
    const { boots } = server;
    const again = () => {
      if (server.boots !== boots || !server.up) return;
      server.offerAgain();
      this.#schedule.after(OFFER_AGAIN_MS, again);
    };
    this.#schedule.after(OFFER_AGAIN_MS, again);
    for (const { index } of this.servers) {
      if (index !== server.index) this.#renew(index, server.index);
    }
  }

  /** All faults end; every server must apply what is new, and be a voter again. */
  #recover(): void {
    this.#calm = true;
    this.#muted.clear();
    for (const server of this.servers) {
      server.fuse = undefined;
      if (!server.up) this.#start(server);
    }
    this.#mend();
    for (const { index } of this.servers) this.#flap(index);
    const fresh = this.servers.map((server) => {
      server.pending.length = 0;
      server.offer(this.#nextCommand);
      return this.#nextCommand++;
    });
    const before = this.#schedule.now;
    const all = () => this.servers.every(({ state }) => fresh.every((it) => state.seen.has(it)));
    this.#pass(() => all() && this.#whole(), RETURN_MS, "everything goes on");
    this.tally.returnMs = Math.max(this.tally.returnMs, this.#schedule.now - before);
  }

  /** Whether all servers are voters of one group, and nobody else is a member. */
  #whole(): boolean {
    const ids = this.servers.map(({ id }) => id!).sort().join();
    if (new Set(this.servers.map(({ group }) => group)).size > 1) return false;
    return this.servers.every(({ members }) =>
      members && members.outgoing.length + members.learners.length === 0 &&
      [...members.voters].sort().join() === ids
    );
  }

  /** Lets events happen until `done`; `hopes` says what is broken if that takes over `ms`. */
  #pass(done: () => boolean, ms: number, hopes?: string): void {
    const end = this.#schedule.now + ms;
    for (let looked = 0; this.#schedule.next <= end;) {
      if (this.#schedule.now >= looked) {
        if (done()) return;
        looked = this.#schedule.now + 50;
      }
      if (++this.tally.steps > MAX_STEPS) throw new Violation("events without end");
      this.#schedule.step();
    }
    if (hopes && !done()) throw new Violation(`not within ${ms} ms: ${hopes}: ${this.#scene()}`);
  }

  #scene(): string {
    return this.servers.map(({ index, id, group, members, engine, state }) =>
      `${index}: id ${id} group ${group?.slice(0, 6)} leader ${engine?.leader} of ` +
      `${members?.voters}/${members?.learners}/${members?.outgoing} state ${state.digest}`
    ).join("; ");
  }

  #way(a: number, b: number): Way {
    const name = a < b ? `${a}-${b}` : `${b}-${a}`;
    let way = this.#ways.get(name);
    if (!way) this.#ways.set(name, way = { open: true, number: 1 });
    return way;
  }

  /** Two sides that do not reach each other. */
  #part(): void {
    const side = this.servers.map(() => this.#chance(0.5));
    this.#pairs((a, b) => {
      if (side[a] !== side[b]) this.#renew(a, b, false);
    });
  }

  #mend(): void {
    this.#pairs((a, b) => {
      if (!this.#way(a, b).open) this.#renew(a, b, true);
    });
  }

  /** New streams to one server. */
  #flap(server: number): void {
    for (const { index } of this.servers) {
      if (index !== server) this.#renew(index, server, this.#way(index, server).open);
    }
  }

  #pairs(each: (a: number, b: number) => void): void {
    for (let a = 0; a < this.count; a++) for (let b = a + 1; b < this.count; b++) each(a, b);
  }

  /** The way between two is another one from now on, or gone; each end notices at its own time. */
  #renew(a: number, b: number, open = this.#way(a, b).open): void {
    const way = this.#way(a, b);
    way.open = open;
    way.number++;
    for (const [end, other] of [[a, b], [b, a]]) {
      this.#schedule.after(this.#below(40), () => this.#notice(end, other));
    }
  }

  #notice(end: number, other: number): void {
    const way = this.#way(end, other), name = `${end}>${other}`;
    const server = this.servers[end];
    const number = way.open && server.up && this.servers[other].up ? way.number : 0;
    const known = this.#ends.get(name) ?? 0;
    if (known === number || !server.up) return;
    this.#ends.set(name, number);
    // A new stream may stand before the end of the old one is known, which is then not told.
    if (known > 0 && (number === 0 || this.#chance(0.5))) {
      server.act(() => server.engine!.disconnected(other));
    }
    if (number > 0 && server.up) server.act(() => server.engine!.connected(other));
  }

  #died(server: number): void {
    this.tally.crashes++;
    // Most are started again at once.
    if (!this.#calm && (this.#weather.quarrel || this.#chance(0.5))) {
      this.#schedule.after(1 + this.#below(60), () => {
        if (!this.#calm && !this.servers[server].up) this.#start(this.servers[server]);
      });
    }
    for (const { index } of this.servers) {
      this.#ends.delete(`${server}>${index}`);
      if (index !== server) this.#renew(index, server);
    }
  }

  #send(from: number, to: number, bytes: Uint8Array): boolean {
    const number = this.#ends.get(`${from}>${to}`) ?? 0;
    if (number === 0) return false;
    const { loss, twice, late, delay, ordered, quarrel } = this.#weather;
    const name = `${from}>${to}`, { now } = this.#schedule;
    if (this.#muted.has(name)) return true;
    if (this.#calm) {
      this.#carry(from, to, number, bytes, this.#inOrder(name, now + 1 + this.#below(5)));
      return true;
    }
    if (this.#chance(loss)) return true;
    // Statuses are quick in a quarrel: a server that came back must know whom it votes for.
    const at = now + this.#below(quarrel && bytes[0] === STATUS ? 5 : delay);
    const lasts = quarrel && bytes[0] !== STATUS;
    this.#carry(from, to, lasts ? 0 : number, bytes, ordered ? this.#inOrder(name, at) : at);
    if (this.#chance(twice)) this.#carry(from, to, number, bytes, at + this.#below(1_000));
    // Copies that outlive the stream: streams never do that.
    if (bytes[0] !== STATUS && this.#chance(late)) {
      this.#carry(from, to, 0, bytes, at + this.#below(10_000));
    }
    return true;
  }

  #inOrder(name: string, at: number): number {
    const found = Math.max(at, this.#last.get(name) ?? 0);
    this.#last.set(name, found);
    return found;
  }

  /** Hands a message over at its time, if its way still stands; number 0 outlives all ways. */
  #carry(from: number, to: number, number: number, bytes: Uint8Array, at: number): void {
    this.#schedule.after(at - this.#schedule.now, () => {
      const way = this.#way(from, to), server = this.servers[to];
      if (!server.up || !way.open || (number !== 0 && number !== way.number)) return;
      this.#notice(to, from);
      if (!server.up) return;
      const found = this.mutant?.message?.(bytes, server) ?? bytes;
      const refused = server.act(() => server.engine!.receive(from, found));
      // A server closes the stream on which it got what it cannot read.
      if (!refused || number === 0) return;
      this.#renew(from, to, false);
      this.#schedule.after(REOPEN_MS, () => {
        if (this.#calm) this.#renew(from, to, true);
      });
    });
  }
}
