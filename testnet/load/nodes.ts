/** The processes of a run: servers, aggregators, a reader, a client of its own, and crowds. */
import { hex } from "../../src/protocol/bytes.ts";
import type { Child } from "../child.ts";
import { aggregator, client, type Command, reader, server } from "../command.ts";
import type { Fleet } from "../fleet.ts";
import { parseRecord, type RoundRecord } from "../record.ts";
import type { Book, Watched } from "./book.ts";
import { Crowd, crowdCommand, shares } from "./crowd.ts";
import { MetricsAddress, scrape, type Usage } from "./meter.ts";
import type { LoadOptions } from "./options.ts";
import type { LoadWorld } from "./run.ts";

/** Clients of one process, at most. */
const PER_PROCESS = 50;

/** Who is told of what nodes say. */
interface Heard {
  record(record: RoundRecord): void;
  /** A client said what became of a message. */
  told(): void;
}

/**
 * Options of servers for rounds of such a period, ms. Envelopes have more than half of it, since all
 * clients of the run share this machine.
 */
export function serverTimes(period: number, clients: number): string[] {
  return [
    ...["--round-period", `${period}ms`, "--fold-deadline", `${Math.round(0.6 * period)}ms`],
    ...["--round-deadline", `${Math.max(3 * period, 10_000)}ms`],
    ...["--max-clients", String(Math.max(1_000, 2 * clients))],
  ];
}

/** See the module comment. */
export class Nodes {
  readonly #asked: { readonly node: Watched; ask(): Promise<Usage> }[] = [];
  readonly #crowds: Crowd[] = [];
  /** Who sends for a client of the talk: a crowd, and which one of it. */
  readonly #mouths: ((id: string, payload: Uint8Array) => void)[] = [];

  constructor(
    readonly options: LoadOptions,
    readonly world: LoadWorld,
    readonly fleet: Fleet,
    readonly book: Book,
    readonly heard: Heard,
  ) {}

  /** Starts all of them, and answers with a line once they are up. */
  async start(): Promise<string> {
    const { options, world: { site, clock, random } } = this, start = clock.now();
    const secrets = Array.from({ length: options.servers }, () => hex(random(32)));
    const serve = (index: number, bootstrap: readonly string[]) => {
      const made = server(site, index, options.servers, secrets[index], bootstrap);
      const args = [...made.args, ...serverTimes(options.period, options.clients)];
      return this.#launch({ ...made, args }).up;
    };
    const first = (await serve(0, [])).addresses;
    const up = secrets.slice(1).map((_, i) => serve(i + 1, first));
    const gather = await Promise.all(
      Array.from(
        { length: options.aggregators },
        (_, index) => this.#launch(aggregator(site, hex(random(32)), first, index)).up,
      ),
    );
    const read = this.#launch(reader(site, 0, first), (line) => {
      if (!("manifest" in line)) this.heard.record(parseRecord(line));
    });
    await Promise.all([...up, read.up]);
    const bootstrap = [...first, ...gather.flatMap(({ addresses }) => addresses)];
    await this.#launch(client(site, 0, bootstrap)).up;
    const counts = shares(options.clients - 1, PER_PROCESS);
    await Promise.all(counts.map((count, index) => this.#crowd(index, count, bootstrap)));
    const { servers, aggregators, clients } = options;
    return `${servers} servers, ${aggregators} aggregator${aggregators === 1 ? "" : "s"}, ` +
      `${clients} clients in ${counts.length + 1} processes, 1 reader up in ` +
      `${clock.now() - start} ms`;
  }

  /** Clients in crowds that have met the committee. */
  get joined(): number {
    return this.#crowds.reduce((sum, { joined }) => sum + joined, 0);
  }

  /** Sends a message through a client of the talk. */
  say(client: number, id: string, payload: Uint8Array): void {
    this.#mouths[client % this.#mouths.length](id, payload);
  }

  /** Asks every process what it uses; one that does not answer is left out. */
  async sample(): Promise<void> {
    await Promise.all(this.#asked.map(async ({ node, ask }) => {
      try {
        this.book.sample(node, await ask(), this.world.clock.now());
      } catch { /* its end, if that is why, is told by the fleet */ }
    }));
  }

  async #crowd(index: number, count: number, bootstrap: readonly string[]): Promise<void> {
    const crowd = new Crowd((told) => {
      this.book.told(told);
      this.heard.told();
    });
    this.#crowds.push(crowd);
    const command = crowdCommand(this.world.site, index, count, bootstrap);
    const child = this.fleet.start(command, { said: (line) => crowd.line(line) });
    for (let i = 0; i < count; i++) {
      this.#mouths.push((id, payload) => crowd.say(child, i, id, payload));
    }
    const node = this.#watch(command.name, "crowd", count);
    this.#asked.push({ node, ask: () => crowd.usage(child) });
    await child.up;
  }

  #launch(command: Command, said?: (line: Record<string, unknown>) => void): Child {
    const metrics = new MetricsAddress();
    const child = this.fleet.start(command, { said, logged: (chunk) => metrics.push(chunk) });
    const node = this.#watch(command.name, command.role, Number(command.role === "client"));
    this.#asked.push({ node, ask: async () => await scrape(await metrics.found) });
    return child;
  }

  #watch(name: string, role: string, clients: number): Watched {
    const node = { name, role, clients, samples: [] };
    this.book.nodes.push(node);
    return node;
  }
}
