/**
 * What a role's process tells of itself to whoever watches it: its observations counted, its state
 * read when somebody asks, and whether it does its work. Where nobody is to be told, nothing is kept.
 */
import { serveHealth } from "../ops/health.ts";
import type { BindAddress } from "../ops/kinds.ts";
import type { MetricName } from "../ops/metric_table.ts";
import { Metrics, type Reading } from "../ops/metrics.ts";
import { usage } from "../ops/system.ts";
import { traces } from "../ops/traces.ts";
import type { Signer } from "../protocol/keys.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network, Role } from "../universe/network.ts";
import type { AttestedServers } from "./attested.ts";
import type { CommitteeServer } from "./committee_server.ts";
import type { RoleCounts } from "./limits.ts";

/** How often the event loop's lag is measured. */
const LAG_MS = 1_000;

/** Told of a process. */
export interface Telemetry {
  /** How a gauge is read. */
  read(name: MetricName, reading: () => Reading): void;
  /** What the role holds, and refused under its limits. */
  held(counts: () => Partial<RoleCounts> | undefined): void;
  /** What became of a message of this client, and after how many rounds. */
  submitted(outcome: string, rounds: number): void;
  /** Why the role does not do its work now, or undefined; until this was said it is starting. */
  ready(unready: () => string | undefined): void;
}

/** Telemetry that is served; `environment` counts what is observed through it. */
export interface Served extends Telemetry {
  readonly environment: Environment;
  /** Begins to serve. Throws a `ServeError`. */
  serve(network: Network): void;
  stop(): Promise<void>;
}

const NOBODY: Telemetry = { read() {}, held() {}, submitted() {}, ready() {} };

/**
 * The telemetry of a process, served at an address; without one nothing is told. `asked`: a client's
 * own messages are counted too.
 */
export function telemetry(
  role: Role,
  instance: { readonly id: Uint8Array; readonly name: string },
  address: BindAddress | undefined,
  outside: Environment,
  asked = false,
): Served {
  const { clock, observe } = outside, traced = traces(role, instance.id, clock);
  const metrics = address && new Metrics(role, instance.name, asked);
  const environment: Environment = {
    ...outside,
    observe(level, event, fields) {
      observe(level, event, fields);
      metrics?.observe(level, event, fields);
      traced?.(level, event, fields);
    },
  };
  if (!metrics) return { ...NOBODY, environment, serve() {}, stop: () => Promise.resolve() };
  let unready: () => string | undefined = () => "starting";
  let held: () => Partial<RoleCounts> | undefined = () => undefined;
  let close = () => Promise.resolve(), cancel = () => {}, lag = 0;
  const measure = () => {
    const due = clock.now() + LAG_MS;
    cancel = clock.after(LAG_MS, () => {
      lag = Math.max(lag, clock.now() - due);
      measure();
    });
  };
  metrics.read("up", () => 1);
  metrics.read("ready", () => unready() === undefined ? 1 : 0);
  metrics.read("resident_bytes", () => usage().resident);
  metrics.kept("cpu_seconds_total", () => usage().cpu);
  metrics.read("event_loop_lag_seconds", () => {
    const longest = lag / 1_000;
    lag = 0;
    return longest;
  });
  return {
    environment,
    read: (name, reading) => metrics.read(name, reading),
    held: (counts) => void (held = counts),
    submitted: (outcome, rounds) => metrics.submitted(outcome, rounds),
    ready: (why) => void (unready = why),
    serve(network) {
      const roles: Role[] = ["server", "aggregator", "client", "reader"];
      metrics.read("peers", () => new Map(roles.map((it) => [it, network.peers(it).length])));
      watchLimits(metrics, network, () => held() ?? {});
      measure();
      close = serveHealth({ address, environment, metrics, unready: () => unready() });
    },
    stop() {
      cancel();
      return close();
    },
  };
}

/** How what a node and its role hold is read, and how often their limits were hit. */
function watchLimits(metrics: Metrics, network: Network, held: () => Partial<RoleCounts>): void {
  const gauges = {
    connections: "connections",
    handshakes: "handshakes",
    streams: "streams",
    unproven_streams: "unproven",
    waiting_bytes: "waiting",
    unfinished_bytes: "unfinished",
  } as const;
  for (const [name, count] of Object.entries(gauges)) {
    metrics.read(name as keyof typeof gauges, () => network.counts()[count]);
  }
  metrics.read("subscribers", () => {
    const { live, windows } = held();
    return live === undefined
      ? undefined
      : new Map([["live-round", live], ["broadcasts", windows ?? 0]]);
  });
  metrics.kept("limit_hits_total", () => {
    const { refused = {}, refusedSubscribers: subscribers } = held();
    const own = subscribers === undefined ? {} : { subscribers };
    return new Map(Object.entries({ ...network.counts().refused, ...refused, ...own }));
  });
  metrics.kept("bytes_total", () =>
    new Map(
      Object.entries(network.counts().traffic).flatMap(([stream, { sent, received }]) => [
        [`${stream} sent`, sent],
        [`${stream} received`, received],
      ]),
    ));
}

/** How a server's state is read. */
export function watchServer(
  { telemetry: { read, held, ready }, signer: { key }, environment: { clock } }: {
    readonly telemetry: Telemetry;
    readonly signer: Signer;
    readonly environment: Environment;
  },
  committee: CommitteeServer,
  attested?: AttestedServers,
): void {
  const member = () => committee.server?.member;
  held(() => committee.server?.counts);
  ready(() => {
    if (!member()) return "the committee has not formed";
    return member()!.order.leader === undefined ? member()!.waitsFor : undefined;
  });
  read("leader_is_local", () => member() && Number(member()!.leading));
  read("bonds", () => {
    const bonds = committee.server?.bonds ?? new Map<string, boolean>();
    return new Map([...bonds].map(([peer, open]) => [peer.slice(0, 16), Number(open)]));
  });
  read("committed_index", () => member()?.order.applied);
  read("client_registry_size", () => member()?.state.registry.size);
  read("server_registry_size", () => committee.server?.options.manifest.servers.length);
  read("min_participants", () => committee.server?.options.manifest.parameters.minParticipants);
  read("epoch", () => committee.server?.options.manifest.epoch);
  read("round", () => member()?.head.round);
  read("round_time_seconds", () => {
    const time = member()?.head.time;
    return time ? time / 1_000 : undefined;
  });
  read("round_limit_seconds", () => {
    const parameters = committee.server?.options.manifest.parameters;
    return parameters && (3 * parameters.roundPeriod + parameters.roundDeadline) / 1_000;
  });
  read("quote_expiry_seconds", () => {
    // One that has ended is no longer kept, and must not look like none that was asked for.
    const until = attested?.until(key) ?? 0;
    return attested && Math.max(0, until - clock.wall()) / 1_000;
  });
}
