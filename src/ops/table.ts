/**
 * The one table of options. Variable names, flags, `--help`, parsing and refusals all derive from
 * it: a row `roundPeriod` is `ZIPNET_ROUND_PERIOD` and `--round-period`, and a secret row
 * `ZIPNET_X` also `ZIPNET_X_FILE` and `--x-file`, but never `--x`.
 */
import { LIMITS, MAX_SERVERS } from "../protocol/parameters.ts";
import type { Role } from "../universe/network.ts";
import { ATTESTATION_OPTIONS } from "./attestation_rows.ts";
import {
  bindAddress,
  choice,
  committeeSecret,
  duration,
  fingerprint,
  flag,
  hostPorts,
  instanceName,
  integer,
  multiaddrs,
  nodeKey,
  nodeKeys,
  origin,
  seed,
  text,
  universeName,
} from "./kinds.ts";
import { LEVELS, LOG_FORMATS } from "./log.ts";
import { ROLES, type Row, row, SERVER, textFor } from "./row.ts";

export { ROLES, type Row, textFor };

/** A number of the instance's parameters, within the protocol's bounds. */
function limit(name: keyof typeof LIMITS, meaning: string): Row<number> {
  return { roles: SERVER, kind: integer(...LIMITS[name]), absent: "by preset", meaning };
}

function deadline(meaning: string): Row<number> {
  return { roles: SERVER, kind: duration, absent: "by preset", meaning };
}

/** The table, in the order of `--help`. */
export const OPTIONS = {
  instance: row({
    roles: ROLES,
    kind: instanceName,
    required: true,
    meaning: "instance name, e.g. acme.mainnet",
  }),
  universe: row({
    roles: ROLES,
    kind: universeName,
    default: "mosaik.universe",
    meaning: "only for an isolated federation",
  }),
  bootstrap: row({
    roles: ROLES,
    kind: multiaddrs,
    absent: "none",
    meaning: "multiaddrs of any peers of the universe",
  }),
  dht: row({
    roles: ROLES,
    kind: choice("off", "mainline"),
    default: "off",
    meaning: {
      server: "where a first peer is looked for without any address: BitTorrent's public DHT, in " +
        "which this node is announced too",
      aggregator: "where a first peer is looked for without any address: BitTorrent's public " +
        "DHT, in which this node is announced too",
      client: "where a first peer is looked for without any address: BitTorrent's public DHT, " +
        "whose nodes see this one's address",
      reader: "where a first peer is looked for without any address: BitTorrent's public DHT, " +
        "whose nodes see this one's address; one that listens is announced too",
    },
  }),
  dhtBootstrap: row({
    roles: ROLES,
    kind: hostPorts,
    absent: "its public routers",
    meaning: "with --dht=mainline: nodes of the DHT to begin at",
  }),
  mdns: row({
    roles: ROLES,
    kind: flag,
    default: "false",
    meaning: {
      server: "looks for peers on the local network by multicast DNS, and answers there",
      aggregator: "looks for peers on the local network by multicast DNS, and answers there",
      client: "looks for peers on the local network by multicast DNS; needs " +
        "--allow-sys=networkInterfaces",
      reader: "looks for peers on the local network by multicast DNS; needs " +
        "--allow-sys=networkInterfaces",
    },
  }),
  connectTimeout: row({
    roles: ROLES,
    kind: duration,
    default: "30s",
    meaning: {
      server: "how often it says that it waits for its committee; a server waits without end",
      aggregator: "after it a role that has not met its instance ends with exit code 3",
      client: "after it a role that has not met its instance ends with exit code 3",
      reader: "after it a role that has not met its instance ends with exit code 3",
    },
  }),
  listen: row({
    roles: ROLES,
    kind: multiaddrs,
    default: { server: "/ip4/0.0.0.0/tcp/4400", aggregator: "/ip4/0.0.0.0/tcp/4400" },
    absent: "none",
    meaning: "multiaddrs to listen on; port 0 takes any free one; one that ends in " +
      "/p2p/…/p2p-circuit listens through that relay",
  }),
  relay: row({
    roles: ["server", "aggregator", "reader"],
    kind: nodeKeys,
    absent: "off",
    meaning: "keys of nodes that cannot be reached themselves, and listen through this one",
  }),
  announce: row({
    roles: ROLES,
    kind: multiaddrs,
    absent: "as listened",
    meaning: "multiaddrs to advertise",
  }),
  secret: row({
    roles: ROLES,
    kind: seed,
    absent: "random",
    meaning: {
      server: "seed of the node's identity: 64 hex digits, or any text (hashed with BLAKE3); " +
        "required outside preset dev",
      aggregator: "seed of the node's identity: 64 hex digits, or any text (hashed with BLAKE3); " +
        "required outside preset dev",
      client: "seed of the node's identity: 64 hex digits, or any text (hashed with BLAKE3)",
      reader: "seed of the node's identity: 64 hex digits, or any text (hashed with BLAKE3)",
    },
  }),
  committee: row({
    roles: ["aggregator", "client", "reader"],
    kind: fingerprint,
    absent: "none",
    meaning: "committee fingerprint to pin; without it the first committee that answers is trusted",
  }),
  committeeSecret: row({
    roles: SERVER,
    kind: committeeSecret,
    required: true,
    meaning: "the secret that the servers of a committee share and prove to each other; 16 bytes " +
      "or more",
  }),
  committeeSecretOther: row({
    roles: SERVER,
    kind: committeeSecret,
    absent: "none",
    meaning: "accepted too, while the committee's secret is changed: the next one, or the last",
  }),
  committeeSize: row({
    roles: SERVER,
    kind: integer(1, MAX_SERVERS),
    default: "3",
    meaning: "members at genesis; odd, at least 3; 2 needs --allow-two",
  }),
  allowTwo: row({
    roles: SERVER,
    kind: flag,
    default: "false",
    meaning: "permits a committee of two: it stops when either member does",
  }),
  preset: row({
    roles: ["server", "aggregator"],
    kind: choice("interactive", "archival", "dev"),
    default: "interactive",
    meaning: {
      server: "parameters of the instance, which single ones below override; part of the manifest",
      aggregator: "only tells dev, where an identity may be random, from the others",
    },
  }),
  aggregators: row({
    roles: ["server", "aggregator"],
    kind: nodeKeys,
    absent: { server: "any", aggregator: "none" },
    meaning: {
      server: "keys of the aggregators that may hand over here",
      aggregator: "keys of the aggregators that may hand over here: those that name this one as " +
        "their upstream",
    },
  }),
  upstream: row({
    roles: ["aggregator"],
    kind: nodeKey,
    absent: "the servers",
    meaning: "key of the aggregator to hand over to instead of the servers; it must list this one",
  }),
  roundPeriod: deadline("time from round to round"),
  foldDeadline: deadline("after it the aggregate is closed; below the round deadline"),
  roundDeadline: deadline("after it a round that is not final is void"),
  minParticipants: row({
    roles: ["server", "client"],
    kind: integer(...LIMITS.minParticipants),
    default: "3",
    meaning: {
      server: "no round opens, and none is released, below it",
      client: "it stays silent in a round below it",
    },
  }),
  maxClients: limit("maxClients", "clients of one roster"),
  maxTalkers: limit("maxTalkers", "messages of one round"),
  maxMessageBytes: limit("maxMessageBytes", "longest message"),
  maxVectorBytes: limit("maxVectorBytes", "all slots of one round together"),
  data: row({
    roles: ["server", "reader"],
    kind: text("FOLDER", "a folder"),
    default: "./data",
    meaning: {
      server: "durable state; another folder needs its own --allow-read and --allow-write",
      reader: "keeps its place in the subfolder reader, so that a new start goes on where it " +
        "stopped; another folder needs its own --allow-read and --allow-write",
    },
  }),
  ephemeral: row({
    roles: ["server", "reader"],
    kind: flag,
    default: "false",
    meaning: {
      server: "keeps no state: nothing can be opened twice, but without a durable head all other " +
        "servers together could make it fork the log; where all are so and restart at once, the " +
        "aggregators tell them where it ends",
      reader: "keeps no place: the next start reads from --from again",
    },
  }),
  from: row({
    roles: ["reader"],
    kind: integer(0, 999_999_999_999_999),
    absent: "after the record printed last, else 0",
    meaning: "first round to read; 0 for every record since the first",
  }),
  verify: row({
    roles: ["reader"],
    kind: flag,
    default: "false",
    meaning: "verifies every signature and link from --from (0) to the newest record, prints one " +
      "line, and exits: 0, or 1 with the record that does not verify",
  }),
  archive: row({
    roles: ["reader"],
    kind: text("FOLDER", "a folder"),
    absent: "none",
    meaning:
      "reads the records of a server's archive from this folder instead of the network, up " +
      "to the newest, and exits; the folder needs its own --allow-read",
  }),
  manifest: row({
    roles: ["reader"],
    kind: text("FILE", "a file"),
    absent: "the file committee in --archive",
    meaning: "with --archive: the committee and those before it, as a server keeps them",
  }),
  engine: row({
    roles: SERVER,
    kind: choice("raft", "etcd"),
    default: "raft",
    meaning: "what orders the committee's commands: raft in the servers themselves, or an etcd " +
      "that the operators run; the same on all servers",
  }),
  etcd: row({
    roles: SERVER,
    kind: origin,
    absent: "none",
    meaning: "with --engine=etcd: the client URL of the etcd member beside this server",
  }),
  ...ATTESTATION_OPTIONS,
  cadence: row({
    roles: ["client"],
    kind: integer(1, 1_000_000),
    default: "1",
    meaning: "talk every Nth round",
  }),
  message: row({
    roles: ["client"],
    kind: text("TEXT", "a text that is not empty"),
    absent: "none",
    meaning: "a fixed payload for trials",
  }),
  stdin: row({
    roles: ["client"],
    kind: flag,
    default: "false",
    meaning: "sends each line of standard input as a message",
  }),
  json: row({
    roles: ["client", "reader"],
    kind: flag,
    default: "false",
    meaning: "one JSON object a line on standard output, and for a client on standard input",
  }),
  metrics: row({
    roles: ROLES,
    kind: bindAddress,
    absent: "not served",
    meaning: {
      server: "bind address of /metrics, /healthz, /readyz",
      aggregator: "bind address of /metrics, /healthz, /readyz",
      client: "bind address of /metrics, /healthz, /readyz; on loopback only, since its numbers " +
        "tell when it talks",
      reader: "bind address of /metrics, /healthz, /readyz",
    },
  }),
  metricsMessages: row({
    roles: ["client"],
    kind: flag,
    default: "false",
    meaning: "counts its own messages among its metrics: whoever reads those learns when it talked",
  }),
  page: row({
    roles: ["reader"],
    kind: bindAddress,
    absent: "not served",
    meaning: "bind address of the live page: rounds and messages as they were verified",
  }),
  log: row({
    roles: ROLES,
    kind: choice(...LEVELS),
    default: "info",
    meaning: "least level that is logged, to standard error",
  }),
  logFormat: row({
    roles: ROLES,
    kind: choice(...LOG_FORMATS),
    absent: "text on a terminal, else json",
    meaning: "how log lines look",
  }),
  stopWithStdin: row({
    roles: ROLES,
    kind: flag,
    default: "false",
    meaning: "stops when standard input ends; not for services, whose input ends at once",
  }),
} as const;

/** Name of a row. */
export type OptionName = keyof typeof OPTIONS;

/** Parsed values by row, as far as they were given or have a default. */
export type Values = {
  [Name in OptionName]?: (typeof OPTIONS)[Name] extends Row<infer T> ? T : never;
};

/** Names of all rows, in order. */
export const OPTION_NAMES = Object.keys(OPTIONS) as OptionName[];

/** `roundPeriod` → `ZIPNET_ROUND_PERIOD`. */
export function variableOf(name: OptionName): string {
  return `ZIPNET_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** `roundPeriod` → `round-period`, without the dashes in front. */
export function flagOf(name: OptionName): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** The row's default for the role, as it would be written. */
export function defaultOf(name: OptionName, role: Role): string | undefined {
  return textFor((OPTIONS[name] as Row<unknown>).default, role);
}

/** Variables that hold a secret itself: to be deleted once read. */
export const SECRET_VARIABLES: readonly string[] = OPTION_NAMES
  .filter((name) => OPTIONS[name].kind.secret).map(variableOf);
