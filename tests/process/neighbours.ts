/**
 * Several instances on one universe and one host, as processes: three servers, an aggregator, three
 * clients and a reader each. All begin at one address, that of a server of the first instance.
 */
import { equal, ok } from "node:assert/strict";
import { aggregator, reader } from "../../testnet/command.ts";
import { Instance, type Node } from "./instance.ts";

const SERVERS = 3, CLIENTS = 3;
/** Servers, clients, an aggregator and a reader. */
export const NODES = SERVERS + CLIENTS + 2;
/** Rounds that many processes on few cores can keep. */
const TIMES = ["--round-period", "1s", "--fold-deadline", "400ms", "--round-deadline", "20s"];
const PATIENT = ["--connect-timeout", "120s"];
/** Longest time until all take part, in milliseconds. */
const START_MS = 120_000;
const RUN = ["run", "-q", "--no-prompt", "--cached-only", "-P=client", "--allow-net=127.0.0.1"];

const MET = /"event":"peer met","peer":"(\w+)"/g;
const VOID = /"event":"round void","round":(\d+),"reason":"([^"]*)"/g;

/** What came of an instance. */
export interface Tally {
  readonly instance: string;
  readonly rounds: number;
  readonly sent: number;
  readonly landed: number;
  /** Sent, and not found where the sender was told, or found beside it, or with no good end. */
  readonly lost: number;
  /** Rounds that are void, as any server told, and why. */
  readonly void: readonly string[];
}

/** One of the instances. */
export class Neighbour {
  readonly it: Instance;
  reader!: Node;
  clients!: Node;
  #from = 0;
  #voids = 0;
  #sent = new Map<string, string>();
  #said = 0;

  constructor(readonly name: string) {
    this.it = new Instance(name, SERVERS, () => TIMES, undefined, false, name);
  }

  /** Starts what is not started yet; `bootstrap` is one address of the universe, of whomever. */
  async start(bootstrap: readonly string[]): Promise<void> {
    const { it } = this, { servers, site } = it;
    const more: Promise<Node>[] = [];
    for (let i = servers.length; i < SERVERS; i++) {
      more.push(it.up(it.serverCommand(i, bootstrap)));
    }
    const made = aggregator(site, crypto.getRandomValues(new Uint8Array(32)).toHex(), bootstrap);
    const folds = it.up({ ...made, args: [...made.args, ...PATIENT] });
    const reads = reader(site, 0, bootstrap);
    this.reader = it.run({ ...reads, args: [...reads.args, ...PATIENT] });
    servers.push(...await Promise.all(more));
    it.aggregator = await folds;
    const args = ["testnet/load/clients.ts", `${CLIENTS}`, bootstrap.join(), this.name];
    this.clients = it.run({
      role: "client",
      name: "clients",
      args: [...RUN, ...args],
      env: site.env,
    });
    const joined = () => this.clients.lines.some(({ joined }) => joined === CLIENTS);
    await it.within(START_MS, "all take part", joined);
    const whole = () => this.reader.records.at(-1)?.participants === CLIENTS;
    await it.within(START_MS, "a round with all of them", whole);
  }

  /** Counts from here. */
  begin(): void {
    this.#from = this.reader.records.length;
    this.#voids = this.#allVoids.length;
    this.#sent = new Map();
  }

  /** Goes through some rounds, in each of which one client says something, to every message's end. */
  async rounds(count: number): Promise<void> {
    const { it, reader } = this, until = reader.records.length + count;
    while (reader.records.length < until) {
      this.#speak();
      const before = reader.records.length;
      await it.until("another round", () => reader.records.length > before);
    }
    await it.until("every message's end", () => this.#told.size >= this.#said);
    const last = Math.max(...[...this.#told.values()].map(({ round }) => Number(round ?? 0)));
    await it.until("the reader has all", () => reader.records.at(-1)!.round >= last);
  }

  /** What came of it since it began to count. */
  get tally(): Tally {
    const places = new Map<string, number[]>();
    for (const { round, messages } of this.reader.records) {
      for (const { payload } of messages) {
        places.set(payload, [...places.get(payload) ?? [], round]);
      }
    }
    const landed = [...this.#sent].filter(([id, payload]) => {
      const told = this.#told.get(id), found = places.get(payload) ?? [];
      return told?.outcome === "landed" && found.length === 1 && found[0] === told.round;
    });
    return {
      instance: this.name,
      rounds: this.reader.records.length - this.#from,
      sent: this.#sent.size,
      landed: landed.length,
      lost: this.#sent.size - landed.length,
      void: this.#allVoids.slice(this.#voids),
    };
  }

  /** Peers whom any node met, as it does with whomever it has a stream of the instance. */
  get peers(): Set<string> {
    return new Set([...this.it.logs.matchAll(MET)].map(([, peer]) => peer));
  }

  /** That only messages of its own clients are in its log. */
  judge(): void {
    for (const { messages } of this.reader.records) {
      for (const { text } of messages) ok(text.startsWith(`${this.name} `), text);
    }
    ok(!this.it.logs.includes("equivocation"));
  }

  /** Asks every process to stop. */
  async stop(): Promise<void> {
    const { it: { servers, aggregator }, reader, clients } = this;
    for (const node of [clients, reader, aggregator, ...servers]) {
      await this.it.kill(node, "SIGTERM");
      equal(node.ending!.signal ?? node.ending!.code, node === clients ? "SIGTERM" : 0, node.log);
    }
  }

  get #told(): Map<unknown, Record<string, unknown>> {
    return this.clients.outcomes;
  }

  get #allVoids(): string[] {
    const told = this.it.servers.map(({ log }) => [...log.matchAll(VOID)]);
    return [...new Set(told.flat().map(([, round, reason]) => `${round}: ${reason}`))];
  }

  #speak(): void {
    const number = this.#said++, id = `m${number}`;
    const payload = new TextEncoder().encode(`${this.name} ${number}`).toBase64();
    this.#sent.set(id, payload);
    this.clients.child.say({ talk: number % CLIENTS, id, payload });
  }
}

/** All of them. */
export class Neighbours implements AsyncDisposable {
  readonly all: readonly Neighbour[];

  constructor(names: readonly string[]) {
    this.all = names.map((name) => new Neighbour(name));
  }

  /** Starts all of them at the same time, at one address. */
  async start(): Promise<void> {
    const [{ it: first }] = this.all;
    first.servers.push(await first.up(first.serverCommand(0, [])));
    await Promise.all(this.all.map((one) => one.start(first.bootstrap)));
    for (const one of this.all) one.begin();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map(({ it }) => it[Symbol.asyncDispose]()));
  }
}
