/**
 * Servers around engines, for tests of any engine: links between them that delay and can be cut,
 * and hosts that keep every command they were given, as a list that is also the snapshot.
 */
import { equal } from "node:assert/strict";
import { hex } from "../../src/protocol/bytes.ts";
import { ProtocolError } from "../../src/protocol/errors.ts";
import type { Engine, EngineHost } from "../../src/committee/engine.ts";
import type { Clock, Environment } from "../../src/universe/environment.ts";

/** The time in which engines run: virtual, or the machine's. */
export interface World {
  environment(name: string): Environment;
  /** Runs until the condition holds, for at most so many ms; whether it did. */
  run(until: () => boolean, limitMs: number): Promise<boolean>;
  /** Lets so many ms pass. */
  advance(ms: number): Promise<void>;
}

/** Engines of one group, each with what it keeps beyond its process. */
export interface Group {
  readonly world: World;
  /** Engine `i` in a new process; what it kept before is there, unless it was forgotten. */
  engine(i: number, host: EngineHost, environment: Environment): Engine;
  /** The disk of server `i` is lost. */
  forget(i: number): void;
  /** Cuts server `i` off from what its engine uses beside the links, or joins it again. */
  cut?(i: number, away: boolean): void;
  close(): Promise<void>;
}

/** What an engine promises beyond what all do. */
export interface Capabilities {
  /** With one server away, the others go on, under another leader if need be. */
  readonly failover: boolean;
  /** The order outlives a restart of all servers. */
  readonly durable: boolean;
}

/** Longest delay of a link, in ms; each message has its own, and none overtakes. */
const DELAY_MS = 20;
/** How long until a command that was not applied is offered again, in ms. */
const OFFER_AGAIN_MS = 1_000;
/** Longest wait for anything, in ms. */
export const PATIENCE_MS = 60_000;

/** One server: its host, and the engine of its present process. */
export class Place implements EngineHost {
  engine: Engine | undefined;
  environment!: Environment;
  /** Commands in the order in which they were applied, in hex. */
  list: string[] = [];
  /** The same, to ask whether one is there. */
  seen = new Set<string>();
  restores = 0;
  /** Calls of the host, and timers of its engine, since that was stopped. */
  late = 0;
  stopped = false;
  /** Called for every command, once it is in the list. */
  onApply: (command: string) => void = () => {};

  constructor(readonly index: number, readonly mesh: Mesh) {}

  send(to: number, message: Uint8Array): boolean {
    if (this.stopped) this.late++;
    return this.mesh.send(this.index, to, message);
  }

  apply(commands: readonly Uint8Array[]): void {
    if (this.stopped) this.late++;
    for (const command of commands) {
      const name = hex(command);
      this.list.push(name);
      this.seen.add(name);
      this.onApply(name);
    }
  }

  snapshot(): Uint8Array {
    if (this.stopped) this.late++;
    return new TextEncoder().encode(JSON.stringify(this.list));
  }

  restore(snapshot: Uint8Array | undefined): void {
    if (this.stopped) this.late++;
    this.restores++;
    this.list = snapshot === undefined ? [] : parse(snapshot);
    this.seen = new Set(this.list);
  }
}

function parse(snapshot: Uint8Array): string[] {
  try {
    const list: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(snapshot));
    if (Array.isArray(list) && list.every((it) => typeof it === "string")) return list;
  } catch { /* refused below */ }
  throw new ProtocolError("encoding", "a snapshot that is no list");
}

/** All servers of a group, and the links between them. */
export class Mesh {
  readonly places: Place[];
  /** `ProtocolError`s that honest messages caused; there must be none. */
  readonly refusals: string[] = [];
  /** Messages under way. */
  flying = 0;
  readonly #links = new Map<string, { free: number }>();

  constructor(readonly group: Group, servers: number) {
    this.places = Array.from({ length: servers }, (_, i) => new Place(i, this));
  }

  /** Servers whose process runs. */
  get up(): Place[] {
    return this.places.filter(({ engine }) => engine !== undefined);
  }

  /** Starts server `i`, and links it to all that run. */
  start(i: number): void {
    const place = this.places[i];
    Object.assign(place, { list: [], seen: new Set(), stopped: false, onApply: () => {} });
    const environment = this.group.world.environment(`server ${i}`);
    const { clock } = environment;
    const watched: Clock = {
      now: () => clock.now(),
      wall: () => clock.now(),
      after: (ms, task) =>
        clock.after(ms, () => {
          if (place.engine !== engine) place.late++;
          task();
        }),
    };
    const engine = this.group.engine(i, place, { ...environment, clock: watched });
    Object.assign(place, { environment, engine });
    this.group.cut?.(i, false);
    engine.start();
    this.join(i);
  }

  startAll(): void {
    for (const { index } of this.places) this.start(index);
  }

  /** Stops server `i`, which forgets all but what its engine keeps. */
  stop(i: number): void {
    const place = this.places[i];
    const { engine } = place;
    place.engine = undefined;
    engine!.stop();
    place.stopped = true;
    this.leave(i);
  }

  /** Ends the links of server `i`; what is under way on them is lost. */
  leave(i: number): void {
    this.group.cut?.(i, true);
    for (const { index } of this.places) if (index !== i) this.#unlink(i, index);
  }

  /** Links server `i` to all that run. */
  join(i: number): void {
    this.group.cut?.(i, false);
    for (const { index } of this.up) if (index !== i) this.#link(i, index);
  }

  send(from: number, to: number, message: Uint8Array): boolean {
    const link = this.#links.get(`${from} ${to}`);
    if (!link) return false;
    const { clock, random } = this.places[from].environment;
    const now = clock.now();
    link.free = Math.max(link.free, now + 1 + random(1)[0] % DELAY_MS);
    const copy = message.slice();
    this.flying++;
    clock.after(link.free - now, () => {
      this.flying--;
      if (this.#links.get(`${from} ${to}`) === link) this.#deliver(from, to, copy);
    });
    return true;
  }

  #deliver(from: number, to: number, message: Uint8Array): void {
    try {
      this.places[to].engine?.receive(from, message);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.refusals.push(`server ${to} of ${from}: ${error.message}`);
    }
  }

  #link(a: number, b: number): void {
    if (this.#links.has(`${a} ${b}`)) return;
    this.#links.set(`${a} ${b}`, { free: 0 }).set(`${b} ${a}`, { free: 0 });
    this.places[a].engine?.connected(b);
    this.places[b].engine?.connected(a);
  }

  #unlink(a: number, b: number): void {
    if (!this.#links.delete(`${a} ${b}`)) return;
    this.#links.delete(`${b} ${a}`);
    this.places[a].engine?.disconnected(b);
    this.places[b].engine?.disconnected(a);
  }

  /** Waits for a condition of the servers that run. */
  async until(what: string, condition: () => boolean): Promise<void> {
    if (await this.group.world.run(condition, PATIENCE_MS)) return;
    const state = this.places.map(({ index, engine, list, restores }) =>
      `server ${index}: ${engine ? `leader ${engine.leader}` : "down"}, ${list.length} commands, ` +
      `${restores} restores`
    );
    throw new Error(`waited ${PATIENCE_MS} ms: ${what}\n${state.join("\n")}`);
  }

  /** Waits until all that run, or those named, follow one leader among them; answers it. */
  async led(among: readonly Place[] = this.up): Promise<number> {
    const leader = () => among[0].engine!.leader;
    const indices = among.map(({ index }) => index);
    await this.until(
      `servers ${indices} have one leader`,
      () =>
        leader() !== undefined && indices.includes(leader()!) &&
        among.every(({ engine }) => engine!.leader === leader()),
    );
    return leader()!;
  }

  /**
   * Offers commands, each at a server, again and again until all servers named have applied all of
   * them.
   */
  async order(
    offers: readonly (readonly [at: number, command: Uint8Array])[],
    among: readonly Place[] = this.up,
  ): Promise<void> {
    const names = offers.map(([, command]) => hex(command));
    const everywhere = (name: string) => among.every(({ seen }) => seen.has(name));
    const { clock } = this.group.world.environment("offers");
    let cancel = () => {};
    const offer = () => {
      cancel = clock.after(OFFER_AGAIN_MS, offer);
      for (const [i, [at, command]] of offers.entries()) {
        if (!everywhere(names[i])) this.places[at].engine?.propose(command);
      }
    };
    offer();
    // Names that are everywhere are not asked for each time; a state may be replaced, though.
    let left = [...names];
    try {
      const indices = among.map(({ index }) => index);
      await this.until(`servers ${indices} applied ${names.length} commands`, () => {
        while (left.length > 0 && everywhere(left.at(-1)!)) left.pop();
        if (left.length > 0) return false;
        left = names.filter((name) => !everywhere(name));
        return left.length === 0;
      });
    } finally {
      cancel();
    }
  }

  /** Waits until the servers named have the same list, at one time. */
  async same(among: readonly Place[] = this.up): Promise<readonly string[]> {
    await this.until(
      `servers ${among.map(({ index }) => index)} have the same list`,
      () =>
        among.every((it) => it.list.length === among[0].list.length) &&
        among.every((it) => it.list.join() === among[0].list.join()),
    );
    return among[0].list;
  }

  /** Stops everything, and says what must never have happened. */
  async close(): Promise<void> {
    for (const { index } of this.up) this.stop(index);
    await this.group.world.run(() => this.flying === 0, PATIENCE_MS);
    await this.group.close();
    equal(this.refusals.join("\n"), "");
    for (const { index, late } of this.places) {
      equal(late, 0, `calls or timers of server ${index} too late`);
    }
  }
}
