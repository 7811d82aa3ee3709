/** A testnet in a process group of its own, watched from outside. Every wait has a bound. */
import type { Member } from "./outside.ts";

const DENO = Deno.execPath();

/** How a testnet ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running testnet. */
export class Trial implements AsyncDisposable {
  /** All of its standard output so far. */
  stdout = "";
  /** All of its standard error so far. */
  stderr = "";
  readonly #child: Deno.ChildProcess;
  readonly #ended: Promise<Ended>;
  #changed = Promise.withResolvers<void>();

  constructor(...args: string[]) {
    const { set, module } = this.tool, allowed = [`-P=${set}`, `--allow-run=${DENO}`];
    this.#child = new Deno.Command(DENO, {
      args: ["run", "-q", "--no-prompt", ...allowed, module, ...args],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      detached: true,
    }).spawn();
    const outputs = [this.#read("stdout"), this.#read("stderr")];
    this.#ended = this.#child.status.then(async ({ code }) => {
      await Promise.all(outputs);
      return { code, stdout: this.stdout, stderr: this.stderr };
    });
  }

  /** What is run, and its permission set. */
  protected get tool(): { readonly set: string; readonly module: string } {
    return { set: "testnet", module: "testnet/main.ts" };
  }

  /** Its process number, which is its group's too. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Resolves when its standard output matches. */
  async says(what: RegExp, ms = 60_000): Promise<void> {
    let over = false;
    this.#ended.then(() => {
      over = true;
      this.#changed.resolve();
    });
    await within(ms, `${what} on standard output`, async () => {
      while (!what.test(this.stdout)) {
        if (over) throw new Error(`it ended without ${what}:\n${this.stdout}\n${this.stderr}`);
        await this.#changed.promise;
      }
    });
  }

  /** Its end, and all that it said. */
  ended(ms: number): Promise<Ended> {
    return within(ms, "the end of the testnet", () => this.#ended);
  }

  /** A signal to the testnet alone. */
  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** A signal to a process, or to its whole group. */
  async signal(signal: Deno.Signal, target: number | "group"): Promise<void> {
    await outside("signal", String(target === "group" ? -this.pid : target), signal);
  }

  /** The processes of its group that run. */
  async members(): Promise<Member[]> {
    return JSON.parse(await outside("members", String(this.pid)));
  }

  /** Resolves when no process of its group runs any more. */
  async gone(ms: number): Promise<void> {
    let left: Member[] = [];
    let late = false;
    const look = async () => {
      do left = await this.members(); while (left.length && !late);
    };
    try {
      await within(ms, "the end of all processes", look);
    } catch (error) {
      late = true;
      throw new Error(`left behind: ${JSON.stringify(left)}`, { cause: error });
    }
  }

  /** Leaves no process and no state behind, whatever the test came to. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.signal("SIGKILL", "group");
    } catch { /* nothing is left of it */ }
    await this.#ended;
    for (const folder of folders(this.pid)) Deno.removeSync(folder, { recursive: true });
  }

  async #read(name: "stdout" | "stderr"): Promise<void> {
    for await (const text of this.#child[name].pipeThrough(new TextDecoderStream())) {
      this[name] += text;
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    }
  }
}

/** The state of the testnet with this process number. */
export function folders(pid: number): string[] {
  try {
    return [...Deno.readDirSync(".testnet")]
      .filter(({ name }) => name.endsWith(`-${pid}`))
      .map(({ name }) => `.testnet/${name}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

async function outside(...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(DENO, {
    args: ["run", "-q", "--no-prompt", "-A", "tests/process/outside.ts", ...args],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

async function within<T>(ms: number, what: string, task: () => Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms for ${what}`)), ms);
  });
  try {
    return await Promise.race([task(), late]);
  } finally {
    clearTimeout(timer);
  }
}
