/** Flags of a bench that is a task: whole numbers and switches. What is no such flag is refused. */
import { parseArgs } from "@std/cli/parse-args";
import { nearest } from "../../src/ops/nearest.ts";

/** What a number is where nobody names it, and its bounds. */
export interface Bounds {
  readonly value: number;
  readonly least: number;
  readonly most: number;
}

/** Reads the flags of `deno task NAME`; with `--help` or what is no flag of it the process ends. */
export function flags<Name extends string, Switch extends string = never>(
  name: string,
  what: string,
  numbers: Readonly<Record<Name, Bounds>>,
  switches: readonly Switch[] = [],
): Record<Name, number> & Record<Switch, boolean> {
  const refuse = (message: string): never => {
    console.error(`${name}: ${message}`);
    Deno.exit(2);
  };
  const names = Object.keys(numbers) as Name[], all = [...names, ...switches];
  const args = parseArgs(Deno.args, {
    string: names,
    boolean: [...switches, "help"],
    unknown: (flag: string) => {
      const near = nearest(flag.replace(/^-+/, "").replace(/=.*/, ""), all) ?? "help";
      return refuse(`unknown option ${flag}; did you mean --${near}?`);
    },
  }) as Record<string, unknown>;
  if (args.help) {
    console.log(`deno task ${name}: ${what}\n`);
    for (const it of names) {
      const { value, least, most } = numbers[it];
      console.log(`  --${it} N  ${least} to ${most}  [${value}]`);
    }
    for (const it of switches) console.log(`  --${it}`);
    Deno.exit(0);
  }
  const values = names.map((it) => {
    const { value, least, most } = numbers[it], given = args[it] ?? `${value}`;
    const number = Number(given);
    if (/^\d+$/.test(String(given)) && number >= least && number <= most) return [it, number];
    return refuse(`--${it}: expected ${least} to ${most}, got ${given}`);
  });
  return Object.fromEntries([...values, ...switches.map((it) => [it, args[it]])]);
}
