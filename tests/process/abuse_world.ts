/**
 * Run by the abuse tests, in a process of its own: a whole instance over real libp2p on loopback,
 * three servers, an aggregator, clients that talk in every round, and a reader. Its limits are what
 * the test says, on its standard input; what it holds, lands and logs it prints twice a second.
 */
import { Zipnet } from "../../src/mod.ts";
import { raftEngine } from "../../src/committee/raft_engine.ts";
import { calm } from "../../src/ops/calm.ts";
import { memoryFolder } from "../../src/ops/folder.ts";
import { memoryStore } from "../../src/ops/store.ts";
import { systemClock, systemRandom } from "../../src/ops/system.ts";
import { signer } from "../../src/protocol/keys.ts";
import { instanceId, universeId } from "../../src/protocol/names.ts";
import { type Parameters, PRESETS } from "../../src/protocol/parameters.ts";
import { Gate } from "../../src/roles/admission.ts";
import { Aggregator } from "../../src/roles/aggregator.ts";
import { meetCommittee } from "../../src/roles/committee.ts";
import { CommitteeServer } from "../../src/roles/committee_server.ts";
import type { DeskLimits } from "../../src/roles/limits.ts";
import { memoryArchive } from "../../src/roles/records.ts";
import type { Server } from "../../src/roles/server.ts";
import type { Environment, Fields, Level } from "../../src/universe/environment.ts";
import { libp2pNetwork } from "../../src/universe/libp2p.ts";
import type { Counts, Limits } from "../../src/universe/limits.ts";
import type { Network, Role } from "../../src/universe/network.ts";

/** The instance's names. */
export const UNIVERSE = "mosaik.universe", INSTANCE = "abused";

/** What a world is told. `lift` names what is no limit of a node or a desk. */
export interface WorldOptions {
  readonly limits: Partial<Limits>;
  readonly desk?: Partial<DeskLimits>;
  readonly parameters?: Partial<Omit<Parameters, "anchor" | "policy">>;
  readonly lift?: readonly ("frames" | "log")[];
  /** Bytes of each message. */
  readonly says?: number;
}

/** What it says of itself. */
export interface Report {
  readonly rounds: number;
  readonly voids: number;
  readonly sent: number;
  readonly landed: number;
  readonly lost: number;
  /** Clients that stand in the roster. */
  readonly roster: number;
  /** Bytes in use after a collection, and those of the process. */
  readonly heap: number;
  readonly rss: number;
  readonly server: Counts;
  readonly aggregator: Counts;
  /** Streams that were accepted by their owners, of all kinds. */
  readonly accepted: number;
  /** Lines of the log about a peer or a host. */
  readonly lines: number;
  /** Those of the last half second. */
  readonly log: readonly { readonly event: string; readonly fields: Fields }[];
}

/** The first line: where the first server and the aggregator listen. */
export interface Up {
  readonly server: string;
  readonly aggregator: string;
}

const CLIENTS = 4, SERVERS = 3;
/** Nothing within reach; small enough for the arithmetic of a kind. */
const NO_BOUND = 2 ** 40;

const count = { accepted: 0, lines: 0, rounds: 0, voids: 0, sent: 0, landed: 0, lost: 0 };
let log: { event: string; fields: Fields }[] = [];

async function main(options: WorldOptions): Promise<void> {
  const universe = universeId(UNIVERSE), instance = instanceId(universe, INSTANCE);
  const parameters = { ...PRESETS.dev, ...options.parameters };
  const lifted = (what: "frames" | "log") => options.lift?.includes(what) === true;
  const say = (level: Level, event: string, fields: Fields = {}) => {
    if (level === "debug") return;
    if (event === "round void") count.voids++;
    if (!("peer" in fields || "host" in fields)) return;
    count.lines++;
    log.push({ event, fields });
    if (log.length > 5_000) log = log.slice(-2_500);
  };
  const observe = lifted("log") ? say : calm(say, systemClock);
  const environment: Environment = { clock: systemClock, random: systemRandom, observe };
  const node = (role: Role, secret: Uint8Array, bootstrap: readonly string[]): Network => {
    const network = libp2pNetwork({
      ...{ environment, secret, universe, instance, role, bootstrap },
      listen: role === "client" || role === "reader" ? [] : ["/ip4/127.0.0.1/tcp/0"],
      limits: options.limits,
    });
    const serve = network.serve.bind(network);
    network.serve = (kind, accept) => {
      const wide = lifted("frames") ? { ...kind, maxFrame: NO_BOUND, maxBuffered: NO_BOUND } : kind;
      serve(wide, (stream) => {
        count.accepted++;
        if (lifted("frames")) stream.limit = () => {};
        return accept(stream);
      });
    };
    return network;
  };

  const raft = await raftEngine(environment), committee = systemRandom(32);
  const servers: Server[] = [], networks: Network[] = [], bootstrap: string[] = [];
  for (let i = 0; i < SERVERS; i++) {
    const secret = systemRandom(32), network = node("server", secret, bootstrap);
    await network.start();
    bootstrap.push(...network.self.addresses);
    const folder = memoryFolder();
    networks.push(network);
    new CommitteeServer({
      ...{ network, environment, instance, parameters, signer: signer(secret), size: SERVERS },
      gate: new Gate({ network, environment, instance, secrets: [committee] }),
      store: memoryStore(),
      archive: memoryArchive(),
      wish: () => undefined,
      post: ({ servers: { length } }) => ({
        store: memoryStore(),
        engine: raft(length, folder.journal("order")),
      }),
      admits: () => undefined,
      deskLimits: options.desk,
      joined: (server) => servers[i] = server,
      failed: (error) => {
        throw error;
      },
    }).start();
  }
  const secret = systemRandom(32), network = node("aggregator", secret, bootstrap);
  const aggregator = new Aggregator({ network, environment, signer: signer(secret) });
  await network.start();
  const name = { id: instance, name: INSTANCE };
  aggregator.start(
    await meetCommittee({
      network,
      environment,
      instance: name,
      universe: UNIVERSE,
      timeout: 60_000,
    }),
  );

  const known = [...network.self.addresses, ...bootstrap];
  for (let i = 0; i < CLIENTS; i++) void talk(environment, known, options.says ?? 100);
  void read(environment, known);
  print({ server: bootstrap[0], aggregator: network.self.addresses[0] } satisfies Up);
  const report = () => {
    systemClock.after(500, report);
    (globalThis as { gc?: () => void }).gc?.();
    const { heapUsed, external, rss } = Deno.memoryUsage();
    print(
      {
        ...count,
        roster: servers[0]?.member.state.registry.size ?? 0,
        heap: heapUsed + external,
        rss,
        server: networks[0].counts(),
        aggregator: network.counts(),
        log,
      } satisfies Report,
    );
    log = [];
  };
  report();
}

/** Says something, and again whenever that has its outcome. */
async function talk(environment: Environment, bootstrap: string[], length: number): Promise<void> {
  const zipnet = Zipnet.bind(UNIVERSE, INSTANCE, { environment, bootstrap });
  const submitter = await zipnet.submitter();
  for (;;) {
    count.sent++;
    const { kind } = await submitter.send(systemRandom(length)).outcome;
    if (kind === "landed") count.landed++;
    else count.lost++;
  }
}

async function read(environment: Environment, bootstrap: string[]): Promise<void> {
  const reader = await Zipnet.bind(UNIVERSE, INSTANCE, { environment, bootstrap }).reader();
  for await (const _ of reader.records()) count.rounds++;
}

function print(what: object): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(what)}\n`));
}

if (import.meta.main) {
  const input = await new Response(Deno.stdin.readable).text();
  await main(JSON.parse(input, (_, value) => value === "Infinity" ? Infinity : value));
}
