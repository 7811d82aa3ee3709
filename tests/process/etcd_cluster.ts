/** A real etcd of three members for tests, behind `etcd_runner.ts`. */
import { ok } from "node:assert/strict";

const RUNNER = ["run", "-q", "-A", "--no-prompt", "--cached-only", "tests/process/etcd_runner.ts"];

/** What follows a test's name where it is skipped; empty where there is an etcd. */
export async function whyNoEtcd(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: [...RUNNER, "which"] })
    .output();
  return new TextDecoder().decode(stdout).startsWith("etcd Version")
    ? ""
    : " (skipped: no etcd on PATH; Debian has it as etcd-server)";
}

/** Three members; disposing of it ends them and removes what they kept. */
export class EtcdCluster implements AsyncDisposable {
  /** The members' client URLs. */
  urls: readonly string[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: ReadableStreamDefaultReader<string>;
  #text = "";

  private constructor(folder: string) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [...RUNNER, "run", folder],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#output = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Starts one, with its data under `.testnet`. */
  static async start(name: string): Promise<EtcdCluster> {
    const cluster = new EtcdCluster(`.testnet/etcd-${name}-${Deno.pid}`);
    const urls = await cluster.#line();
    ok(Array.isArray(urls) && urls.length === 3, "three members");
    cluster.urls = urls;
    return cluster;
  }

  /** Kills members with SIGKILL. */
  async kill(...members: number[]): Promise<void> {
    await this.#ask(`kill ${members}`);
  }

  /** Starts killed members again, with what they kept, and waits until they answer. */
  async restart(...members: number[]): Promise<void> {
    ok(await this.#ask(`start ${members}`), `members ${members} answer again`);
  }

  /** The member that leads. */
  async leader(): Promise<number> {
    return Number(await this.#ask("leader"));
  }

  async #ask(command: string): Promise<unknown> {
    await this.#input.write(new TextEncoder().encode(`${command}\n`));
    return await this.#line();
  }

  async #line(): Promise<unknown> {
    for (;;) {
      const end = this.#text.indexOf("\n");
      if (end >= 0) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 1);
        return JSON.parse(line);
      }
      const { done, value } = await this.#output.read();
      ok(!done, "the runner of etcd ended");
      this.#text += value;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close();
    while (!(await this.#output.read()).done);
    await this.#child.status;
  }
}
