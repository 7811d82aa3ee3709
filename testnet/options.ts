/** What the testnet is asked to do. Everything not fully understood is refused in one line. */
import { parseArgs } from "@std/cli/parse-args";
import { EXIT } from "../src/ops/exit.ts";
import { nearest } from "../src/ops/nearest.ts";
import { printableText } from "../src/ops/printable.ts";
import { MAX_SERVERS } from "../src/protocol/parameters.ts";

/** The checked options. */
export interface Options {
  readonly servers: number;
  readonly aggregators: number;
  readonly clients: number;
  /** Finalized rounds to talk for; undefined: until it is stopped. */
  readonly rounds?: number;
  /** What the clients say; empty: short lines of their own. */
  readonly messages: readonly string[];
  readonly json: boolean;
  readonly keep: boolean;
  /** Servers and clients show no quotes. */
  readonly unattested: boolean;
  /** Port on 127.0.0.1 of the live page; undefined: none. */
  readonly page?: number;
}

/** Options that cannot be used; its message is one line. */
export class OptionError extends Error {
  override readonly name = "OptionError";
  readonly exitCode = EXIT.options;
}

/** `minParticipants` of the `dev` preset: with fewer clients no round opens. */
export const MIN_CLIENTS = 3;
/** One process each; far above what one machine carries. */
export const MAX_CLIENTS = 200;
/** Most aggregators, one process each. */
export const MAX_AGGREGATORS = 16;
/** Longest `--message`, bytes of UTF-8. */
export const MAX_MESSAGE_BYTES = 4_096;
/** Most rounds of a run. */
export const MAX_ROUNDS = 1_000_000;
const PAGE_PORT = 8_080;

/** What `--help` prints. */
export const HELP = `zipnet testnet: a whole instance on this machine, one process for every node

  --servers N     members of the committee, odd  [3]
  --aggregators N aggregators, among which clients choose  [1]
  --clients N     clients, ${MIN_CLIENTS} at least  [5]
  --rounds N      talk for N finalized rounds, wait for the fate of every message, end  [until Ctrl-C]
  --message TEXT  what a client says; may be given again, each goes out through the next client
                  [short lines now and then]
  --page          the live page at http://127.0.0.1:${PAGE_PORT}/
  --page-port N   the live page at another port; 0 for any free one
  --json          JSON lines
  --keep          keep the state and the logs in .testnet/
  --unattested    servers and clients show no quotes  [simulated ones, under a root of this run]
  --allow-two     allow a committee of 2
  --help, -h      print this

With --rounds the last line is "N rounds, P participants, M messages landed, L lost, V void": all
rounds, the fewest participants of any, and the messages found in what two readers verified. A
text that starts with a dash is written --message=-TEXT.
Exit codes: 0 something landed, nothing was lost and both readers agree (without --rounds: a clean
stop), 2 bad options, 1 anything else.
`;

const VALUES = ["servers", "aggregators", "clients", "rounds", "message", "page-port"] as const;
const SWITCHES = ["page", "json", "keep", "unattested", "allow-two", "help"] as const;

/** The options of `args`, or the word `help`. Throws an `OptionError`. */
export function parseOptions(args: string[]): Options | "help" {
  const flags = parseArgs(args, {
    string: VALUES,
    boolean: SWITCHES,
    collect: VALUES,
    alias: { help: "h" },
    unknown: (argument) =>
      argument.startsWith("-") ? refuse(argument, [...VALUES, ...SWITCHES]) : true,
  });
  if (flags.help) return "help";
  const { message: messages } = flags;
  messages.forEach(checkMessage);
  if (flags._.length) throw new OptionError(`unexpected argument: ${got(String(flags._[0]))}`);
  const number = (name: (typeof VALUES)[number], low: number, high: number, from = low) => {
    const given = flags[name];
    if (given.length > 1) throw new OptionError(`--${name} is given ${given.length} times`);
    return wholeNumber(name, given.at(0), low, high, from);
  };
  const servers = number("servers", 3, MAX_SERVERS - 1, 0) ?? 3;
  checkCommittee(servers, flags["allow-two"]);
  const aggregators = number("aggregators", 1, MAX_AGGREGATORS) ?? 1;
  const clients = number("clients", MIN_CLIENTS, MAX_CLIENTS) ?? 5;
  const rounds = number("rounds", 1, MAX_ROUNDS);
  if (rounds !== undefined && messages.length > clients * rounds) {
    throw new OptionError(
      `--message is given ${messages.length} times: ${clients} clients carry at most ` +
        `${clients * rounds} in ${rounds} rounds`,
    );
  }
  const page = number("page-port", 0, 65_535) ?? (flags.page ? PAGE_PORT : undefined);
  const { json, keep, unattested } = flags;
  return { servers, aggregators, clients, rounds, messages, json, keep, unattested, page };
}

/**
 * The number that an option was given, if any: from `low` to `high`, or from `from` where what is
 * wrong with smaller ones is said elsewhere. Throws an `OptionError`.
 */
export function wholeNumber(
  name: string,
  given: string | undefined,
  low: number,
  high: number,
  from = low,
): number | undefined {
  if (given === undefined) return undefined;
  if (/^\d{1,9}$/.test(given) && +given >= from && +given <= high) return +given;
  throw new OptionError(`--${name}: expected a number from ${low} to ${high}, ${got(given)}`);
}

/** Refuses an argument that is no option, or that lacks its value; names the nearest of `options`. */
export function refuse(argument: string, options: readonly string[]): never {
  const name = argument.split("=", 1)[0];
  const known = options.map((it) => `--${it}`);
  if (known.includes(name)) throw new OptionError(`${name}: expected a value, got none`);
  const meant = nearest(name, known);
  throw new OptionError(
    `unknown option ${printableText(name.slice(0, 40))}` +
      (meant ? `, did you mean ${meant}?` : "; --help lists them"),
  );
}

/** Throws an `OptionError` for a committee that protects nobody, or less than it could. */
export function checkCommittee(servers: number, allowTwo: boolean): void {
  if (servers < 2) {
    throw new OptionError(
      `--servers: a committee of ${servers} hides nobody from its operator, expected 3 or more`,
    );
  }
  if (servers === 2 && !allowTwo) {
    throw new OptionError("--servers: a committee of 2 needs --allow-two; expected 3 or more");
  }
  if (servers > 2 && servers % 2 === 0) {
    throw new OptionError(
      `--servers: expected an odd number, got ${servers} (${servers - 1} tolerates as many faults)`,
    );
  }
}

function checkMessage(message: string): void {
  const bytes = new TextEncoder().encode(message).length;
  if (bytes === 0) {
    throw new OptionError("--message: expected a text, got none (write --message=-x for a dash)");
  }
  if (bytes > MAX_MESSAGE_BYTES) {
    throw new OptionError(`--message: expected at most ${MAX_MESSAGE_BYTES} bytes, got ${bytes}`);
  }
}

/** What was given, as an error says it. */
export function got(value: string): string {
  return value === "" ? "got none" : `got ${printableText(JSON.stringify(value.slice(0, 40)))}`;
}
