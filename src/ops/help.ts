/** The text of `--help`: a role's own rows of the table, and how they are written. */
import type { Role } from "../universe/network.ts";
import {
  defaultOf,
  flagOf,
  OPTION_NAMES,
  type OptionName,
  OPTIONS,
  type Row,
  textFor,
  variableOf,
} from "./table.ts";

const WHAT: Record<Role, string> = {
  server: "a member of the committee: holds one share of the anonymity of an instance",
  aggregator: "gathers the clients' envelopes for the committee; it learns nothing",
  client: "talks, or covers those who talk, in every round",
  reader: "follows the log of an instance and verifies it",
};

/** Characters of a line. */
const WIDTH = 100;
const INDENT = 6;

/** What `--help` prints for the role; ends with a newline. */
export function helpText(role: Role): string {
  const own = OPTION_NAMES.filter((name) => OPTIONS[name].roles.includes(role));
  return [
    `zipnet ${role}: ${WHAT[role]}`,
    "",
    ...own.flatMap((name) => entry(name, role)),
    "  --check  [false]",
    ...wrap("validates everything, prints what would run, and exits; a flag only"),
    "  --help, -h  [false]",
    ...wrap("prints this"),
    "",
    "Each option is a variable too: --connect-timeout is ZIPNET_CONNECT_TIMEOUT; the flag wins.",
    "Durations are written 500ms, 3s, 1m. A value that starts with a dash needs --flag=value.",
    "Exit codes: 0 clean stop, 2 bad options, 3 cannot reach the instance, 4 refused, 5 local state",
    "damaged or held by another process, 1 anything else.",
    "",
  ].join("\n");
}

function entry(name: OptionName, role: Role): string[] {
  const row: Row<unknown> = OPTIONS[name];
  const { secret, placeholder } = row.kind;
  const written = secret
    ? `${variableOf(name)}[_FILE] or --${flagOf(name)}-file FILE`
    : `--${flagOf(name)} ${placeholder}`.trimEnd();
  const absent = row.required ? "required" : defaultOf(name, role) ?? textFor(row.absent, role);
  return [`  ${written}  [${absent}]`, ...wrap(textFor(row.meaning, role) ?? "")];
}

function wrap(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const longer = lines.length ? `${lines.at(-1)} ${word}` : " ".repeat(INDENT) + word;
    if (!lines.length || longer.length <= WIDTH) lines.splice(-1, 1, longer);
    else lines.push(" ".repeat(INDENT) + word);
  }
  return lines;
}
