/**
 * What a run shows, as lines. A message is a stranger's bytes: only its printable form is shown,
 * and even that is escaped once more should a reader have failed to.
 */
import { printableText } from "../src/ops/printable.ts";
import type { Ending } from "./child.ts";
import { type Summary, summaryLine } from "./ledger.ts";
import type { Message, RoundRecord } from "./record.ts";

/** How a run looks; every function answers whole lines. */
export interface View {
  /** All processes are up. */
  up(nodes: Readonly<Record<string, number>>, ms: number): string[];
  /** A round that came before all clients took part. */
  waiting(record: RoundRecord, clients: number): string[];
  round(record: RoundRecord): string[];
  summary(sum: Summary): string[];
}

/** JSON lines, for programs. */
export const jsonView: View = {
  up: (nodes, ms) => [JSON.stringify({ event: "up", ...nodes, ms })],
  waiting: (record) => [JSON.stringify({ event: "waiting", ...shape(record) })],
  round: (record) => [
    JSON.stringify({ event: "round", ...shape(record) }),
    ...record.messages.map(({ slot, payload, text }) =>
      JSON.stringify({ event: "message", round: record.round, slot, text: visible(text), payload })
    ),
  ],
  summary: (sum) => [JSON.stringify({ event: "summary", ...sum, line: summaryLine(sum) })],
};

/** Text lines; `colour` for a terminal. */
export function textView(colour: boolean): View {
  const dim = (text: string) => colour ? `\x1b[2m${text}\x1b[0m` : text;
  const strong = (text: string) => colour ? `\x1b[1m${text}\x1b[0m` : text;
  return {
    up: (nodes, ms) => {
      const parts = Object.entries(nodes).map(([role, n]) => `${n} ${role}${n === 1 ? "" : "s"}`);
      return [`${parts.join(", ")} up in ${ms} ms`];
    },
    waiting: ({ round, participants }, clients) => [
      dim(`round ${round}: ${participants} of ${clients} clients take part`),
    ],
    round: (record) => [
      dim(roundLine(record)),
      ...record.messages.map(({ text }) => `  ${strong(visible(text))}`),
    ],
    summary: (sum) => [summaryLine(sum)],
  };
}

/** What is told of a process that ended unasked, for standard error. */
export function endingLines(ending: Ending): string[] {
  const { name, wasUp, code, signal, fault, lastWords } = ending;
  const how = fault !== undefined
    ? `was ended for its output: ${printableText(fault)}`
    : `ended unexpectedly ${wasUp ? "" : "before its first line "}` +
      (signal ? `by ${signal}, exit code ${code}` : `with exit code ${code}`);
  return [
    `${name} ${how}`,
    ...(lastWords.length ? ["its last words:"] : ["it left no last words"]),
    ...lastWords.map((line) => `  ${visible(line)}`),
  ];
}

/** A text that is printable already stays what it is; whatever is not becomes visible. */
export function visible(text: string): string {
  return printableText(text).replaceAll("\\\\", "\\");
}

function roundLine({ round, participants, roster, messages, void: skipped, phases }: RoundRecord) {
  const count = messages.length;
  const times = Object.entries(phases).map(([name, ms]) => `${visible(name)} ${Math.round(ms)}`);
  return [
    `round ${String(round).padStart(4)}`,
    `${participants}/${roster} participants`,
    `${count} ${count === 1 ? "message " : "messages"}`,
    ...(times.length ? [`${times.join(" + ")} ms`] : []),
    ...(skipped ? [`${skipped} void before it`] : []),
  ].join("  ");
}

function shape(record: RoundRecord) {
  const { round, hash, participants, roster, void: skipped, phases } = record;
  const messages: readonly Message[] = record.messages;
  return { round, hash, participants, roster, messages: messages.length, void: skipped, phases };
}
