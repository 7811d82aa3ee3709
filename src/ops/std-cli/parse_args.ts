/**
 * `parseArgs` with the signature and the results of `@std/cli/parse-args`, whose rules are
 * minimist's: a flag takes the next argument as its value unless that starts with a dash, numbers
 * are recognized, names with dots make objects. `node:util`'s parser cannot stand below it: it
 * reads `-f-` as a terminator, and takes an argument with a dash for a value.
 *
 * @module
 */

/** What `parseArgs` is told about the flags; every field is optional. */
export interface ParseOptions<
  Booleans extends string = string,
  Strings extends string = string,
  Collected extends string = string,
  Negatable extends string = string,
  Defaults extends Record<string, unknown> = Record<string, unknown>,
  DoubleDash extends boolean = boolean,
> {
  /** With true, what follows `--` goes to the result's `"--"`, else to `_`. */
  "--"?: DoubleDash;
  /** Other names of a flag; the result has all of them, typed `unknown`. */
  alias?: Record<string, string | readonly string[] | undefined>;
  /** Flags without a value; they default to false. `true`: every `--flag` without `=`. */
  boolean?: boolean | Booleans | readonly Booleans[];
  /** Values of flags that were not given. */
  default?: Defaults;
  /** With true, everything after the first positional is positional. */
  stopEarly?: boolean;
  /** Flags whose value stays a string. */
  string?: Strings | readonly Strings[];
  /** Flags whose values are gathered in an array. */
  collect?: Collected | readonly Collected[];
  /** Flags that `--no-flag` sets to false. */
  negatable?: Negatable | readonly Negatable[];
  /** Told of what is not declared; what it answers false to is left out. */
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

/** A result: the flags, the positionals in `_`, and if asked for what followed `--`. */
export type Args<
  // deno-lint-ignore no-explicit-any
  Flags extends Record<string, unknown> = Record<string, any>,
  DoubleDash extends boolean | undefined = undefined,
> =
  & Flags
  & { _: Array<string | number> }
  & (true extends DoubleDash ? { "--": string[] } : Record<never, never>);

/** Types of the flags that were declared; the others are `unknown`, or `any` if none was. */
type Flags<
  Booleans extends string,
  Strings extends string,
  Collected extends string,
  Negatable extends string,
  Defaults,
> = [Booleans | Strings | Collected] extends [never]
  // deno-lint-ignore no-explicit-any
  ? Record<string, any>
  :
    & Record<string, unknown>
    & { [Name in Booleans]: Name extends Collected ? boolean[] : boolean }
    & { [Name in Extract<Strings, Collected>]: string[] | Negation<Name, Negatable> }
    & {
      [Name in Exclude<Strings, Collected>]:
        | string
        | Negation<Name, Negatable>
        | (Name extends keyof Defaults ? Defaults[Name] : undefined);
    }
    & {
      [Name in Exclude<Collected, Strings | Booleans>]: unknown[] | Negation<Name, Negatable>;
    };

type Negation<Name, Negatable> = Name extends Negatable ? false : never;

type Tree = { [key: string]: unknown };

/**
 * Flags and positionals of `args`, by the rules of `@std/cli`.
 *
 * @example
 * ```ts
 * import { deepEqual } from "node:assert/strict";
 * import { parseArgs } from "@std/cli/parse-args";
 * const args = ["--name=a", "--name", "b", "--json", "x"];
 * const parsed = parseArgs(args, { string: ["name"], collect: ["name"], boolean: ["json"] });
 * deepEqual(parsed, { name: ["a", "b"], json: true, _: ["x"] });
 * ```
 */
export function parseArgs<
  Booleans extends string = never,
  Strings extends string = never,
  Collected extends string = never,
  Negatable extends string = never,
  Defaults extends Record<string, unknown> = Record<never, never>,
  DoubleDash extends boolean = false,
>(
  args: string[],
  options?: ParseOptions<Booleans, Strings, Collected, Negatable, Defaults, DoubleDash>,
): Args<Flags<Booleans, Strings, Collected, Negatable, Defaults>, DoubleDash> {
  return parse(args, options ?? {}) as ReturnType<
    typeof parseArgs<Booleans, Strings, Collected, Negatable, Defaults, DoubleDash>
  >;
}

function parse(args: string[], options: ParseOptions): Tree {
  const { unknown = () => true, stopEarly = false } = options;
  const allBooleans = options.boolean === true;
  const aliases = aliasesOf(options);
  const set = (names: unknown) => withAliases(names, aliases);
  const booleans = set(options.boolean), strings = set(options.string);
  const collected = set(options.collect), negatable = set(options.negatable);
  const positionals: (string | number)[] = [];
  const out: Tree = { _: positionals };
  const isBoolean = (key: string) =>
    booleans.has(key) || (aliases.get(key) ?? []).some((other) => booleans.has(other));

  function put(key: string, value: string | boolean, arg: string, collect = true): void {
    const declared = booleans.has(key) || strings.has(key) || aliases.has(key) ||
      (allBooleans && /^--[^=]+$/.test(arg));
    if (!declared && unknown(arg, key, value) === false) return;
    const typed = typeof value === "string" && !strings.has(key) ? numberOr(value) : value;
    const gather = collect && collected.has(key);
    for (const name of [key, ...aliases.get(key) ?? []]) assign(out, name, typed, gather);
  }

  /** Sets a flag that has no `=`; true if the next argument was its value. */
  function putWithNext(key: string, next: string | undefined, arg: string, plain: boolean) {
    if (next && plain && !isBoolean(key)) put(key, next, arg);
    else if (next === "true" || next === "false") put(key, next === "true", arg);
    else {
      put(key, strings.has(key) ? "" : true, arg);
      return false;
    }
    return true;
  }

  const end = args.includes("--") ? args.indexOf("--") : args.length;
  for (let i = 0; i < end; i++) {
    const arg = args[i];
    const next = i + 1 < end ? args[i + 1] : undefined;
    if (!/^-./s.test(arg)) {
      if (unknown(arg) !== false) positionals.push(strings.has("_") ? arg : numberOr(arg));
      if (!stopEarly) continue;
      positionals.push(...args.slice(i + 1, end));
      break;
    }
    if (arg.startsWith("--")) {
      const { negated, key, value } = splitLong(arg);
      if (value !== undefined) {
        put(key, booleans.has(key) ? value !== "false" : value, arg);
      } else if (negated && negatable.has(key)) {
        put(key, false, arg, false);
      } else {
        const plain = !allBooleans && !next?.startsWith("-");
        if (putWithNext(negated ? `no-${key}` : key, next, arg, plain)) i++;
      }
      continue;
    }
    const last = putLetters(
      arg,
      (key, value) => put(key, value ?? (strings.has(key) ? "" : true), arg),
    );
    if (last !== undefined && putWithNext(last, next, arg, !/^--?[^-]/.test(next ?? ""))) i++;
  }

  for (const [key, value] of Object.entries(options.default ?? {})) {
    if (has(out, key)) continue;
    for (const name of [key, ...aliases.get(key) ?? []]) assign(out, name, value, false);
  }
  for (const key of booleans) {
    if (!has(out, key)) assign(out, key, collected.has(key) ? [] : false, false);
  }
  for (const key of strings) {
    if (collected.has(key) && !has(out, key)) assign(out, key, [], false);
  }
  const rest = args.slice(end + 1);
  if (options["--"]) out["--"] = rest;
  else positionals.push(...rest);
  return out;
}

/** `--key`, `--no-key`, `--key=value`; an `=` with nothing behind it belongs to the key. */
function splitLong(arg: string): { negated: boolean; key: string; value?: string } {
  const negated = arg.startsWith("--no-") && arg.length > 5;
  const text = arg.slice(negated ? 5 : 2);
  const at = text.indexOf("=", 1);
  if (at === -1 || at === text.length - 1) return { negated, key: text };
  return { negated, key: text.slice(0, at), value: text.slice(at + 1) };
}

/** Sets all letters of `-abc` but the last, which is returned unless it was part of a value. */
function putLetters(
  arg: string,
  put: (key: string, value?: string) => void,
): string | undefined {
  const letters = arg.slice(1, -1).split("");
  for (const [j, letter] of letters.entries()) {
    const rest = arg.slice(j + 2);
    if (rest === "-") {
      put(letter, rest);
      continue;
    }
    const inline = /^[A-Za-z]$/.test(letter)
      ? /=(.+)/.exec(rest)?.[1] ?? (/-?\d+(\.\d*)?(e-?\d+)?$/.test(rest) ? rest : undefined)
      : undefined;
    const value = inline ?? (/^\W/.test(letters[j + 1] ?? "") ? rest : undefined);
    put(letter, value);
    if (value !== undefined) return undefined;
  }
  const last = arg.slice(-1);
  return last === "-" ? undefined : last;
}

function aliasesOf(options: ParseOptions): Map<string, string[]> {
  const aliases = new Map<string, string[]>();
  for (const [key, value] of Object.entries(options.alias ?? {})) {
    if (value === undefined) throw new TypeError("Alias value must be defined");
    const others = typeof value === "string" ? [value] : [...value];
    aliases.set(key, others);
    for (const other of others) aliases.set(other, [key, ...others.filter((it) => it !== other)]);
  }
  return aliases;
}

function withAliases(names: unknown, aliases: Map<string, string[]>): Set<string> {
  const list: string[] = typeof names === "string" ? [names] : Array.isArray(names) ? names : [];
  return new Set(list.filter(Boolean).flatMap((name) => [name, ...aliases.get(name) ?? []]));
}

function numberOr(text: string): string | number {
  return /\S/.test(text) && Number.isFinite(Number(text)) ? Number(text) : text;
}

/** Sets `a.b` as `{ a: { b } }`; what would reach a prototype is dropped (not so in the original). */
function assign(tree: Tree, name: string, value: unknown, gather: boolean): void {
  const keys = name.split(".");
  if (keys.includes("__proto__")) return;
  const last = keys.pop()!;
  for (const key of keys) tree = (tree[key] ??= {}) as Tree;
  const before = tree[last];
  if (gather && Array.isArray(before)) before.push(value);
  else if (gather) tree[last] = before ? [before, value] : [value];
  else tree[last] = value;
}

function has(tree: Tree, name: string): boolean {
  let at: unknown = tree;
  for (const key of name.split(".")) {
    if (!Object.hasOwn(Object(at), key)) return false;
    at = (at as Tree)[key];
  }
  return true;
}
