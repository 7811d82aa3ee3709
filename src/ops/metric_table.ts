/**
 * The one table of metrics: name, kind, labels and what each means, by role. All names begin with
 * `zipnet_`; all have the label `instance`. A client has none that counts messages or tells when
 * one went out, unless its user asked for them.
 */
import type { Role } from "../universe/network.ts";

/** One metric. */
export interface Metric {
  readonly kind: "gauge" | "counter" | "histogram";
  readonly roles: readonly Role[];
  /** Roles that have it only where it was asked for. */
  readonly asked?: readonly Role[];
  readonly labels?: readonly string[];
  /** Upper bounds of a histogram's buckets. */
  readonly buckets?: readonly number[];
  /** What its label may be, where that is known; a counter shows 0 for each from the start. */
  readonly values?: readonly string[];
  readonly help: string;
}

const SERVER: readonly Role[] = ["server"];
const LOG: readonly Role[] = ["server", "aggregator", "reader"];
const ALL: readonly Role[] = ["server", "aggregator", "client", "reader"];

/** A metric, with its name's type kept. */
function metrics<Name extends string>(table: Record<Name, Metric>): Record<Name, Metric> {
  return table;
}

/** The table; names without their prefix. */
export const METRICS = metrics({
  up: { kind: "gauge", roles: ALL, help: "1 while the role runs" },
  ready: { kind: "gauge", roles: ALL, help: "1 while /readyz says that the role does its work" },
  resident_bytes: { kind: "gauge", roles: ALL, help: "Resident memory of the process" },
  cpu_seconds_total: { kind: "counter", roles: ALL, help: "CPU time of the process" },
  event_loop_lag_seconds: {
    kind: "gauge",
    roles: ALL,
    help: "Longest delay of a timer of one second since the last scrape",
  },
  peers: { kind: "gauge", roles: ALL, labels: ["role"], help: "Peers of the instance known" },
  connections: { kind: "gauge", roles: ALL, help: "Open connections, inbound and outbound" },
  handshakes: { kind: "gauge", roles: ALL, help: "Inbound connections without a proven identity" },
  streams: { kind: "gauge", roles: ALL, help: "Open streams" },
  unproven_streams: { kind: "gauge", roles: ALL, help: "Inbound streams that have said no hello" },
  waiting_bytes: { kind: "gauge", roles: ALL, help: "Bytes that wait to be sent to strangers" },
  unfinished_bytes: {
    kind: "gauge",
    roles: ALL,
    help: "Bytes of strangers' frames that have begun and not ended",
  },
  subscribers: {
    kind: "gauge",
    roles: ["server", "aggregator"],
    labels: ["stream"],
    help: "Who follows a feed here",
  },
  limit_hits_total: {
    kind: "counter",
    roles: ALL,
    labels: ["limit"],
    help: "What was refused or cut under a limit, by its name",
  },
  bytes_total: {
    kind: "counter",
    roles: LOG,
    labels: ["stream", "direction"],
    help: "Bytes of frames that were sent and received, by kind of stream",
  },
  leader_is_local: { kind: "gauge", roles: SERVER, help: "1 at the server that drives the rounds" },
  bonds: {
    kind: "gauge",
    roles: SERVER,
    labels: ["peer"],
    help: "1 for each other server with which an open, proven stream exists, else 0",
  },
  committed_index: {
    kind: "gauge",
    roles: SERVER,
    help: "Place in the committee's order up to which this server applied commands",
  },
  client_registry_size: { kind: "gauge", roles: SERVER, help: "Clients that stand in the roster" },
  min_participants: {
    kind: "gauge",
    roles: SERVER,
    help: "Participants below which no round opens",
  },
  server_registry_size: { kind: "gauge", roles: SERVER, help: "Servers of the committee" },
  epoch: { kind: "gauge", roles: SERVER, help: "Number of the committee's epoch" },
  round: { kind: "gauge", roles: LOG, help: "Round of the newest certified record here" },
  round_time_seconds: {
    kind: "gauge",
    roles: SERVER,
    help: "Unix time of that round's header; absent before the first",
  },
  round_limit_seconds: {
    kind: "gauge",
    roles: SERVER,
    help: "Time from round to round after which something is wrong: three periods and the deadline",
  },
  last_participants: { kind: "gauge", roles: SERVER, help: "Participants of that round" },
  quote_expiry_seconds: {
    kind: "gauge",
    roles: SERVER,
    help:
      "Time until this server's own ticket ends, 0 without one; absent where it shows no quotes",
  },
  collateral_expiry_seconds: {
    kind: "gauge",
    roles: ALL,
    help: "Time until the first part of the collateral in use ends; absent where there is none",
  },
  rounds_finalized_total: {
    kind: "counter",
    roles: SERVER,
    help: "Rounds with a certified record",
  },
  rounds_void_total: {
    kind: "counter",
    roles: SERVER,
    labels: ["reason"],
    values: ["away", "declined", "open", "aggregate", "prepare", "partial", "other"],
    help: "Rounds given up, by what was missing",
  },
  partials_submitted_total: { kind: "counter", roles: SERVER, help: "Shares that were released" },
  messages_total: {
    kind: "counter",
    roles: ["server", "reader", "client"],
    asked: ["client"],
    labels: ["outcome"],
    values: ["landed"],
    help: "Slots of certified records that hold a message; of a client, what became of its own",
  },
  submission_rounds: {
    kind: "histogram",
    roles: ["client"],
    asked: ["client"],
    buckets: [2, 3, 4, 5, 6, 8, 12, 16, 32, 64],
    help: "Rounds from the time that a message of this client was sent until it landed or expired",
  },
  admissions_total: {
    kind: "counter",
    roles: SERVER,
    labels: ["result"],
    values: ["admitted", "refused", "evicted", "left"],
    help: "What became of clients that came to this server",
  },
  equivocations_total: {
    kind: "counter",
    roles: SERVER,
    help: "Servers that convicted themselves",
  },
  envelopes_total: {
    kind: "counter",
    roles: ["aggregator"],
    labels: ["result"],
    values: ["folded", "late", "refused"],
    help: "Envelopes: folded are those of aggregates that were sent",
  },
  round_phase_seconds: {
    kind: "histogram",
    roles: SERVER,
    labels: ["phase"],
    values: ["open", "fold", "prepare", "unblind", "finalize"],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    help: "Time of a round's phases at this server",
  },
});

/** Name of a metric without its prefix. */
export type MetricName = keyof typeof METRICS;

/** The prefix of all names. */
export const PREFIX = "zipnet_";
