/** Many clients on one instance: what rounds do, what lands, and what each client costs. */
import { crowdCommand, shares } from "../../testnet/load/crowd.ts";
import { percentile } from "../../testnet/load/figures.ts";
import { scrape, type Usage } from "../../testnet/load/meter.ts";
import { serverTimes } from "../../testnet/load/nodes.ts";
import type { Command, Site } from "../../testnet/command.ts";
import { Instance, type Node } from "../process/instance.ts";

/** What is measured. */
export interface ScaleOptions {
  readonly clients: number;
  /** Readers besides, in one process. */
  readonly readers: number;
  readonly rounds: number;
  /** Time from round to round, ms. */
  readonly period: number;
  /** Clients that say something in a round. */
  readonly talkers: number;
  /** Clients of one process. */
  readonly perProcess: number;
  readonly aggregators: number;
}

/** What came of it. Times in ms, CPU in ms of one core, memory in bytes. */
export interface Scale {
  readonly clients: number;
  readonly aggregators: number;
  /** From the first newcomer to a record with nine tenths of them. */
  readonly joinedMs: number;
  readonly rounds: number;
  readonly voids: number;
  readonly participants: readonly [least: number, last: number];
  readonly sent: number;
  readonly landed: number;
  readonly readers: number;
  /** Records that one of the readers never got, and rounds that one was ever behind. */
  readonly missed: number;
  readonly lag: number;
  /** Sent, and not found where their senders were told, or with no good end. */
  readonly lost: number;
  /** From `send` to the outcome. */
  readonly latency: { readonly p50: number; readonly p95: number; readonly p99: number };
  readonly cpuPerRound: { readonly server: number; readonly aggregator: number };
  /** Of all servers, and of all aggregators, beyond what the first four clients cost. */
  readonly cpuPerRoundAndClient: { readonly servers: number; readonly aggregators: number };
  readonly resident: { readonly server: number; readonly aggregator: number };
  readonly aggregatorBytesPerClient: number;
}

/** Between two lines that say how far it is, in milliseconds. */
const PROGRESS_MS = 10_000;
/** Processes that the four clients of `Instance.start` are, and rounds in which their cost is taken. */
const FIRST = 4, FIRST_ROUNDS = 8;

/** Runs it. Throws where clients cannot join. */
export async function scale(options: ScaleOptions): Promise<Scale> {
  const { clients, readers, rounds, period, talkers, perProcess, aggregators } = options;
  const deadline = Math.max(3 * period, 10_000);
  await using it = new Instance(`scale-${clients}`, 3, () => serverTimes(period, clients));
  (it.site.env as Record<string, string>).ZIPNET_METRICS = "127.0.0.1:0";
  const secret = () => crypto.getRandomValues(new Uint8Array(32));
  await it.start(
    FIRST,
    Array.from({ length: aggregators }, () => ({ secret: secret(), args: [] })),
  );
  const [reader] = it.readers;
  /** What a server and an aggregator have used, and how many rounds there were. */
  const reading = async () => {
    const [server, aggregator] = [mean(await all(it.servers)), mean(await all(it.aggregators))];
    return { server, aggregator, rounds: reader.records.length };
  };
  const first = await reading();
  await it.within(
    FIRST_ROUNDS * deadline,
    "rounds of the first clients",
    () => reader.records.length >= first.rounds + FIRST_ROUNDS,
  );
  const lone = await reading(), base = perRound(first, lone);

  const began = performance.now(), crowd: Node[] = [];
  const known = [...it.bootstrap, ...it.aggregators.flatMap(({ addresses }) => addresses!)];
  for (const [index, count] of shares(clients - FIRST, perProcess).entries()) {
    crowd.push(it.run(crowdCommand(it.site, index, count, known)));
  }
  const library = readers === 0 ? undefined : it.run(readersCommand(it.site, readers, known));
  /** Round of the newest record that all readers have, and how many records the last of them has. */
  const read = () => Number(library?.lines.at(-1)?.read ?? 0);
  const kept = () => Number(library?.lines.at(-1)?.records ?? 0);
  const joined = () =>
    crowd.reduce(
      (sum, { lines }) => sum + Number(lines.findLast((l) => "joined" in l)?.joined ?? 0),
      0,
    );
  const progress = setInterval(() => {
    const { round = 0, participants = 0 } = reader.records.at(-1) ?? {};
    console.error(
      `${FIRST + joined()} clients joined, round ${round}, ${participants} participants`,
    );
  }, PROGRESS_MS);
  using _ = { [Symbol.dispose]: () => clearInterval(progress) };
  await it.within(60_000 + 500 * clients, "all have joined", () => joined() === clients - FIRST);
  // Where the machine is busy, some are late for each round.
  const complete = () => (reader.records.at(-1)?.participants ?? 0) >= 0.9 * clients;
  await it.within(120_000, "a round with nine tenths of them", complete);
  if (library) await it.within(60_000, "all readers follow", () => read() > 0);
  const joinedMs = Math.round(performance.now() - began);

  const from = reader.records.length, voidsBefore = voids(it);
  const before = await reading();
  const sent = new Map<string, string>();
  const speak = () => {
    for (let i = 0; i < talkers; i++) {
      const id = `s${sent.size}`, payload = crypto.getRandomValues(new Uint8Array(64)).toBase64();
      const process = crowd[sent.size % crowd.length];
      const of = Number(process.command.args.at(-2));
      const talk = Math.floor(sent.size / crowd.length) % of;
      sent.set(id, payload);
      process.child.say({ talk, id, payload });
    }
  };
  let lag = 0;
  const outcomes = () => new Map(crowd.flatMap((node) => [...node.outcomes]));
  for (let seen = from; seen - from < rounds; seen = reader.records.length) {
    speak();
    const least = reader.records.length;
    await it.within(10 * deadline, "another round", () => reader.records.length > least);
    if (library) lag = Math.max(lag, reader.records[least - 1].round - read());
  }
  const after = await reading(), done = reader.records.length - from;
  await it.within(300_000, "every message has its end", () => outcomes().size === sent.size);

  const told = outcomes();
  const places = new Map<string, number>();
  const last = Math.max(...[...told.values()].map(({ round }) => Number(round ?? 0)));
  await it.within(60_000, "the reader has all", () => reader.records.at(-1)!.round >= last);
  if (library) await it.within(60_000, "all readers have all", () => read() >= last);
  for (const { round, messages } of reader.records) {
    for (const { payload } of messages) places.set(payload, round);
  }
  const found = [...sent].filter(([id, payload]) =>
    told.get(id)?.outcome === "landed" && places.get(payload) === told.get(id)?.round
  );
  const times = found.map(([id]) => Number(told.get(id)!.ms));
  const at = (part: number) => percentile(times, part) ?? 0;
  const cost = perRound(before, after);
  const more = (name: "server" | "aggregator", nodes: number) =>
    round2(nodes * (cost[name] - base[name]) / (clients - FIRST));
  const seen = reader.records.slice(from, from + done).map(({ participants }) => participants);
  return {
    clients,
    aggregators,
    joinedMs,
    rounds: done,
    voids: voids(it) - voidsBefore,
    participants: [Math.min(...seen), seen.at(-1)!],
    sent: sent.size,
    landed: found.length,
    readers,
    missed: library
      ? Math.max(0, reader.records.filter(({ round }) => round <= read()).length - kept())
      : 0,
    lag,
    lost: sent.size - found.length,
    latency: { p50: at(0.5), p95: at(0.95), p99: at(0.99) },
    cpuPerRound: { server: round2(cost.server), aggregator: round2(cost.aggregator) },
    cpuPerRoundAndClient: {
      servers: more("server", it.servers.length),
      aggregators: more("aggregator", aggregators),
    },
    resident: { server: after.server.resident, aggregator: after.aggregator.resident },
    aggregatorBytesPerClient: Math.round(
      aggregators * (after.aggregator.resident - lone.aggregator.resident) / (clients - FIRST),
    ),
  };
}

/** A process of so many readers. */
function readersCommand(site: Site, count: number, bootstrap: readonly string[]): Command {
  const run = ["run", "-q", "--no-prompt", "--cached-only", "-P=client", "--allow-net=127.0.0.1"];
  const args = [...run, "tests/bench/scale_readers.ts", String(count), bootstrap.join(",")];
  return { role: "reader", name: "readers", args, env: { ...site.env } };
}

interface Reading {
  readonly server: Mean;
  readonly aggregator: Mean;
  readonly rounds: number;
}

/** CPU of a round between two readings, ms. */
function perRound(from: Reading, to: Reading): { server: number; aggregator: number } {
  const of = (name: "server" | "aggregator") =>
    1_000 * (to[name].cpu - from[name].cpu) / (to.rounds - from.rounds);
  return { server: of("server"), aggregator: of("aggregator") };
}

const round2 = (value: number) => Math.round(100 * value) / 100;

/** Void rounds, as the server that saw most of them logged. */
function voids({ servers }: Instance): number {
  return Math.max(...servers.map(({ log }) => log.split('"event":"round void"').length - 1));
}

const all = (nodes: readonly Node[]) => Promise.all(nodes.map(usage));

interface Mean {
  readonly cpu: number;
  readonly resident: number;
}

/** What one of them used on average. */
function mean(used: readonly Usage[]): Mean {
  const of = (name: "cpu" | "resident") =>
    used.reduce((sum, { [name]: value }) => sum + value, 0) / used.length;
  return { cpu: of("cpu"), resident: Math.round(of("resident")) };
}

/** What a node uses, by its metrics. */
function usage({ metrics }: Node): Promise<Usage> {
  return scrape(metrics!);
}
