/**
 * A process's metrics: counters fed by what the roles observe, gauges read when they are asked for.
 * In Prometheus's text format, by prom-client. Nothing here sees a message, and what observations
 * say of peers enters no label but a server's key.
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Fields, Observe } from "../universe/environment.ts";
import type { Role } from "../universe/network.ts";
import { type Metric, type MetricName, METRICS, PREFIX } from "./metric_table.ts";

/**
 * A number, nothing where there is none now, or one for each value of the metric's label; values of
 * several labels stand in their order, with a space between.
 */
export type Reading = number | undefined | ReadonlyMap<string, number>;

/** Numbers that a reading may have; more are left out. */
const MAX_VALUES = 256;

/** See the module comment. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #counters = new Map<MetricName, Counter>();
  /** What counters are that others keep. */
  readonly #kept = new Map<MetricName, () => Reading>();
  readonly #histograms = new Map<MetricName, Histogram>();
  /** Of the last round that was finalized here. */
  participants: number | undefined;

  /** The metrics of a role of an instance; `asked`: those too that its user has to ask for. */
  constructor(readonly role: Role, instance: string, asked = false) {
    this.#registry.setDefaultLabels({ instance });
    for (const name of Object.keys(METRICS) as MetricName[]) {
      const { kind, roles, asked: withheld = [], labels = [], values = [], buckets = [], help }:
        Metric = METRICS[name];
      if (!roles.includes(role) || kind === "gauge" || (withheld.includes(role) && !asked)) {
        continue;
      }
      const options = {
        name: PREFIX + name,
        help,
        labelNames: [...labels],
        registers: [this.#registry],
      };
      if (kind === "counter") {
        const collect = () => this.#keep(name);
        this.#counters.set(name, new Counter({ ...options, collect }));
        for (const value of values) this.count(name, 0, value);
      } else this.#histograms.set(name, new Histogram({ ...options, buckets: [...buckets] }));
    }
    this.read("last_participants", () => this.participants);
  }

  /** Says how a gauge is read; of another role's, nothing happens. */
  read(name: MetricName, reading: () => Reading): void {
    const { roles, labels = [], help } = METRICS[name];
    if (!roles.includes(this.role)) return;
    this.#registry.registerMetric(
      new Gauge({
        name: PREFIX + name,
        help,
        labelNames: [...labels],
        registers: [],
        collect() {
          this.reset();
          if (labels.length === 0) this.remove();
          for (const [at, one] of numbers(labels, reading())) this.set(at, one);
        },
      }),
    );
  }

  /** Says how a counter is read that something else keeps. */
  kept(name: MetricName, reading: () => Reading): void {
    this.#kept.set(name, reading);
  }

  /** Feeds the counters; to be called with every observation, whatever the log shows. */
  readonly observe: Observe = (_level, event, fields = {}) => COUNTED[event]?.(this, fields);

  /** Adds to a counter. */
  count(name: MetricName, by = 1, label?: string): void {
    const counter = this.#counters.get(name), [first] = METRICS[name].labels ?? [];
    if (label === undefined) counter?.inc(by);
    else counter?.inc({ [first]: label }, by);
  }

  /** How long a phase of a round took, in milliseconds. */
  phase(phase: string, ms: unknown): void {
    if (typeof ms !== "number") return;
    this.#histograms.get("round_phase_seconds")?.observe({ phase }, ms / 1_000);
  }

  /** What became of a client's own message, and after how many rounds. */
  submitted(outcome: string, rounds: number): void {
    this.count("messages_total", 1, outcome);
    if (outcome !== "refused") this.#histograms.get("submission_rounds")?.observe(rounds);
  }

  /** All of it, in Prometheus's text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** The media type of the text. */
  get type(): string {
    return this.#registry.contentType;
  }

  #keep(name: MetricName): void {
    const value = this.#kept.get(name)?.(), counter = this.#counters.get(name)!;
    if (value === undefined) return;
    counter.reset();
    for (const [at, one] of numbers(METRICS[name].labels ?? [], value)) counter.inc(at, one);
  }
}

/** Each number of a reading, with its labels. */
function numbers(labels: readonly string[], reading: Reading): [Record<string, string>, number][] {
  if (typeof reading === "number") return [[{}, reading]];
  return [...reading ?? []].slice(0, MAX_VALUES).map(([at, one]) => {
    const values = at.split(" ");
    return [Object.fromEntries(labels.map((label, i) => [label, values[i] ?? ""])), one];
  });
}

/** What an observation counts as. */
const COUNTED: Readonly<Record<string, (metrics: Metrics, fields: Fields) => void>> = {
  "round finalized"(metrics, { messages, participants, ...fields }) {
    metrics.count("rounds_finalized_total");
    if (typeof participants === "number") metrics.participants = participants;
    if (typeof messages === "number") metrics.count("messages_total", messages, "landed");
    for (const phase of METRICS.round_phase_seconds.values!) metrics.phase(phase, fields[phase]);
  },
  "round void": (metrics, { reason }) =>
    metrics.count("rounds_void_total", 1, voidReason(String(reason))),
  phase: (metrics, { phase }) => {
    if (phase === "released") metrics.count("partials_submitted_total");
  },
  "client admitted": (metrics) => metrics.count("admissions_total", 1, "admitted"),
  "client refused": (metrics) => metrics.count("admissions_total", 1, "refused"),
  "client evicted": (metrics) => metrics.count("admissions_total", 1, "evicted"),
  "client left": (metrics) => metrics.count("admissions_total", 1, "left"),
  equivocation: (metrics) => metrics.count("equivocations_total"),
  "aggregate sent": (metrics, { participants }) =>
    metrics.count("envelopes_total", Number(participants), "folded"),
  "envelope late": (metrics) => metrics.count("envelopes_total", 1, "late"),
  "stream failed": (metrics, { kind }) => {
    if (kind === "submit") metrics.count("envelopes_total", 1, "refused");
  },
};

/** The few kinds of reason for which rounds are given up: a label must not be anyone's text. */
export function voidReason(reason: string): string {
  if (/is away/.test(reason)) return "away";
  if (/declined/.test(reason)) return "declined";
  return /^no (OPEN|aggregate|PREPARE|PARTIAL)/.exec(reason)?.[1].toLowerCase() ?? "other";
}
