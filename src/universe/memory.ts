/**
 * The simulated universe: nodes in one process over virtual time, every delay, loss and fault from
 * one seed. The same seed and the same calls give the same run, event for event.
 *
 * Links are reliable and ordered as over TCP. Each frame is delayed on its own, so frames of
 * different links overtake each other and those of one never do. A lost frame arrives after a
 * retransmission time-out, which doubles with each further loss, and holds up those behind it.
 * A partition or a crash cuts links; what was under way on them is lost.
 */
import type { Clock, Environment, Observe, Random } from "./environment.ts";
import { MemoryTransport, type Tap } from "./memory_transport.ts";
import type { Network } from "./network.ts";
import { identity, type NetworkOptions, Node } from "./node.ts";
import { Seeded } from "./seeded.ts";
import { type Owner, settled, type TimedEvent, Timeline } from "./timeline.ts";
import type { Transport } from "./transport.ts";

/** The faults and delays of a universe. */
export interface MemoryOptions {
  readonly seed: number | string;
  /** Shortest and longest delay of a frame, in milliseconds. Default 1–20. */
  readonly delay?: readonly [number, number];
  /** Probability that a frame is lost on its way and sent again. Default 0. */
  readonly loss?: number;
  /** Unix time in milliseconds at which virtual time starts. */
  readonly start?: number;
  /** Hears the observations of environments that name no observer of their own. */
  readonly observe?: Observe;
  /** Hears every frame that any node sends; it must not change them. */
  readonly tap?: Tap;
}

/** The first retransmission time-out, in milliseconds. */
const RETRANSMIT_MS = 200;

/** A process of the universe: its timers, its randomness and its nodes die and freeze together. */
class Process implements Environment, Owner {
  crashed = false;
  parked: TimedEvent[] | undefined = undefined;
  readonly clock: Clock;
  readonly random: Random;
  constructor(
    readonly timeline: Timeline,
    generator: Seeded,
    readonly observe: Observe,
    ahead: () => number,
  ) {
    this.clock = clockOf(timeline, this, ahead);
    this.random = generator.bytes;
  }
}

class Timer implements TimedEvent {
  seq = 0;
  dead = false;
  constructor(
    public time: number,
    readonly owner: Owner | undefined,
    readonly task: () => void,
  ) {}
  fire(): void {
    this.dead = true;
    this.task();
  }
}

function clockOf(timeline: Timeline, owner?: Owner, ahead = () => 0): Clock {
  return {
    now: () => Math.floor(timeline.now),
    wall: () => Math.floor(timeline.now) + ahead(),
    after(ms, task) {
      const timer = new Timer(timeline.now + Math.max(0, ms), owner, task);
      timeline.push(timer);
      return () => {
        timer.dead = true;
      };
    },
  };
}

/** All nodes of a simulation and the time they share. */
export class MemoryUniverse {
  /** Virtual time, for what belongs to no process. */
  readonly clock: Clock;
  /** Seeded randomness, for what belongs to no process. */
  readonly random: Random;
  /** The events, for those who measure. */
  readonly timeline: Timeline;
  readonly #options: MemoryOptions;
  readonly #delays: Seeded;
  readonly #observe: Observe;
  readonly #boots = new Map<string, number>();
  /** By how much the machine's clock of a process is ahead, where it is. */
  readonly #ahead = new Map<string, number>();
  readonly #transports = new Set<MemoryTransport>();
  readonly #byNetwork = new Map<Network, MemoryTransport>();
  readonly #byAddress = new Map<string, MemoryTransport>();
  #groups = new Map<string, number>();
  /** Pairs of nodes that are cut off from each other. */
  readonly #cuts = new Set<string>();

  constructor(options: MemoryOptions) {
    const [least, most] = options.delay ?? [1, 20];
    if (!(least >= 0 && most >= least)) throw new RangeError("delay: expected [least, most] ms");
    this.#options = options;
    this.#observe = options.observe ?? (() => {});
    this.timeline = new Timeline(options.start ?? 1_800_000_000_000, (error) => {
      const reason = error instanceof Error ? error.message : String(error);
      this.#observe("error", "event failed", { reason });
    });
    this.clock = clockOf(this.timeline);
    this.random = new Seeded(options.seed, "universe").bytes;
    this.#delays = new Seeded(options.seed, "network");
  }

  /**
   * Time, randomness and observer of one process. Each call is a new boot: it has a stream of
   * randomness of its own, and what crashed before stays crashed.
   */
  environment(name: string, observe: Observe = this.#observe): Environment {
    const boot = this.#boots.get(name) ?? 0;
    this.#boots.set(name, boot + 1);
    const random = this.randomness(`process ${name} ${boot}`);
    return new Process(this.timeline, random, observe, () => this.#ahead.get(name) ?? 0);
  }

  /** The clock of a process's machine is set, so many milliseconds ahead of time, or behind it. */
  setClock(name: string, ahead: number): void {
    this.#ahead.set(name, ahead);
  }

  /** A generator independent of all others, named by its label. */
  randomness(label: string): Seeded {
    return new Seeded(this.#options.seed, label);
  }

  /** A node. Its `listen` addresses are `/memory/NAME`; `/memory/0` stands for its own id. */
  network(options: NetworkOptions): Network {
    const transport = this.transport(options);
    const network = new Node(options, transport);
    this.#byNetwork.set(network, transport);
    return network;
  }

  /** The bare transport under a node, for tests that speak out of turn. */
  transport(options: Pick<NetworkOptions, "environment" | "secret">): Transport & MemoryTransport {
    const owner = options.environment instanceof Process
      ? options.environment
      : new Process(this.timeline, this.#delays, this.#observe, () => 0);
    const transport = new MemoryTransport(identity(options.secret), owner, {
      timeline: this.timeline,
      arrival: () => this.#arrival(),
      addresses: this.#byAddress,
      apart: (a, b) => this.#apart(a, b),
      gone: (it) => this.#transports.delete(it),
      tap: this.#options.tap,
    });
    this.#transports.add(transport);
    return transport;
  }

  /**
   * Splits the universe: nodes of different groups cannot reach each other, and their links end.
   * Nodes in no group form one of their own. Replaces the partition before.
   */
  partition(groups: readonly (readonly (Network | string)[])[]): void {
    this.#groups = new Map();
    groups.forEach((group, index) => {
      for (const member of group) {
        this.#groups.set(typeof member === "string" ? member : member.self.id, index);
      }
    });
    for (const transport of this.#transports) transport.cut((id) => this.#apart(transport.id, id));
  }

  /** Ends the links between two nodes, which cannot reach each other any more. */
  cut(a: Network, b: Network): void {
    this.#cuts.add(pair(a.self.id, b.self.id));
    for (const transport of this.#transports) transport.cut((id) => this.#apart(transport.id, id));
  }

  /** Ends the partition and all cuts. */
  heal(): void {
    this.#groups = new Map();
    this.#cuts.clear();
  }

  /**
   * The process of a node dies: its timers never fire, its streams end at their peers, nothing
   * more is delivered to it or said by it, and what it awaits never ends. To restart it, make a
   * new network with the same secret and a new environment.
   */
  crash(network: Network): void {
    const dead = this.#of(network);
    dead.owner.crashed = true;
    for (const transport of [...this.#transports]) {
      if (transport.owner === dead.owner) transport.die();
    }
  }

  /** Stops a node's process as SIGSTOP does: its links stay, and nothing happens in it. */
  freeze(network: Network): void {
    this.#of(network).owner.parked ??= [];
  }

  /** Ends a freeze: what came meanwhile happens now, in its order. */
  thaw(network: Network): void {
    const { owner } = this.#of(network);
    const parked = owner.parked ?? [];
    owner.parked = undefined;
    for (const event of parked) {
      event.time = this.timeline.now;
      this.timeline.push(event);
    }
  }

  /** Runs until the condition holds, for at most `limitMs` of virtual time; tells whether it did. */
  run(until: () => boolean, limitMs: number): Promise<boolean> {
    return this.timeline.run(until, this.timeline.now + limitMs);
  }

  /** Runs `ms` of virtual time. */
  async advance(ms: number): Promise<void> {
    await this.timeline.run(() => false, this.timeline.now + ms);
  }

  /** Runs until the promise is settled, for at most `limitMs` of virtual time; its result. */
  async settle<T>(promise: Promise<T>, limitMs = 60_000): Promise<T> {
    let done = false;
    const mark = () => {
      done = true;
    };
    promise.then(mark, mark);
    await settled();
    if (!done && !await this.run(() => done, limitMs)) {
      throw new Error(`not settled within ${limitMs} ms of virtual time`);
    }
    return await promise;
  }

  #of(network: Network): MemoryTransport {
    const transport = this.#byNetwork.get(network);
    if (transport === undefined) throw new TypeError("not a network of this universe");
    return transport;
  }

  #apart(a: string, b: string): boolean {
    if (this.#cuts.has(pair(a, b))) return true;
    return this.#groups.size > 0 && this.#groups.get(a) !== this.#groups.get(b);
  }

  /** When a frame sent now would arrive. */
  #arrival(): number {
    const [least, most] = this.#options.delay ?? [1, 20];
    const loss = this.#options.loss ?? 0;
    let at = this.timeline.now + least + this.#delays.real() * (most - least);
    if (loss > 0) {
      for (let wait = RETRANSMIT_MS; wait < 60_000 && this.#delays.real() < loss; wait *= 2) {
        at += wait;
      }
    }
    return at;
  }
}

/** One name for two nodes in either order. */
function pair(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}
