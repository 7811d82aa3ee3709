/**
 * What the operators' tools share: options that do not fit, files that the operator names anywhere,
 * and how a tool ends.
 */
import { parseArgs } from "@std/cli/parse-args";
import { EXIT, exitCodeOf } from "../src/ops/exit.ts";
import { nearest } from "../src/ops/nearest.ts";
import { concat } from "../src/protocol/bytes.ts";

/** Options or files that do not fit; the line says what was expected. */
export class Misuse extends Error {
  readonly exitCode = EXIT.options;
}

/** Flags of a tool, without the dashes in front. */
export interface Flags<Text extends string, Switch extends string> {
  readonly text: readonly Text[];
  readonly switches: readonly Switch[];
}

/** What was given: flags by name, and the words between them. */
export type Given<Text extends string, Switch extends string> =
  & { readonly [Name in Text]?: string }
  & { readonly [Name in Switch]: boolean }
  & { readonly words: readonly string[] };

/** Reads arguments. Throws a `Misuse` for a flag that is unknown, given twice or without value. */
export function parseFlags<Text extends string, Switch extends string>(
  args: readonly string[],
  { text, switches }: Flags<Text, Switch>,
): Given<Text, Switch> {
  const names: readonly string[] = [...text, ...switches];
  const parsed = parseArgs(joined(args), {
    string: [...text, "_"],
    boolean: switches,
    collect: text,
    unknown: (arg: string) => {
      if (!/^-./.test(arg)) return true;
      const name = arg.replace(/^-+/, "").replace(/=.*/, "");
      throw new Misuse(`unknown option ${arg}; did you mean --${nearest(name, names) ?? "help"}?`);
    },
  }) as Record<string, unknown>;
  const given: Record<string, unknown> = { words: parsed._ };
  for (const name of switches) given[name] = parsed[name];
  for (const name of text) {
    const values = parsed[name] as readonly string[];
    if (values.length > 1) {
      throw new Misuse(`--${name} stands ${values.length} times: expected one`);
    }
    if (values[0] === "") throw new Misuse(`--${name}: expected a value behind it`);
    given[name] = values[0];
  }
  return given as Given<Text, Switch>;
}

/** `--flag -` as `--flag=-`, since a dash at its start would be taken for a flag. */
function joined(args: readonly string[]): string[] {
  return args.flatMap((arg, i) => {
    if (arg === "-" && /^--[a-z-]+$/.test(args[i - 1] ?? "")) return [];
    return args[i + 1] === "-" && /^--[a-z-]+$/.test(arg) ? [`${arg}=-`] : [arg];
  });
}

/** How a file is called in a line for the operator. */
export function called(file: string): string {
  return file === "-" ? "standard input" : file;
}

/** The bytes of a file that has them as they are or as hex digits, with spaces or lines between. */
export function bytesOrHex(file: Uint8Array): Uint8Array {
  const text = new TextDecoder("latin1").decode(file).replaceAll(/\s/g, "");
  const isHex = text.length > 0 && text.length % 2 === 0 && /^[0-9a-fA-F]+$/.test(text);
  return isHex ? Uint8Array.fromHex(text) : file;
}

/** The files that a tool was told to read; `-` is standard input. */
export class Inputs {
  /** `script` as in the command line, `files` all that were named. */
  constructor(readonly script: string, readonly files: readonly (string | undefined)[]) {
    if (files.filter((file) => file === "-").length > 1) {
      throw new Misuse("- stands twice: standard input can be read once");
    }
  }

  /** All bytes of one of them, `most` at most. Throws a `Misuse` that says what to do. */
  read(file: string, most: number): Uint8Array {
    const name = called(file);
    let bytes: Uint8Array;
    try {
      bytes = file === "-" ? upTo(Deno.stdin, most + 1) : upToOf(file, most + 1);
    } catch (error) {
      throw new Misuse(
        error instanceof Deno.errors.NotCapable
          ? `${file} may not be read: hand it over as standard input (- in its place), or run ` +
            this.#allowed()
          : `${name} cannot be read: ${(error as Error).message}`,
        { cause: error },
      );
    }
    if (bytes.length > most) throw new Misuse(`${name} has over ${most} bytes`);
    return bytes;
  }

  /** The same command with permission to read the files. */
  #allowed(): string {
    const paths = this.files.filter((file) => file !== undefined && file !== "-");
    const words = ["deno", "run", "-q", "--no-prompt", `--allow-read=${paths.join(",")}`];
    return [...words, `scripts/${this.script}.ts`, ...Deno.args].map(quoted).join(" ");
  }
}

/** A word as a shell takes it. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function upToOf(path: string, most: number): Uint8Array {
  using file = Deno.openSync(path);
  return upTo(file, most);
}

/** The first bytes of a stream, at most `most`. */
function upTo(stream: { readSync(to: Uint8Array): number | null }, most: number): Uint8Array {
  const chunks: Uint8Array[] = [];
  for (let length = 0; length < most;) {
    const chunk = new Uint8Array(Math.min(65_536, most - length));
    const count = stream.readSync(chunk);
    if (count === null) break;
    chunks.push(chunk.subarray(0, count));
    length += count;
  }
  return concat(...chunks);
}

/** Runs a tool, which answers its exit code: one line on standard error where it fails. */
export async function run(main: () => number | Promise<number>): Promise<never> {
  let code: number;
  try {
    code = await main();
  } catch (error) {
    console.error(`zipnet: ${(error as Error).message}`);
    code = exitCodeOf(error);
  }
  Deno.exit(code);
}
