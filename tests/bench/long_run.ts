/**
 * A small instance as processes that goes through rounds as fast as it can, while the memory of its
 * nodes is sampled: three servers with their files, an aggregator, clients that talk, a reader that
 * verifies. The order of starts is that of a testnet; nothing is asked of a node but its options.
 */
import { Child } from "../../testnet/child.ts";
import {
  aggregator,
  client,
  type Command,
  dataFolder,
  reader,
  server,
  type Site,
} from "../../testnet/command.ts";
import { parseRecord } from "../../testnet/record.ts";
import { Lines } from "../../testnet/lines.ts";
import { hex } from "../../src/protocol/bytes.ts";
import type { Reading } from "./resident.ts";
import { type Sample, slope } from "./slope.ts";

const SERVERS = 3, CLIENTS = 3;
/** Samples of a run, or one a round where it has fewer. */
const SAMPLES = 400;
/** The shortest period there is: the next round opens as soon as the one before is certified. */
const FAST = ["--round-period", "1ms", "--fold-deadline", "100ms"];
/** Each client talks in every other round. */
const TALK = ["--cadence", "2", "--message", "one of many rounds"];
/**
 * For servers: every collection is a full one, so that what is resident is what is held, and the
 * space for new objects keeps its size, in MB. It doubles by itself as a process ages, in steps of 16
 * and 30 MB that would have to be told from a leak.
 */
const FULL_COLLECTIONS = "--v8-flags=--gc-global,--min-semi-space-size=4,--max-semi-space-size=4";
const QUIET = ["--log", "warn"];
/** Longest time without a record. */
const STALL_MS = 60_000;

/** A line of the samples: the memory of each node, in MB. */
export interface Point {
  readonly rounds: number;
  readonly load: number;
  readonly mb: Readonly<Record<string, number>>;
}

/** What came of a node. MB are 10^6 bytes, KB 10^3. */
export interface Found {
  readonly node: string;
  readonly startMB: number;
  readonly endMB: number;
  /** Over the second half of the run; see `slope.ts`. */
  readonly slopeKBPer1000Rounds: number;
  /** From the start of the process to its first line, which says where it listens. */
  readonly startUpMs: number;
  /** Of servers: what a round adds to the archive. */
  readonly archiveBytesPerRound?: number;
}

/** What came of a run. */
export interface Outcome {
  readonly nodes: readonly Found[];
  readonly rounds: number;
  readonly voidRounds: number;
  readonly roundsPerSecond: number;
}

interface Watched {
  readonly command: Command;
  readonly child: Child;
  readonly pid: number;
  readonly startUpMs: number;
  readonly samples: Sample[];
}

/** Runs until a reader has verified so many records; `seen` hears every sample. */
export async function longRun(rounds: number, seen: (point: Point) => void): Promise<Outcome> {
  await using run = new Run();
  await run.start();
  return await run.measure(rounds, seen);
}

class Run implements AsyncDisposable {
  readonly #site: Site;
  readonly #all: Child[] = [];
  readonly #watched: Watched[] = [];
  readonly #failed = Promise.withResolvers<never>();
  #over = false;
  #voids = 0;
  #records = 0;
  #onRecord = () => {};

  constructor() {
    const env: Record<string, string> = {};
    for (const variable of ["DENO_DIR", "HOME"]) {
      const value = Deno.env.get(variable);
      if (value !== undefined) env[variable] = value;
    }
    const folder = `.testnet/rounds-${Deno.pid}`;
    this.#site = { folder, env, committeeSecret: secret() };
    this.#failed.promise.catch(() => {});
  }

  /** Starts all nodes, servers one after another so that each start is timed alone. */
  async start(): Promise<void> {
    const site = this.#site, known: string[] = [];
    for (let index = 0; index < SERVERS; index++) {
      const made = also(server(site, index, SERVERS, secret(), known), [...FAST, ...QUIET]);
      // After the flags that every server has: of two the later one holds.
      const args = made.args.toSpliced(made.args.indexOf("src/server.ts"), 0, FULL_COLLECTIONS);
      known.push(...await this.#launch({ ...made, args }));
    }
    known.push(...await this.#launch(also(aggregator(site, secret(), known), QUIET)));
    await this.#launch(also(reader(site, 0, known), QUIET), (line) => {
      if ("manifest" in line) return;
      this.#voids += parseRecord(line).void;
      this.#records++;
      this.#onRecord();
    });
    for (let index = 0; index < CLIENTS; index++) {
      await this.#launch(also(client(site, index, known), [...TALK, ...QUIET]));
    }
  }

  /** Samples until so many records came. */
  async measure(rounds: number, seen: (point: Point) => void): Promise<Outcome> {
    await using memory = new Memory(this.#watched.map(({ pid }) => pid));
    const every = Math.max(1, Math.floor(rounds / SAMPLES));
    const done = Promise.withResolvers<void>(), sampling: Promise<void>[] = [];
    let stall: ReturnType<typeof setTimeout> | undefined, from = 0, voids = 0, began = 0;
    const watch = () => {
      clearTimeout(stall);
      const late = () => this.#failed.reject(new Error(`no record in ${STALL_MS} ms`));
      stall = setTimeout(late, STALL_MS);
    };
    watch();
    this.#onRecord = () => {
      watch();
      if (began === 0) [from, voids, began] = [this.#records, this.#voids, performance.now()];
      const passed = this.#records - from;
      if (passed > 0 && passed % every === 0 && passed <= rounds) {
        sampling.push(this.#sample(memory, passed, seen));
      }
      if (passed === rounds) done.resolve();
    };
    try {
      await Promise.race([done.promise, this.#failed.promise, memory.failed]);
      const seconds = (performance.now() - began) / 1_000;
      await Promise.race([Promise.all(sampling), memory.failed]);
      return {
        nodes: this.#watched.map((it) => this.#found(it)),
        rounds,
        voidRounds: this.#voids - voids,
        roundsPerSecond: round(rounds / seconds, 10),
      };
    } finally {
      clearTimeout(stall);
      this.#onRecord = () => {};
    }
  }

  async #sample(memory: Memory, rounds: number, seen: (point: Point) => void): Promise<void> {
    const { resident, load } = await memory.read(), mb: Record<string, number> = {};
    for (const [i, { command, samples }] of this.#watched.entries()) {
      samples.push({ rounds, bytes: resident[i] });
      mb[command.name] = megabytes(resident[i]);
    }
    seen({ rounds, load, mb });
  }

  #found({ command: { name, role }, samples, startUpMs }: Watched): Found {
    const index = Number(name.split(" ")[1]);
    return {
      node: name,
      startMB: megabytes(samples[0].bytes),
      endMB: megabytes(samples.at(-1)!.bytes),
      slopeKBPer1000Rounds: Math.round(slope(samples)),
      startUpMs: Math.round(startUpMs),
      ...(role === "server"
        ? { archiveBytesPerRound: Math.round(this.#archived(index) / this.#records) }
        : {}),
    };
  }

  #archived(index: number): number {
    const folder = `${dataFolder(this.#site, "server", index)}/archive`;
    return [...Deno.readDirSync(folder)]
      .reduce((sum, { name }) => sum + Deno.statSync(`${folder}/${name}`).size, 0);
  }

  async #launch(
    command: Command,
    said?: (line: Record<string, unknown>) => void,
  ): Promise<readonly string[]> {
    let pid = 0;
    const began = performance.now();
    const child = new Child(command, ({ args, env }) => {
      const process = new Deno.Command(Deno.execPath(), {
        args: [...args],
        env: { ...env },
        clearEnv: true,
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      pid = process.pid;
      return process;
    }, { said });
    this.#all.push(child);
    child.ended.then(({ name, code, signal, fault, lastWords }) => {
      if (this.#over) return;
      const why = [fault ?? `exit ${signal ?? code}`, ...lastWords].join("\n");
      this.#failed.reject(new Error(`${name} ended: ${why}`));
    });
    const { addresses } = await Promise.race([child.up, this.#failed.promise]);
    const startUpMs = performance.now() - began;
    this.#watched.push({ command, child, pid, startUpMs, samples: [] });
    return addresses;
  }

  /** Ends all processes, and leaves no state behind. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#over = true;
    for (const child of this.#all) child.kill("SIGKILL");
    await Promise.all(this.#all.map(({ ended }) => ended));
    Deno.removeSync(this.#site.folder, { recursive: true });
  }
}

/** Reads the memory of processes, through a process that may. */
class Memory implements AsyncDisposable {
  /** Rejects if the reading process ends. */
  readonly failed: Promise<never>;
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #waiting: ((reading: Reading) => void)[] = [];

  constructor(pids: readonly number[]) {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-q", "--no-prompt", "-A", "tests/bench/resident.ts", ...pids.map(String)],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#input = this.#process.stdin.getWriter();
    this.#input.closed.catch(() => {});
    this.failed = this.#listen();
    this.failed.catch(() => {});
  }

  read(): Promise<Reading> {
    const { promise, resolve } = Promise.withResolvers<Reading>();
    this.#waiting.push(resolve);
    this.#input.write(new TextEncoder().encode("\n")).catch(() => {});
    return promise;
  }

  async #listen(): Promise<never> {
    const lines = new Lines();
    for await (const chunk of this.#process.stdout) {
      for (const line of lines.push(chunk)) this.#waiting.shift()?.(JSON.parse(line));
    }
    throw new Error("the process that reads the memory of the others has ended");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {});
    await this.#process.status;
    await this.failed.catch(() => {});
  }
}

function also(command: Command, args: readonly string[]): Command {
  return { ...command, args: [...command.args.filter((arg) => arg !== "--stdin"), ...args] };
}

function megabytes(bytes: number): number {
  return round(bytes / 1e6, 10);
}

function round(value: number, parts: number): number {
  return Math.round(value * parts) / parts;
}

function secret(): string {
  return hex(crypto.getRandomValues(new Uint8Array(32)));
}
