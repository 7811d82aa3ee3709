/**
 * `deno task simulate-raft [--seeds 5000] [--seed 1]`: as many runs of the engine's simulation, every
 * other one with five servers. One JSON line; exit 1, and the seed, at the first violation.
 */
import { parseArgs } from "@std/cli/parse-args";
import { nearest } from "../../src/ops/nearest.ts";
import { loadRaft } from "../../src/committee/raft/load.ts";
import { runSeeds } from "../committee/raft/glue_seeds.ts";

const FLAGS = { seeds: 5_000, seed: 1 };
const known = Object.keys(FLAGS) as (keyof typeof FLAGS)[];

function refuse(message: string): never {
  console.error(`simulate-raft: ${message}`);
  Deno.exit(2);
}

const args = parseArgs(Deno.args, {
  string: known,
  boolean: ["help"],
  unknown: (flag: string) =>
    refuse(
      `unknown option ${flag}; did you mean --${
        nearest(flag.replace(/^-+/, ""), known) ?? "help"
      }?`,
    ),
});
if (args.help) {
  console.log(known.map((name) => `--${name} N`).join(" "));
  Deno.exit(0);
}
const options = { ...FLAGS };
for (const name of known) {
  const given = args[name];
  if (given === undefined) continue;
  if (!/^[1-9]\d{0,8}$/.test(given)) refuse(`--${name}: expected a whole number over 0: ${given}`);
  options[name] = Number(given);
}

const started = performance.now();
const result = runSeeds(await loadRaft(), options.seed, options.seeds);
const seconds = Math.round((performance.now() - started) / 100) / 10;
console.log(JSON.stringify({ ...options, ...result, seconds }));
Deno.exit(result.violations.length > 0 ? 1 : 0);
