/**
 * A process's metrics: counters fed by what the roles observe, gauges read when they are asked for.
 * In Prometheus's text format, by prom-client. Nothing here sees a message, and what observations
 * say of peers enters no label but a server's key.
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Fields, Observe } from "../universe/environment.ts";
import type { Role } from "../universe/network.ts";
import { type MetricName, METRICS, PHASE_BUCKETS, PREFIX } from "./metric_table.ts";

/**
 * A number, nothing where there is none now, or one for each value of the metric's label; of a
 * counter's labels the values stand with a space between.
 */
export type Reading = number | undefined | ReadonlyMap<string, number>;

/** Values of one label that a reading may have; more are left out. */
const MAX_VALUES = 256;

/** See the module comment. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #counters = new Map<MetricName, Counter>();
  /** What counters are that others keep. */
  readonly #kept = new Map<MetricName, () => Reading>();
  readonly #phases: Histogram | undefined;
  /** Of the last round that was finalized here. */
  participants: number | undefined;

  /** The metrics of a role of an instance. */
  constructor(readonly role: Role, instance: string) {
    this.#registry.setDefaultLabels({ instance });
    for (const name of Object.keys(METRICS) as MetricName[]) {
      const { kind, roles, labels = [], values = [], help } = METRICS[name];
      if (!roles.includes(role) || kind === "gauge") continue;
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
      } else this.#phases = new Histogram({ ...options, buckets: [...PHASE_BUCKETS] });
    }
    this.read("last_participants", () => this.participants);
  }

  /** Says how a gauge is read; of another role's, nothing happens. */
  read(name: MetricName, reading: () => Reading): void {
    const { roles, labels = [], help } = METRICS[name], [label] = labels;
    if (!roles.includes(this.role)) return;
    this.#registry.registerMetric(
      new Gauge({
        name: PREFIX + name,
        help,
        labelNames: [...labels],
        registers: [],
        collect() {
          this.reset();
          if (label === undefined) this.remove();
          const value = reading();
          if (typeof value === "number") this.set(value);
          else {for (const [at, one] of [...value ?? []].slice(0, MAX_VALUES)) {
              this.set({ [label]: at }, one);
            }}
        },
      }),
    );
  }

  /** Says how a counter is read that something else keeps. */
  kept(name: MetricName, value: () => Reading): void {
    this.#kept.set(name, value);
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
    if (typeof ms === "number") this.#phases?.observe({ phase }, ms / 1_000);
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
    if (typeof value === "number") return counter.inc(value);
    const { labels = [] } = METRICS[name];
    for (const [at, one] of [...value].slice(0, MAX_VALUES)) {
      const values = at.split(" ");
      counter.inc(Object.fromEntries(labels.map((label, i) => [label, values[i]])), one);
    }
  }
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
