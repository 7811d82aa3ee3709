/** A whole run: start every node in order, follow the course, stop everything, answer. */
import { EXIT, type ExitCode } from "../src/ops/exit.ts";
import { hex } from "../src/protocol/bytes.ts";
import type { Clock, Random } from "../src/universe/environment.ts";
import { Disagreement } from "./agreement.ts";
import type { Child, ChildEvents, Spawn, Up } from "./child.ts";
import { aggregator, client, type Command, reader, server, type Site } from "./command.ts";
import { Course } from "./course.ts";
import { Fleet } from "./fleet.ts";
import type { Options } from "./options.ts";
import { parseRecord } from "./record.ts";
import { watch } from "./stall.ts";
import { endingLines, type View, visible } from "./view.ts";

/** What a run needs from outside. */
export interface World {
  readonly spawn: Spawn;
  readonly clock: Clock;
  readonly random: Random;
  readonly site: Site;
  readonly view: View;
  /** What a process wrote to standard error. */
  logged(name: string, chunk: Uint8Array): void;
  output(line: string): void;
  error(line: string): void;
}

/** Longest time from the start to the first round with all clients, and from round to round. */
const STALL_MS = 30_000;
const READERS = [0, 1] as const;

/** Why a run ended. */
type End = { readonly lines: readonly string[]; readonly exitCode: ExitCode };

/** Runs the testnet until it is done, broken, or `stop` resolves; no process is left then. */
export async function run(options: Options, world: World, stop: Promise<void>): Promise<ExitCode> {
  const fleet = new Fleet(world.spawn, world.clock);
  const { promise: ended, resolve: end } = Promise.withResolvers<End>();
  const show = (lines: readonly string[]) => lines.forEach(world.output);
  const clients: Child[] = [];
  let running = true;
  const stall = watch(world.clock, STALL_MS, () => {
    const { ready, counting } = course;
    const missing = counting || ready === options.clients
      ? ""
      : `; ${ready} of ${options.clients} clients take part`;
    end(failure([`no round in ${STALL_MS / 1_000} s on which both readers agree${missing}`]));
  });
  const course = new Course(options, {
    say: (index, message) => clients[index].say(message),
    round(record, counts) {
      if (counts) stall.reset();
      show(counts ? world.view.round(record) : world.view.waiting(record, options.clients));
    },
    over: () => end({ lines: [], exitCode: course.succeeded ? EXIT.clean : EXIT.failure }),
  });
  const guard = (task: () => void) => {
    try {
      task();
    } catch (error) {
      if (!(error instanceof Disagreement)) throw error;
      running = false;
      end(failure([error.message]));
    }
  };
  stop.then(() =>
    end(
      options.rounds === undefined
        ? { lines: [], exitCode: EXIT.clean }
        : failure([`stopped before ${options.rounds} rounds were over`]),
    )
  );
  fleet.broken.then((ending) => end(failure(endingLines(ending))));
  const launch: Launch = (command, said) =>
    fleet.start(command, { said, logged: (chunk) => world.logged(command.name, chunk) });

  assemble(options, world, launch, {
    client: (index, line) => running && course.client(index, line),
    reader: (index, line) =>
      guard(() => {
        // A reader starts with the manifest of the committee that it follows.
        if (running && !("manifest" in line)) course.reader(index, parseRecord(line));
      }),
    started: (child) => clients.push(child),
  }).catch((error) => end(failure([error instanceof Error ? error.message : String(error)])));

  const { lines, exitCode } = await ended;
  running = false;
  stall.cancel();
  await fleet.stop();
  if (exitCode !== EXIT.clean) course.close();
  const losses = course.losses.map(({ id, reason }) => `message ${id} is lost: ${reason}`);
  for (const line of [...lines, ...losses]) world.error(visible(line));
  if (course.counting) show(world.view.summary(course.summary));
  return exitCode;
}

type Launch = (command: Command, said?: ChildEvents["said"]) => Child;

interface Heard {
  client(index: number, line: Record<string, unknown>): void;
  reader(index: 0 | 1, line: Record<string, unknown>): void;
  started(client: Child): void;
}

/** Starts all nodes: server 0 first, since the others find the universe through it. */
async function assemble(options: Options, world: World, launch: Launch, heard: Heard) {
  const { site, clock } = world;
  const start = clock.now();
  const secrets = Array.from({ length: options.servers }, () => world.random(32));
  const serve = (index: number, bootstrap: readonly string[]): Promise<Up> =>
    launch(server(site, index, options.servers, hex(secrets[index]), bootstrap)).up;
  const first = (await serve(0, [])).addresses;
  const servers = secrets.slice(1).map((_, i) => serve(i + 1, first));
  const readers = READERS.map((index) =>
    launch(
      reader(site, index, first, index === 0 ? options.page : undefined),
      (line) => heard.reader(index, line),
    ).up
  );
  const gather = await Promise.all(
    Array.from(
      { length: options.aggregators },
      (_, index) => launch(aggregator(site, hex(world.random(32)), first, index)).up,
    ),
  );
  const bootstrap = [...first, ...gather.flatMap(({ addresses }) => addresses)];
  const clients = Array.from({ length: options.clients }, (_, index) => {
    const child = launch(client(site, index, bootstrap), (line) => heard.client(index, line));
    heard.started(child);
    return child.up;
  });
  await Promise.all([...servers, ...readers, ...clients]);
  const { aggregators, clients: count } = options;
  const nodes = { server: options.servers, aggregator: aggregators, client: count, reader: 2 };
  for (const line of world.view.up(nodes, clock.now() - start)) world.output(line);
  if (options.page) world.error(`the live page: http://127.0.0.1:${options.page}/`);
}

function failure(lines: readonly string[]): End {
  return { lines, exitCode: EXIT.failure };
}
