/**
 * From arguments and `ZIPNET_*` variables to the typed options of a role. Pure: the environment and
 * the reading of files are arguments. Everything is refused that is not fully understood, in one
 * line that says what was expected, what came and what to do; the value of a secret is in none.
 */
import { parseArgs } from "@std/cli/parse-args";
import type { Role } from "../universe/network.ts";
import { EXIT } from "./exit.ts";
import { helpText } from "./help.ts";
import { Malformed } from "./kinds.ts";
import { nearest } from "./nearest.ts";
import { printableText } from "./printable.ts";
import { assemble, type RoleOptions } from "./role_options.ts";
import {
  defaultOf,
  flagOf,
  OPTION_NAMES,
  type OptionName,
  OPTIONS,
  type Row,
  textFor,
  type Values,
  variableOf,
} from "./table.ts";

/** Options that cannot be used; its message is one line for the operator. */
export class OptionError extends Error {
  override readonly name = "OptionError";
  readonly exitCode = EXIT.options;
}

/** What `--help` asks to print. */
export interface Help {
  readonly help: string;
}

/** A value as it was written, and under which name. */
interface Given {
  readonly where: string;
  readonly text: string;
  /** True if `text` is the path of a file that holds the value. */
  readonly file: boolean;
}

/** One spelling of an option, as a flag or a variable. */
interface Spelling {
  readonly name: OptionName;
  readonly file: boolean;
}

const isSwitch = (name: OptionName) => OPTIONS[name].kind.placeholder === "";
const SECRETS = OPTION_NAMES.filter((name) => OPTIONS[name].kind.secret);
const FLAGS = new Map<string, Spelling>([
  ...OPTION_NAMES.filter((name) => !SECRETS.includes(name)).map((name) =>
    [`--${flagOf(name)}`, { name, file: false }] as const
  ),
  ...SECRETS.map((name) => [`--${flagOf(name)}-file`, { name, file: true }] as const),
]);
const VARIABLES = new Map<string, Spelling>([
  ...OPTION_NAMES.map((name) => [variableOf(name), { name, file: false }] as const),
  ...SECRETS.map((name) => [`${variableOf(name)}_FILE`, { name, file: true }] as const),
]);
const COMMANDS = ["--help", "--check"];

/**
 * The options of `role`, or its help. Flags win over variables; of `environment` only names that
 * start with `ZIPNET_` are looked at. `readTextFile` reads what a `_FILE` option or `--clients`
 * names. Throws an `OptionError`.
 *
 * @example
 * ```ts
 * import { parseOptions } from "./options.ts";
 * const options = parseOptions("client", ["--cadence=5"], { ZIPNET_INSTANCE: "acme" }, () => "");
 * if ("help" in options || options.cadence !== 5 || options.connectTimeout !== 30_000) throw 0;
 * ```
 */
export function parseOptions<R extends Role>(
  role: R,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  readTextFile: (path: string) => string,
): RoleOptions[R] | Help {
  const { given: flags, help, check } = readFlags(role, args);
  if (help) return { help: helpText(role) };
  const given = new Map([...readVariables(role, environment, flags), ...flags]);
  const read = (path: string, where: string) => readFile(path, where, readTextFile);

  const values: Record<string, unknown> = {};
  for (const name of OPTION_NAMES) {
    const row: Row<unknown> = OPTIONS[name];
    if (!row.roles.includes(role)) continue;
    const value = given.get(name);
    const fallback = defaultOf(name, role);
    if (value) values[name] = readValue(row, value, read);
    else if (fallback !== undefined) values[name] = row.kind.read(fallback);
    else if (row.required) refuse(`${both(name)} is required: ${textFor(row.meaning, role)}`);
  }
  return assemble(role, check, values as Values, new Set(given.keys()), { refuse, both, read });
}

function refuse(message: string): never {
  throw new OptionError(message);
}

/** An option under both of its names, as refusals write it. */
export function both(name: OptionName): string {
  const variable = variableOf(name);
  return SECRETS.includes(name)
    ? `${variable} (or ${variable}_FILE)`
    : `--${flagOf(name)} (${variable})`;
}

/** A stranger's text in an error: visible, on one line, not long. */
function quote(text: string): string {
  const shown = printableText(text.slice(0, 80)).replaceAll('"', '\\"');
  return `"${shown}${text.length > 80 ? "…" : ""}"`;
}

function readFlags(role: Role, args: readonly string[]) {
  const strings = [...FLAGS].filter(([, { name }]) => !isSwitch(name)).map(([flag]) =>
    flag.slice(2)
  );
  const switches = OPTION_NAMES.filter(isSwitch).map(flagOf);
  const unknown: string[] = [];
  const stray: string[] = [];
  const parsed: Record<string, unknown> = parseArgs([...args], {
    string: strings,
    collect: strings,
    boolean: [...switches, "help", "check"],
    alias: { help: "h" },
    unknown(arg, key) {
      if (key === undefined) stray.push(arg);
      // Only the flag's name: what stands behind it may be a secret.
      else unknown.push(arg.split("=")[0]);
      return false;
    },
  });
  if (parsed.help) return { given: new Map<OptionName, Given>(), help: true, check: false };
  refuseSecretFlags(unknown);
  if (unknown.length > 0) refuseUnknownFlag(unknown[0], role);
  stray.push(...(parsed._ as (string | number)[]).map(String));
  if (stray.length > 0) {
    refuse(`unexpected argument ${quote(stray[0])}: options are written --flag=value, see --help`);
  }

  const given = new Map<OptionName, Given>();
  for (const [flag, { name, file }] of FLAGS) {
    const texts = isSwitch(name) ? switchTexts(flag, args) : parsed[flag.slice(2)] as string[];
    if (texts.length === 0) continue;
    refuseOtherRole(name, flag, role);
    if (texts.length > 1) refuse(`${flag} was given ${texts.length} times: give it once`);
    if (texts[0] === "") {
      const expected = file ? "the path of a file" : OPTIONS[name].kind.expected;
      refuse(`${flag} has no value, expected ${expected}: write ${flag}=value`);
    }
    given.set(name, { where: flag, text: texts[0], file });
  }
  return { given, help: false, check: parsed.check === true };
}

/** What was written behind a switch, as it stands: `parseArgs` takes all but `false` for true. */
function switchTexts(flag: string, args: readonly string[]): string[] {
  const texts: string[] = [];
  for (const [i, arg] of args.entries()) {
    if (arg === "--") break;
    if (arg === flag) texts.push(args[i + 1] === "false" ? "false" : "true");
    else if (arg.startsWith(`${flag}=`)) texts.push(arg.slice(flag.length + 1));
  }
  return texts;
}

function refuseSecretFlags(unknown: string[]): void {
  for (const name of SECRETS) {
    if (!unknown.includes(`--${flagOf(name)}`)) continue;
    const variable = variableOf(name);
    refuse(
      `--${flagOf(name)} is not a flag, since other users of the machine can see flags: ` +
        `use ${variable} or ${variable}_FILE`,
    );
  }
}

function refuseUnknownFlag(flag: string, role: Role): never {
  if (FLAGS.has(flag)) refuse(`${flag} has no value: write ${flag}=value`);
  const own = [...FLAGS].filter(([, { name }]) => OPTIONS[name].roles.includes(role));
  const spelled = `--${flag.replace(/^-+/, "").replaceAll("_", "-")}`;
  const near = nearest(spelled, [...own.map(([flag]) => flag), ...COMMANDS]);
  refuse(`unknown flag ${quote(flag)}: ${near ? `did you mean ${near}?` : `see --help`}`);
}

function refuseOtherRole(name: OptionName, where: string, role: Role): void {
  const roles = OPTIONS[name].roles;
  if (roles.includes(role)) return;
  refuse(`${where} is an option of ${roles.join(" and ")}, not of ${role}: leave it out here`);
}

function readVariables(
  role: Role,
  environment: Readonly<Record<string, string>>,
  flags: ReadonlyMap<OptionName, Given>,
): Map<OptionName, Given> {
  const own = [...VARIABLES].filter(([, { name }]) => OPTIONS[name].roles.includes(role));
  const given = new Map<OptionName, Given>();
  for (const [where, text] of Object.entries(environment)) {
    if (!where.startsWith("ZIPNET_")) continue;
    const spelling = VARIABLES.get(where);
    if (!spelling) {
      const near = nearest(where, own.map(([variable]) => variable));
      refuse(`unknown variable ${quote(where)}: ${near ? `did you mean ${near}?` : "see --help"}`);
    }
    const { name, file } = spelling;
    refuseOtherRole(name, where, role);
    if (flags.has(name)) continue;
    const other = given.get(name);
    if (other) refuse(`${other.where} and ${where} are both set: leave one of them out`);
    if (text === "") refuse(`${where} is set but empty: give it a value, or unset it`);
    given.set(name, { where, text, file });
  }
  return given;
}

function readValue(
  row: Row<unknown>,
  { where, text, file }: Given,
  read: (path: string, where: string) => string,
): unknown {
  const written = file ? read(text, where).replace(/\r?\n$/, "") : text;
  try {
    return row.kind.read(written);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    const came = row.kind.secret || error.hidden
      ? (written === "" ? "nothing" : "another")
      : quote(written);
    const advice = error.suggestion === undefined
      ? "correct it, or leave it out"
      : `did you mean ${quote(error.suggestion)}?`;
    return refuse(`${where}: expected ${row.kind.expected}, got ${came}; ${advice}`);
  }
}

/** The text of a file. The path is not in the error: somebody may have put the secret there. */
function readFile(
  path: string,
  where: string,
  readTextFile: (path: string) => string,
): string {
  try {
    return readTextFile(path);
  } catch (error) {
    const reason = error instanceof Error ? error.name : "unknown error";
    const advice = reason === "NotCapable"
      ? "add --allow-read with that path"
      : "expected the path of a text file that this process can read";
    return refuse(`the file named by ${where} cannot be read (${reason}): ${advice}`);
  }
}
