/** What a run came to, as lines. MB are 10^6 bytes, KB 10^3. */
import { summaryLine } from "../ledger.ts";
import type { Book, Sample, Watched } from "./book.ts";
import { lateSlope, percentile } from "./figures.ts";

/** What a role came to; of several processes CPU and bytes are means, memory that of the largest. */
export interface RoleFigures {
  readonly role: string;
  readonly processes: number;
  readonly clients: number;
  readonly firstMB: number;
  readonly lastMB: number;
  /** By least squares over the second half of the samples; undefined of too few. */
  readonly slopeMB?: number;
  readonly cpuMsPerRound: number;
  readonly sentKBPerRound?: number;
  readonly receivedKBPerRound?: number;
}

/** The figures of each role, in the order in which roles were started. */
export function figures(nodes: readonly Watched[]): RoleFigures[] {
  const roles = Map.groupBy(nodes.filter(({ samples }) => samples.length > 0), ({ role }) => role);
  return [...roles].map(([role, all]) => {
    const last = (node: Watched) => node.samples.at(-1)!.resident;
    const largest = all.reduce((most, it) => last(it) > last(most) ? it : most);
    const perRound = (of: (sample: Sample) => number | undefined) => {
      const each = all.map(({ samples }) => {
        const [from, to] = [samples[0], samples.at(-1)!];
        const [before, after] = [of(from), of(to)];
        if (before === undefined || after === undefined) return undefined;
        return to.rounds > from.rounds ? (after - before) / (to.rounds - from.rounds) : 0;
      }).filter((it) => it !== undefined);
      return each.length > 0 ? each.reduce((sum, it) => sum + it) / each.length : undefined;
    };
    const points = largest.samples.map(({ rounds, resident }) => ({ x: rounds, y: resident }));
    const slope = lateSlope(points), kilobytes = (n?: number) => n && n / 1e3;
    return {
      role,
      processes: all.length,
      clients: Math.max(...all.map(({ clients }) => clients)),
      firstMB: largest.samples[0].resident / 1e6,
      lastMB: last(largest) / 1e6,
      slopeMB: slope === undefined ? undefined : slope * 1_000 / 1e6,
      cpuMsPerRound: 1_000 * perRound(({ cpu }) => cpu)!,
      sentKBPerRound: kilobytes(perRound(({ sent }) => sent)),
      receivedKBPerRound: kilobytes(perRound(({ received }) => received)),
    };
  });
}

/** All that is printed at the end; the last line is the summary. */
export function report(book: Book, plot?: string): string[] {
  const { summary, landings, rounds, sent, expired } = book;
  const spread = (values: readonly number[]) =>
    values.length === 0 ? "none" : [["p50", 0.5], ["p90", 0.9], ["p99", 0.99], ["max", 1]].map(
      ([name, part]) => `${name} ${Math.round(percentile(values, part as number)!)}`,
    ).join("  ") + " ms";
  return [
    `latency   ${spread(landings.map(({ ms }) => ms))}, from send to landed`,
    `rounds    ${spread(rounds.map(({ ms }) => ms))}, from record to record`,
    `messages  ${sent} sent, ${summary.landed} landed, ${summary.lost} lost, ${expired} expired`,
    ...figures(book.nodes).map(roleLine),
    ...(plot === undefined ? [] : [`plot      ${plot}`]),
    summaryLine(summary),
  ];
}

function roleLine(it: RoleFigures): string {
  const many = it.clients > 1 ? ` of up to ${it.clients} clients` : "";
  const slope = it.slopeMB === undefined ? "too short for a slope" : `${signed(it.slopeMB)} MB`;
  const bytes = it.sentKBPerRound === undefined ? [] : [
    `${it.receivedKBPerRound!.toFixed(1)} KB in and ${it.sentKBPerRound.toFixed(1)} KB out a round`,
  ];
  return [
    `${it.role.padEnd(9)} ${it.processes}${many}: ${Math.round(it.firstMB)} to ` +
    `${Math.round(it.lastMB)} MB, ${slope} per 1,000 rounds`,
    `${it.cpuMsPerRound.toFixed(1)} ms of CPU a round`,
    ...bytes,
  ].join("; ");
}

function signed(value: number): string {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(1)}`;
}
