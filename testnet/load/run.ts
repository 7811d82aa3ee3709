/** A whole run of the load tool: start everything, talk, measure, stop everything, answer. */
import { EXIT, type ExitCode } from "../../src/ops/exit.ts";
import { DEFAULT_DEADLINE } from "../../src/roles/outbox.ts";
import type { Clock, Random } from "../../src/universe/environment.ts";
import type { Spawn } from "../child.ts";
import type { Site } from "../command.ts";
import { Fleet } from "../fleet.ts";
import type { RoundRecord } from "../record.ts";
import { type Stall, watch } from "../stall.ts";
import { endingLines, visible } from "../view.ts";
import { Book } from "./book.ts";
import { Nodes } from "./nodes.ts";
import type { LoadOptions } from "./options.ts";
import { report } from "./report.ts";
import { type Call, talk } from "./talk.ts";

/** What a run needs from outside. */
export interface LoadWorld {
  readonly spawn: Spawn;
  readonly clock: Clock;
  readonly random: Random;
  readonly site: Site;
  output(line: string): void;
  error(line: string): void;
  /** Draws what was measured; answers where it is. */
  plot(book: Book): string | undefined;
}

/** Longest time without a record, ms. */
const STALL_MS = 60_000;
/** Times at which all processes are asked what they use. */
const SAMPLES = 300;
/** Longest time from the start to a record with all clients, ms, and more for each client. */
const JOIN_MS = 120_000, JOIN_MS_PER_CLIENT = 1_000;

/** Runs it until it is done, broken, or `stop` resolves; no process is left then. */
export async function load(
  options: LoadOptions,
  world: LoadWorld,
  stop: Promise<void>,
): Promise<ExitCode> {
  const fleet = new Fleet(world.spawn, world.clock), book = new Book();
  const { promise, resolve: end } = Promise.withResolvers<readonly string[]>();
  const course = new LoadCourse(options, world.clock, book, {
    say: (client, id, payload) => nodes.say(client, id, payload),
    joined: () => nodes.joined,
    sample: () => nodes.sample(),
    over: (...why) => end(why),
  });
  const nodes = new Nodes(options, world, fleet, book, {
    record: (record) => course.record(record),
    told: () => course.end(),
  });
  stop.then(() => end([`stopped before ${options.rounds} rounds were over`]));
  fleet.broken.then((ending) => end(endingLines(ending)));
  nodes.start().then(
    (line) => world.output(line),
    (error) => end([error instanceof Error ? error.message : String(error)]),
  );
  const failures = await promise;
  course.stop();
  await fleet.stop();
  book.close();
  const losses = book.losses.map(({ id, reason }) => `message ${id} is lost: ${reason}`);
  for (const line of [...failures, ...losses]) world.error(visible(line));
  if (book.counted > 0) {
    for (const line of report(book, world.plot(book))) world.output(line);
  }
  const { landed, lost } = book.summary;
  return failures.length === 0 && lost === 0 && landed > 0 ? EXIT.clean : EXIT.failure;
}

/** What the course does to the world. */
interface Actions {
  say(client: number, id: string, payload: Uint8Array): void;
  /** Clients in crowds that have met the committee. */
  joined(): number;
  /** Asks every process what it uses. */
  sample(): Promise<void>;
  /** Nothing is left to wait for; with lines, for these reasons too early. */
  over(...why: readonly string[]): void;
}

/** Waits for all clients, talks for so many rounds, then waits for the fate of every message. */
class LoadCourse {
  #counting = false;
  #silent = false;
  #sampling = false;
  #cancel = () => {};
  readonly #stall: Stall;

  constructor(
    readonly options: LoadOptions,
    readonly clock: Clock,
    readonly book: Book,
    readonly actions: Actions,
  ) {
    const { clients } = options, patience = JOIN_MS + JOIN_MS_PER_CLIENT * clients;
    this.#stall = watch(clock, patience, () => {
      actions.over(
        `no record with all ${clients} clients in ${patience / 1_000} s; ` +
          `${actions.joined()} of ${clients - 1} in crowds have joined`,
      );
    });
  }

  /** A record that the reader verified. */
  record(record: RoundRecord): void {
    const { clients, rounds } = this.options, { book, clock } = this;
    const begins = !this.#counting && record.participants >= clients;
    this.#counting ||= begins;
    book.record(record, this.#counting && !this.#silent, clock.now());
    if (begins) this.#begin();
    if (!this.#counting) return;
    if (!this.#silent) {
      this.#alive();
      const last = book.counted >= rounds;
      if (last || book.counted % Math.ceil(rounds / SAMPLES) === 0) this.#sample();
      if (last) this.#fallSilent();
    }
    this.end();
  }

  /** Ends the run if nothing is left to wait for. */
  end(): void {
    if (this.#silent && !this.#sampling && this.book.waiting === 0) this.actions.over();
  }

  stop(): void {
    this.#cancel();
    this.#stall.cancel();
    this.#late();
  }

  #late = () => {};
  #alive(): void {
    this.#late();
    const stall = watch(this.clock, STALL_MS, () => {
      this.actions.over(`no record in ${STALL_MS / 1_000} s`);
    });
    this.#late = () => stall.cancel();
  }

  #begin(): void {
    this.#stall.cancel();
    const began = this.clock.now(), calls = talk(this.options);
    const next = ({ at, client, payload }: Call) => {
      this.#cancel = this.clock.after(Math.max(0, began + at - this.clock.now()), () => {
        const id = `m${this.book.sent}`;
        this.book.say(id, payload);
        this.actions.say(client, id, payload);
        next(calls.next().value);
      });
    };
    next(calls.next().value);
  }

  /** One sample at a time, so that a machine that is behind gets fewer; the last one is taken. */
  #sample(): void {
    if (this.#sampling) return;
    this.#sampling = true;
    const began = this.book.counted;
    this.actions.sample().then(() => {
      this.#sampling = false;
      if (this.#silent && began < this.book.counted) this.#sample();
      this.end();
    });
  }

  #fallSilent(): void {
    this.#silent = true;
    this.#cancel();
    this.#late();
    const patience = DEFAULT_DEADLINE + STALL_MS;
    this.#cancel = this.clock.after(patience, () => {
      this.actions.over(`${this.book.waiting} messages have no end after ${patience / 1_000} s`);
    });
  }
}
