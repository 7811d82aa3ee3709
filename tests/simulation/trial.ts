/**
 * An instance on trial: whatever befalls it, its messages land where their senders were told, the
 * readers agree, no server signs twice, and rounds go on. A failure names the seed.
 */
import assert from "node:assert/strict";
import { equal, hex } from "../../src/protocol/bytes.ts";
import type { Progress } from "../../src/roles/outbox.ts";
import { SimulatedInstance, type SimulationOptions } from "../../src/roles/simulated.ts";
import { Oath } from "./oath.ts";

/** Virtual time in which rounds go on after a fault is over. */
export const RETURN_MS = 5_000;
/** Virtual time after which a wait counts as hung. */
const HUNG_MS = 300_000;

interface Sent {
  readonly client: number;
  readonly payload: Uint8Array;
  readonly process: object;
  status: Progress | { readonly kind: "pending" };
}

/** Where a server dies: at its `nth` write from now on, before it is durable or right after. */
export interface CrashPoint {
  readonly nth: number;
  readonly durable: boolean;
}

/** What a server has on disk, by name. What is written is replaced, never changed. */
interface Disk {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly journals: ReadonlyMap<string, readonly Uint8Array[]>;
}

/** What a server finds when it starts: its disk, none, or its disk as it was some writes ago. */
export type Found = "its disk" | "an empty disk" | "an older disk";

/** Why the writes of a process that was killed come to nothing. */
const DEAD = "this process is dead";

/** Writes that an older disk lacks: about two rounds. */
const OLDER = 40;

/** A running instance and what it is held to. */
export class Trial {
  readonly world: SimulatedInstance;
  readonly oath: Oath;
  /** Reasons of void rounds, by round. */
  readonly voids = new Map<number, string>();
  /** By client's name, the key in hex of the aggregator that it went to last. */
  readonly aggregators = new Map<string, string>();
  /** Rounds of records that every server signed, as servers told. */
  readonly #finalized = new Set<number>();
  readonly #faults: string[] = [];
  readonly #sent: Sent[] = [];
  /** The last states of each server's disk, the present one last. */
  readonly #disks = new Map<number, Disk[]>();
  readonly #said = new Map<string, string[]>();

  private constructor(readonly options: SimulationOptions) {
    this.world = new SimulatedInstance({
      readers: 2,
      ...options,
      observe: (who, level, event, fields) => {
        const round = Number(fields?.round);
        if (event === "round finalized") this.#finalized.add(round);
        if (event === "round void") this.voids.set(round, String(fields?.reason));
        if (event === "aggregator taken") this.aggregators.set(who, String(fields?.aggregator));
        // What a process says of its own death is no fault.
        const died = fields?.reason === DEAD;
        if (level === "error" && !died) {
          this.#faults.push(`${who}: ${event} ${JSON.stringify(fields)}`);
        }
        if (!["round finalized", "peer met", "peer not reached"].includes(event)) {
          const said = this.#said.get(who) ?? [];
          this.#said.set(who, [...said, `${event} ${JSON.stringify(fields ?? {})}`].slice(-12));
        }
      },
    });
    this.oath = new Oath();
  }

  /** Runs `story` on a new instance in which everybody takes part. */
  static async run(options: SimulationOptions, story: (trial: Trial) => Promise<void>) {
    const trial = new Trial(options);
    try {
      for (let i = 0; i < (options.servers ?? 3); i++) await trial.startServer(i);
      for (let i = 0; i < (options.aggregators ?? 1); i++) await trial.world.startAggregator(i);
      for (let i = 0; i < (options.readers ?? 2); i++) await trial.world.startReader(i);
      for (let i = 0; i < options.clients; i++) await trial.world.startClient(i);
      await trial.until("everybody takes part", () => trial.ready && trial.world.rounds > 2);
      await story(trial);
    } catch (error) {
      const said = [...trial.#said].map(([who, lines]) => `${who}\n  ${lines.join("\n  ")}`);
      (error as Error).message = `seed ${options.seed}: ${(error as Error).message}\n` +
        `voids ${JSON.stringify([...trial.voids])}\n${said.join("\n")}`;
      throw error;
    }
  }

  /** Virtual time, Unix ms. */
  get now(): number {
    return this.world.universe.clock.now();
  }

  /** Whether all clients and readers run and take part. */
  get ready(): boolean {
    const { clients, readers, options } = this.world;
    return clients.filter((client) => client?.role.ready).length === options.clients &&
      readers.filter(Boolean).length === (options.readers ?? 2);
  }

  /** Highest round that is certified, as far as any server told. */
  get round(): number {
    return Math.max(0, ...this.#finalized);
  }

  /** Runs until the condition holds; it hung if that takes `ms` of virtual time. */
  async until(what: string, condition: () => boolean, ms = HUNG_MS): Promise<void> {
    assert.ok(await this.world.run(condition, ms), `within ${ms} ms: ${what}`);
  }

  /** Runs until a round that is not open yet is certified. */
  async goesOn(ms = RETURN_MS): Promise<void> {
    const since = this.now;
    const fresh = () =>
      this.world.servers.some((server) => {
        if (!server?.joined) return false;
        const record = server.role.member.headRecord?.record;
        return record !== undefined && record.header.time > since;
      });
    await this.until("rounds go on", fresh, ms);
  }

  /** Lets a client say something, by default a text of its own. */
  say(client: number, payload?: Uint8Array): void {
    const bytes = payload ?? new TextEncoder().encode(`${this.#sent.length} of client ${client}`);
    const { role } = this.world.clients[client];
    const entry: Sent = { client, payload: bytes, process: role, status: { kind: "pending" } };
    this.#sent.push(entry);
    role.outbox.send(bytes, { deadline: 10 ** 9 }).onProgress((progress) => {
      entry.status = progress;
    });
  }

  /** Every client says something. */
  everybodySpeaks(): void {
    this.world.clients.forEach((_, index) => this.say(index));
  }

  /** Starts a server. */
  async startServer(index: number, found: Found = "its disk"): Promise<void> {
    if (found === "an empty disk") this.#disks.delete(index);
    if (found === "an older disk") this.#disks.get(index)!.splice(1);
    this.#mount(index);
    const { signer } = await this.world.startServer(index);
    this.oath.hear(index, signer);
  }

  /** Kills a server. */
  crashServer(index: number): void {
    this.world.crash(this.world.servers[index]!);
  }

  /** Kills a server at one of its next writes, and waits for that. */
  async crashServerAt(index: number, point: CrashPoint): Promise<void> {
    this.#next = { index, left: point.nth, durable: point.durable };
    await this.until("the crash", () => this.#next === undefined);
  }
  #next: { readonly index: number; left: number; readonly durable: boolean } | undefined;

  /** Kills and restarts a client; what it had not landed is gone with it. */
  async restartClient(index: number): Promise<void> {
    this.world.crash(this.world.clients[index]);
    const before = this.world.clients[index];
    await this.world.startClient(index);
    await this.until("the client is back", () => {
      const now = this.world.clients[index];
      return now !== before && now.role.ready;
    });
  }

  /** The disk of a server as one boot sees it: what its process writes after its death is lost. */
  #mount(index: number): void {
    const states: Disk[] = this.#disks.get(index) ?? [{ files: new Map(), journals: new Map() }];
    this.#disks.set(index, states);
    const disk = () => states.at(-1)!;
    let dead = false;
    const write = (change: (before: Disk) => Disk, register?: Uint8Array) => {
      if (dead) throw new Error(DEAD);
      const next = this.#next?.index === index ? this.#next : undefined;
      const dies = next !== undefined && --next.left === 0;
      if (!dies || next!.durable) {
        states.push(change(disk()));
        if (states.length > OLDER) states.shift();
        if (register) this.oath.wrote(index, register);
      }
      if (!dies) return;
      dead = true;
      this.#next = undefined;
      this.crashServer(index);
      if (!next!.durable) throw new Error(DEAD);
    };
    this.world.disks[index] = {
      store: (name) => ({
        load: () => disk().files.get(name)?.slice(),
        save: (bytes) => {
          const kept = bytes.slice();
          write(
            ({ files, journals }) => ({ files: new Map(files).set(name, kept), journals }),
            name.startsWith("state-") ? kept : undefined,
          );
        },
      }),
      journal: (name) => {
        const records = () => disk().journals.get(name) ?? [];
        const put = (all: readonly Uint8Array[]) =>
          write(({ files, journals }) => ({ files, journals: new Map(journals).set(name, all) }));
        return {
          load: records,
          append: (record) => put([...records(), record.slice()]),
          replace: (all) => put(all.map((record) => record.slice())),
        };
      },
    };
  }

  /**
   * Waits for every fate that is still to be known, and holds all that happened to the rules.
   * `exposed` messages may have ended so, as their senders were told: a third death in the way of
   * one message ends it.
   */
  async judge(exposed = 0): Promise<void> {
    let left = exposed;
    const open = () => this.#sent.filter((sent) => this.#lives(sent));
    await this.until(
      "every fate is known",
      () => open().every(({ status }) => status.kind !== "pending" && status.kind !== "retrying"),
    );
    const last = this.round;
    const readers = this.world.readers.map(({ role }) => role);
    await this.until(
      "the readers have it all",
      () => readers.every(({ log }) => log.at(-1)!.record.header.round >= last),
    );
    for (const reader of readers) assert.equal(reader.stopped, undefined);
    for (const { client, payload, process, status } of this.#sent) {
      const name = `message ${new TextDecoder().decode(payload.slice(0, 40))} of client ${client}`;
      const { kind } = status;
      if (kind === "expired" && status.reason === "exposed" && left-- > 0) continue;
      if (kind !== "landed") {
        assert.notEqual(
          process,
          this.world.clients[client].role,
          `${name}: ${JSON.stringify(status)}`,
        );
        continue;
      }
      for (const { log } of readers) {
        const there = log.flatMap(({ messages }) => messages).some((message) =>
          message.round === status.round && message.slot === status.slot &&
          equal(message.payload, payload)
        );
        assert.ok(there, `${name}: told ${status.round}/${status.slot}, not in a reader's log`);
      }
    }
    const hashes = new Map<number, string>();
    for (const { log } of readers) {
      for (const { record } of log) {
        const { round } = record.header, hash = hex(record.hash);
        assert.equal(hashes.get(round) ?? hash, hash, `readers differ on round ${round}`);
        hashes.set(round, hash);
      }
    }
    assert.deepEqual(this.#faults, []);
    assert.deepEqual(this.oath.convictions, []);
    assert.ok(this.oath.count("final") > 0);
    for (const [round, reason] of this.voids) assert.notEqual(reason, "", `round ${round} is void`);
  }

  /** Whether the process that a message was given to still runs. */
  #lives({ client, process }: Sent): boolean {
    return this.world.clients[client].role === process;
  }
}
