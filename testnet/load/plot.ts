/** The plot of a run: latency, rounds and who took part over rounds, memory over time. */
import { summaryLine } from "../ledger.ts";
import type { Book } from "./book.ts";
import { chart, type Series } from "./chart.ts";

/** An SVG; `title` says what was run. */
export function plot(book: Book, title: string): string {
  const { rounds, landings, nodes, summary } = book;
  const latency = landings.toSorted((a, b) => a.round - b.round)
    .map(({ round, ms }) => ({ x: round, y: ms }));
  const lines = rounds.map(({ round, ms }) => ({ x: round, y: ms }));
  const parts = rounds.map(({ round, participants }) => ({ x: round, y: participants }));
  const voids = rounds.filter((it) => it.void > 0).map(({ round }) => round);
  const roles = Map.groupBy(nodes, ({ role }) => role);
  const memory = [...roles].map(([role, all]): Series => {
    const last = (node: typeof all[number]) => node.samples.at(-1)?.resident ?? 0;
    const largest = all.reduce((most, it) => last(it) > last(most) ? it : most);
    const points = largest.samples.map(({ at, resident }) => ({
      x: at / 1_000,
      y: resident / 1e6,
    }));
    const { clients } = largest;
    return { name: clients > 1 ? `${role} of ${clients}` : role, kind: "line", points };
  });
  return chart([title, summaryLine(summary)], [
    {
      title: "From send to landed",
      x: "round in which it landed",
      y: "ms",
      series: [{ name: "message", kind: "dots", points: latency }],
    },
    {
      title: "From record to record",
      x: "round",
      y: "ms",
      series: [{ name: "round", kind: "line", points: lines }],
      marks: { name: "after a void round", at: voids },
    },
    {
      title: "Participants",
      x: "round",
      y: "clients",
      series: [{ name: "took part", kind: "line", points: parts }],
    },
    {
      title: "Resident memory, largest process of each role",
      x: "seconds",
      y: "MB",
      series: memory,
    },
  ]);
}
