/**
 * A whole instance as processes, for tests that hurt it: what each node said, and waits that end
 * with the condition or with the reason why not.
 */
import { equal, ok } from "node:assert/strict";
import { Child, type Ending, type Spawn } from "../../testnet/child.ts";
import {
  aggregator,
  client,
  type Command,
  reader,
  server,
  type Site,
  type SiteNet,
} from "../../testnet/command.ts";
import { Platforms } from "../../testnet/platforms.ts";
import { metricsAddress } from "../../testnet/load/meter.ts";
import { parseRecord, type RoundRecord } from "../../testnet/record.ts";
import { hex } from "../../src/protocol/bytes.ts";
import { signer } from "../../src/protocol/keys.ts";

/** Longest wait for anything, on a machine that is busy with other tests. */
const PATIENCE_MS = 60_000;
const ANY_PORT = "/ip4/127.0.0.1/tcp/0";

/** A process, what it was started with, and all that it said. */
export class Node {
  readonly child: Child;
  /** Lines of standard output after the first. */
  readonly lines: Record<string, unknown>[] = [];
  /** All of its standard error. */
  log = "";
  /** Its end, once it came. */
  ending: Ending | undefined;
  addresses: readonly string[] | undefined;

  constructor(readonly command: Command, changed: () => void, start: Spawn = spawn) {
    const decoder = new TextDecoder();
    this.child = new Child(command, start, {
      said: (line) => {
        this.lines.push(line);
        changed();
      },
      logged: (chunk) => {
        this.log += decoder.decode(chunk, { stream: true });
        changed();
      },
    });
    this.child.up.then(({ addresses }) => (this.addresses = addresses, changed()));
    this.child.ended.then((ending) => (this.ending = ending, changed()));
  }

  /** Where it serves its metrics, once it said so. */
  get metrics(): string | undefined {
    return metricsAddress(this.log);
  }

  /** Where it serves its live page, once it said so. */
  get page(): string | undefined {
    return /"event":"page","address":"([^"]+)"/.exec(this.log)?.[1];
  }

  /** The public key that a client takes part with, in hex, once it said so. */
  get client(): string | undefined {
    return /"event":"taking part".*?"client":"([0-9a-f]{64})"/.exec(this.log)?.[1];
  }

  /** Whether it listens, and said where it serves what it was asked to. */
  get serves(): boolean {
    const { args, env } = this.command;
    return this.addresses !== undefined &&
      (env.ZIPNET_METRICS === undefined || this.metrics !== undefined) &&
      (!args.includes("--page") || this.page !== undefined);
  }

  /** Outcomes by the id of their message. */
  get outcomes(): Map<unknown, Record<string, unknown>> {
    return new Map(this.lines.filter((it) => "outcome" in it).map((it) => [it.id, it]));
  }

  /** Records that a reader printed. */
  get records(): RoundRecord[] {
    return this.lines.filter((line) => "record" in line).map(parseRecord);
  }
}

/** Where an instance runs, if not on loopback. */
export interface World {
  readonly net: SiteNet;
  /** Starts a process on the host that the network has for its name. */
  readonly spawn: Spawn;
}

/** Servers, an aggregator, clients and two readers. */
export class Instance implements AsyncDisposable {
  readonly site: Site;
  readonly servers: Node[] = [];
  readonly clients: Node[] = [];
  readonly readers: Node[] = [];
  /** Public keys of the servers, in hex. */
  readonly keys: string[];
  readonly aggregators: Node[] = [];
  /** Port of the first reader's live page, 0 for any free one; undefined: it has none. */
  page: number | undefined;
  readonly #secrets: Uint8Array[];
  readonly #all: Node[] = [];
  #changed = Promise.withResolvers<void>();

  /**
   * `serverArgs` are further arguments of each server; `attested`: whether nodes show quotes;
   * `instance`: its name, if it is not alone on its universe.
   */
  constructor(
    name: string,
    readonly size = 3,
    readonly serverArgs: (index: number) => readonly string[] = () => [],
    readonly world?: World,
    attested = false,
    instance?: string,
  ) {
    this.#secrets = Array.from({ length: size }, () => secret());
    const env: Record<string, string> = {};
    for (const variable of ["DENO_DIR", "HOME"]) {
      const value = Deno.env.get(variable);
      if (value !== undefined) env[variable] = value;
    }
    const folder = `.testnet/${name}-${Deno.pid}`;
    const platforms = attested ? new Platforms(`${folder}/platform`) : undefined;
    this.site = {
      folder,
      env,
      committeeSecret: hex(secret()),
      net: world?.net,
      platforms,
      instance,
    };
    this.keys = this.#secrets.map((seed) => hex(signer(seed).key));
  }

  /** The first aggregator. */
  get aggregator(): Node {
    return this.aggregators[0];
  }
  set aggregator(node: Node) {
    this.aggregators[0] = node;
  }

  /**
   * Starts everything, and waits until every client takes part and every node serves what it is to.
   * `aggregators` are their secrets and further arguments.
   */
  async start(
    clients: number,
    aggregators: readonly { readonly secret: Uint8Array; readonly args: readonly string[] }[] = [
      { secret: secret(), args: [] },
    ],
  ): Promise<void> {
    for (let index = 0; index < this.size; index++) {
      this.servers.push(await this.up(this.serverCommand(index)));
    }
    const { bootstrap } = this;
    for (const [index, { secret, args }] of aggregators.entries()) {
      const made = aggregator(this.site, hex(secret), bootstrap, index);
      this.aggregators.push(await this.up({ ...made, args: [...made.args, ...args] }));
    }
    for (const index of [0, 1]) {
      const page = index === 0 ? this.page : undefined;
      this.readers.push(this.run(reader(this.site, index, bootstrap, page)));
    }
    const known = [...bootstrap, ...this.aggregators.flatMap(({ addresses }) => addresses!)];
    for (let index = 0; index < clients; index++) {
      const { env, ...command } = client(this.site, index, known);
      this.clients.push(this.run({ ...command, env: { ...env, ZIPNET_SECRET: hex(secret()) } }));
    }
    await this.until(
      "every client takes part",
      () => this.clients.every((node) => ready(node) && node.client !== undefined),
    );
    await this.until("every node serves", () => this.#all.every(({ serves }) => serves));
  }

  /** Starts one more server than the committee has; it waits to be added. */
  async spare(): Promise<Node> {
    const seed = secret(), index = this.#secrets.push(seed) - 1;
    this.keys.push(hex(signer(seed).key));
    const known = this.servers.flatMap(({ addresses }) => addresses ?? []);
    return this.servers[index] = await this.up(this.serverCommand(index, known));
  }

  /** How server `index` is started. */
  serverCommand(index: number, bootstrap = index === 0 ? [] : this.bootstrap): Command {
    const made = server(this.site, index, this.size, hex(this.#secrets[index]), bootstrap);
    return { ...made, args: [...made.args, ...this.serverArgs(index)] };
  }

  /** Where the first server listens. */
  get bootstrap(): readonly string[] {
    return this.servers[0].addresses!;
  }

  /** All standard error of all processes so far. */
  get logs(): string {
    return this.#all.map(({ log }) => log).join("");
  }

  /** Starts a process. */
  run(command: Command): Node {
    const node = new Node(command, () => this.#look(), this.world?.spawn);
    this.#all.push(node);
    return node;
  }

  /** Starts a process and waits until it is up. */
  async up(command: Command): Promise<Node> {
    const node = this.run(command);
    await this.until(`${command.name} is up`, () => node.serves);
    return node;
  }

  /** Runs a process with other arguments, to its end. */
  async ends(command: Command, change: (args: readonly string[]) => readonly string[]) {
    const node = this.run({ ...command, args: change(command.args) });
    await this.until(`the end of ${command.name}`, () => node.ending !== undefined, node);
    const last = node.log.split("\n").filter((line) => line.startsWith("zipnet: "));
    equal(last.length, 1, node.log);
    return { code: node.ending!.code, line: last[0] };
  }

  /** Kills a process with SIGKILL and starts it again where it listened. */
  async killed(node: Node): Promise<Node> {
    await this.kill(node);
    return await this.again(node);
  }

  /** Kills a process with SIGKILL, or stops it. */
  async kill(node: Node, signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
    node.child.kill(signal);
    await this.until(`the end of ${node.command.name}`, () => node.ending !== undefined, node);
  }

  /** Starts a process that has ended again, where it listened; `env` changes or drops variables. */
  async again(
    node: Node,
    env: Readonly<Record<string, string | undefined>> = {},
  ): Promise<Node> {
    const port = node.addresses?.join(" ").match(/\/tcp\/(\d+)/)?.[1];
    const args = node.command.args.map((arg) =>
      arg === ANY_PORT && port ? `/ip4/127.0.0.1/tcp/${port}` : arg
    );
    const variables = Object.entries({ ...node.command.env, ...env }).filter(([, value]) => value);
    return await this.up({
      ...node.command,
      args,
      env: Object.fromEntries(variables) as Command["env"],
    });
  }

  /** Waits for a condition; an end that nobody asked for is why it will not come. */
  until(what: string, condition: () => boolean, ...mayEnd: Node[]): Promise<void> {
    return this.within(PATIENCE_MS, what, condition, ...mayEnd);
  }

  /** As `until`, for so many milliseconds at most. */
  async within(
    patience: number,
    what: string,
    condition: () => boolean,
    ...mayEnd: Node[]
  ): Promise<void> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#look();
    }, patience);
    try {
      while (!condition()) {
        const gone = this.#all.find(({ ending, child }) =>
          ending && ending.signal === null && ending.code !== 0 && !mayEnd.some((node) =>
            node.child === child
          ) &&
          !this.#forgiven.has(child)
        );
        ok(!gone, `${gone?.command.name} ended while waiting: ${what}\n${gone?.log}`);
        ok(!late, `waited ${patience} ms: ${what}\n${this.#tails()}`);
        await this.#changed.promise;
      }
      for (const { child } of mayEnd) this.#forgiven.add(child);
    } finally {
      clearTimeout(timer);
    }
  }
  readonly #forgiven = new Set<Child>();

  /** Whoever waits looks again; whoever waits later does not find this look already there. */
  #look(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  #tails(): string {
    return this.#all.map(({ command, log }) => `${command.name}\n${log.slice(-1_500)}`).join("\n");
  }

  /** Ends all processes, and leaves no state behind. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const { child } of this.#all) child.kill("SIGKILL");
    await Promise.all(this.#all.map(({ child }) => child.ended));
    Deno.removeSync(this.site.folder, { recursive: true });
  }
}

/** Whether a client said that it takes part. */
export function ready(node: Node): boolean {
  return node.lines.some((line) => line.ready === true);
}

/** Whether two readers print the same records in the same order, as far as both have them. */
export function sameStory(a: readonly RoundRecord[], b: readonly RoundRecord[]): void {
  const from = Math.max(a[0].round, b[0].round), to = Math.min(a.at(-1)!.round, b.at(-1)!.round);
  const [first, second] = [a, b].map((records) =>
    records.filter(({ round }) => round >= from && round <= to)
      .map(({ round, hash, messages }) => ({ round, hash, messages }))
  );
  ok(first.length > 0);
  equal(JSON.stringify(first), JSON.stringify(second));
}

function secret(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(32));
}

function spawn(command: Command) {
  return startPiped(Deno.execPath(), command.args, command.env);
}

/** Starts a program as a node is started: with its own environment alone, and spoken to by pipes. */
export function startPiped(program: string, args: readonly string[], env: Command["env"]) {
  return new Deno.Command(program, {
    args: [...args],
    env: { ...env },
    clearEnv: true,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}
