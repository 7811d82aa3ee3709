/**
 * `deno task bench-scale [--clients 1000] [--readers 0] [--rounds 100] [--aggregators 1] [--sweep]`:
 * many clients, and readers, on one instance. Ends with 1 where a round was void, a message was lost,
 * or a reader has not all records.
 */
import { parseArgs } from "@std/cli/parse-args";
import { scale, type ScaleOptions } from "./scale.ts";

const DEFAULTS = {
  clients: "1000",
  readers: "0",
  rounds: "100",
  period: "3000",
  talkers: "20",
  "per-process": "125",
  aggregators: "1",
};
const names = Object.keys(DEFAULTS) as (keyof typeof DEFAULTS)[];
const args = parseArgs(Deno.args, { string: names, boolean: ["sweep"], default: DEFAULTS });
const number = (name: keyof typeof DEFAULTS, most: number, least = 1): number => {
  const value = Number(args[name]);
  if (/^\d+$/.test(args[name]!) && value >= least && value <= most) return value;
  console.error(`bench-scale: --${name}: expected ${least} to ${most}, got ${args[name]}`);
  Deno.exit(2);
};
const options: ScaleOptions = {
  clients: number("clients", 5_000, 5),
  readers: number("readers", 500, 0),
  rounds: number("rounds", 100_000),
  period: number("period", 60_000),
  talkers: number("talkers", 64),
  perProcess: number("per-process", 500),
  aggregators: number("aggregators", 16),
};
const sizes = args.sweep ? [100, 300, options.clients] : [options.clients];
let bad = false;
for (const clients of sizes) {
  const done = await scale({ ...options, clients });
  console.log(JSON.stringify(done));
  bad ||= done.voids > 0 || done.lost > 0 || done.landed === 0 || done.missed > 0;
}
if (bad) {
  console.error("bench-scale: expected no void round, none lost, and messages that all read");
}
Deno.exit(bad ? 1 : 0);
