/** What the load tool is asked to do. Everything not fully understood is refused in one line. */
import { parseArgs } from "@std/cli/parse-args";
import { duration, Malformed } from "../../src/ops/kinds.ts";
import {
  checkCommittee,
  got,
  MAX_AGGREGATORS,
  MAX_ROUNDS,
  MIN_CLIENTS,
  OptionError,
  refuse,
  wholeNumber,
} from "../options.ts";
import { MAX_SERVERS } from "../../src/protocol/parameters.ts";
import { parseSizes, SIZES, type Sizes } from "./sizes.ts";

/** The checked options. */
export interface LoadOptions {
  readonly servers: number;
  readonly aggregators: number;
  readonly clients: number;
  /** Finalized rounds in which clients talk. */
  readonly rounds: number;
  /** From round to round, ms. */
  readonly period: number;
  /** Messages a second, of all clients together. */
  readonly rate: number;
  readonly sizes: Sizes;
  /** Of the talk: who says how much when. */
  readonly seed: number;
  /** Where the plot goes; undefined: a file of the run's own in `.testnet/`. */
  readonly plot?: string;
}

/** As many as the `dev` preset admits. */
const MAX_CLIENTS = 1_000;
const MAX_SEED = 999_999_999;
/** Messages a second; far above what rounds carry. */
const MAX_RATE = 1_000;
/** Shortest and longest period, ms. */
const PERIODS = [100, 60_000] as const;

/** What `--help` prints. */
export const HELP =
  `zipnet load: many talking clients on an instance of their own, and what it costs

  --clients N     clients, ${MIN_CLIENTS} at least  [100]
  --rate N        messages a second of all clients together, such as 10 or 0.5  [5]
  --sizes DIST    fixed:N, uniform:A-B or exponential:MEAN, in bytes  [fixed:200]
  --rounds N      talk for N finalized rounds, wait for the fate of every message, end  [100]
  --period TIME   from round to round, such as 500ms or 3s  [1s]
  --servers N     members of the committee, odd  [3]
  --aggregators N aggregators, among which clients choose  [1]
  --seed N        who says how much when: the same seed, the same talk  [1]
  --plot FILE     the plot, SVG; only .testnet/ may be written  [.testnet/load-TIME.svg]
  --help, -h      print this

The last line is "N rounds, P participants, M messages landed, L lost, V void". A message is lost if
its client was told that it landed and the reader's verified record does not have it, or if its
client was told nothing. One that its client was told has expired is not: it is counted apart.

Exit codes: 0 nothing was lost and messages landed, 1 not so, or a process ended, 2 bad options.
`;

const VALUES = [
  ...["clients", "rate", "sizes", "rounds", "period", "servers", "aggregators", "seed", "plot"],
];

/** The options of `args`, or the word `help`. Throws an `OptionError`. */
export function parseLoadOptions(args: string[]): LoadOptions | "help" {
  const flags = parseArgs(args, {
    string: VALUES,
    boolean: ["help"],
    collect: VALUES,
    alias: { help: "h" },
    unknown: (argument) => argument.startsWith("-") ? refuse(argument, [...VALUES, "help"]) : true,
  }) as Record<string, unknown> & { readonly _: readonly unknown[] };
  if (flags.help) return "help";
  if (flags._.length) throw new OptionError(`unexpected argument: ${got(String(flags._[0]))}`);
  const given = (name: string) => {
    const values = flags[name] as string[];
    if (values.length > 1) throw new OptionError(`--${name} is given ${values.length} times`);
    return values.at(0);
  };
  const number = (name: string, low: number, high: number, from = low) =>
    wholeNumber(name, given(name), low, high, from);
  const servers = number("servers", 3, MAX_SERVERS - 1, 0) ?? 3;
  checkCommittee(servers, false);
  const plot = given("plot");
  if (plot === "") throw new OptionError("--plot: expected a file, got none");
  return {
    servers,
    aggregators: number("aggregators", 1, MAX_AGGREGATORS) ?? 1,
    clients: number("clients", MIN_CLIENTS, MAX_CLIENTS) ?? 100,
    rounds: number("rounds", 1, MAX_ROUNDS) ?? 100,
    period: period(given("period") ?? "1s"),
    rate: rate(given("rate") ?? "5"),
    sizes: sizes(given("sizes") ?? "fixed:200"),
    seed: number("seed", 0, MAX_SEED) ?? 1,
    plot,
  };
}

function period(text: string): number {
  const [least, most] = PERIODS;
  try {
    const ms = duration.read(text);
    if (ms >= least && ms <= most) return ms;
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
  }
  throw new OptionError(`--period: expected a time from ${least}ms to ${most}ms, ${got(text)}`);
}

function rate(text: string): number {
  const value = Number(text);
  if (/^\d{1,4}(\.\d{1,3})?$/.test(text) && value > 0 && value <= MAX_RATE) return value;
  throw new OptionError(
    `--rate: expected messages a second, above 0 and at most ${MAX_RATE}, ${got(text)}`,
  );
}

function sizes(text: string): Sizes {
  const parsed = parseSizes(text);
  if (parsed) return parsed;
  throw new OptionError(`--sizes: expected ${SIZES}, ${got(text)}`);
}
