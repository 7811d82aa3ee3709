/** The instance of `abuse_world.ts` as its test sees it. */
import { ok } from "node:assert/strict";
import { Zipnet } from "../../src/mod.ts";
import { systemClock, systemRandom } from "../../src/ops/system.ts";
import { INSTANCE, type Report, UNIVERSE, type Up, type WorldOptions } from "./abuse_world.ts";

/** Longest wait for anything, on a machine that is busy with other tests. */
const PATIENCE_MS = 60_000;
/** How long a client may take until its first message landed. */
export const NEWCOMER_MS = 15_000;

/** A running instance. */
export class Abused implements AsyncDisposable {
  readonly reports: Report[] = [];
  /** All that was logged about a peer or a host. */
  readonly log: Report["log"][number][] = [];
  up: Up | undefined;
  readonly #child: Deno.ChildProcess;
  #changed = Promise.withResolvers<void>();
  #errors = "";
  #over = false;

  private constructor(options: WorldOptions) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-q", "--no-prompt", "--v8-flags=--expose-gc", "-P=tests"],
        "tests/process/abuse_world.ts",
      ],
      ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
    }).spawn();
    const text = JSON.stringify(options, (_, value) => value === Infinity ? "Infinity" : value);
    const writer = this.#child.stdin.getWriter();
    void writer.write(new TextEncoder().encode(text)).then(() => writer.close());
    void this.#hear();
    void this.#heed();
  }

  /** Starts one, and waits until messages land. */
  static async start(options: WorldOptions): Promise<Abused> {
    const it = new Abused(options);
    await it.until("messages land", () => (it.now?.landed ?? 0) >= 4);
    return it;
  }

  /** The newest report. */
  get now(): Report {
    return this.reports.at(-1)!;
  }

  /** Waits for a condition, which is asked again after each report. */
  async until(what: string, condition: () => boolean): Promise<void> {
    const end = systemClock.now() + PATIENCE_MS;
    while (!condition()) {
      ok(!this.#over, `the instance ended while waiting: ${what}\n${this.#errors}`);
      ok(
        systemClock.now() < end,
        `waited ${PATIENCE_MS} ms: ${what}\n${JSON.stringify(this.reports.at(-1))}`,
      );
      await this.#changed.promise;
    }
  }

  /** Waits for so many further reports: half a second each. */
  async pass(reports: number): Promise<void> {
    const end = this.reports.length + reports;
    await this.until(`${reports} reports`, () => this.reports.length >= end);
  }

  /** Whether the log names a peer or a host in an event. */
  names(event: string, who: string): boolean {
    return this.log.some(({ event: it, fields }) =>
      it === event && (fields.peer === who || fields.host === who)
    );
  }

  /** Lets an honest client come: whether its message landed in time. */
  async newcomer(ms = NEWCOMER_MS): Promise<boolean> {
    const environment = { clock: systemClock, random: systemRandom, observe: () => {} };
    const bootstrap = [this.up!.aggregator, this.up!.server];
    const zipnet = Zipnet.bind(UNIVERSE, INSTANCE, { environment, bootstrap });
    const late = Promise.withResolvers<false>();
    const cancel = systemClock.after(ms, () => late.resolve(false));
    const landed = async () => {
      const submitter = await zipnet.submitter();
      return (await submitter.send(new Uint8Array(10)).outcome).kind === "landed";
    };
    try {
      return await Promise.race([landed().catch(() => false), late.promise]);
    } finally {
      cancel();
      await zipnet.close();
    }
  }

  async #hear(): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        const said = JSON.parse(line);
        if (this.up === undefined) this.up = said;
        else {
          this.reports.push(said);
          this.log.push(...said.log);
        }
      }
      this.#wake();
    }
    this.#over = true;
    this.#wake();
  }

  async #heed(): Promise<void> {
    for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream())) {
      this.#errors = (this.#errors + text).slice(-4_000);
    }
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
  }
}
