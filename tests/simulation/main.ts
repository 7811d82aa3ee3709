/**
 * `deno task simulate [--clients 200] [--rounds 1000] [--seed 1] [--loss 0.05] [--talkers 12]
 * [--aggregators 2]`: a long run in the simulated universe, judged like the tests; exit 1 if anything was lost or differs.
 */
import { parseArgs } from "@std/cli/parse-args";
import { nearest } from "../../src/ops/nearest.ts";
import { talk } from "./talk.ts";

const FLAGS = {
  clients: 200,
  rounds: 1_000,
  seed: 1,
  loss: 0,
  talkers: 12,
  servers: 3,
  aggregators: 1,
};

function refuse(message: string): never {
  console.error(`simulate: ${message}`);
  Deno.exit(2);
}

const known = Object.keys(FLAGS);
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
for (const name of known as (keyof typeof FLAGS)[]) {
  const given = args[name] as string | undefined;
  if (given === undefined) continue;
  const value = Number(given), share = name === "loss";
  if (
    given === "" || !(share ? value >= 0 && value < 0.5 : Number.isInteger(value) && value >= 0)
  ) {
    refuse(
      `--${name}: expected ${share ? "a share below 0.5" : "a whole number"}, got ${
        JSON.stringify(given)
      }`,
    );
  }
  options[name] = value;
}
if (options.clients < 3) refuse(`--clients: expected at least 3, got ${options.clients}`);
if (options.aggregators < 1) refuse("--aggregators: expected at least 1, got 0");
if (options.servers < 2) refuse(`--servers: expected at least 2, got ${options.servers}`);

const started = performance.now();
const result = await talk({ ...options, delay: options.loss > 0 ? [1, 40] : [1, 5] });
console.log(
  JSON.stringify({
    ...options,
    ...result,
    seconds: Math.round((performance.now() - started) / 100) / 10,
  }),
);
Deno.exit(result.lost === 0 && result.disagreeing === 0 && result.landed > 0 ? 0 : 1);
