/**
 * `deno task bench-rounds [--rounds 10000]`: memory of every node over many rounds. One JSON line a
 * sample, one a node at the end, one of the whole; exit 1 if a server's memory grows. The machine's
 * load stands in every sample; the time to start is printed, and not judged on a machine shared.
 */
import { parseArgs } from "@std/cli/parse-args";
import { nearest } from "../../src/ops/nearest.ts";
import { longRun } from "./long_run.ts";
import { LEAST_ROUNDS, maxSlopeKB } from "./slope.ts";

function refuse(message: string): never {
  console.error(`bench-rounds: ${message}`);
  Deno.exit(2);
}

const FLAGS = ["rounds"];
const args = parseArgs(Deno.args, {
  string: FLAGS,
  boolean: ["help"],
  unknown: (flag: string) =>
    refuse(
      `unknown option ${flag}; did you mean --${
        nearest(flag.replace(/^-+/, ""), FLAGS) ?? "help"
      }?`,
    ),
});
if (args.help) {
  console.log("--rounds N");
  Deno.exit(0);
}
const given = args.rounds ?? "10000";
if (!/^[1-9]\d{0,6}$/.test(given) || Number(given) < LEAST_ROUNDS) {
  refuse(`--rounds: expected a whole number from ${LEAST_ROUNDS}, got ${given}`);
}

const print = (line: unknown) => console.log(JSON.stringify(line));
const { nodes, ...whole } = await longRun(Number(given), print);
const most = maxSlopeKB(whole.rounds);
nodes.forEach(print);
const grows = nodes.filter(({ node, slopeKBPer1000Rounds: slope }) =>
  node.startsWith("server") && slope > most
).map(({ node }) => node);
print({ ...whole, maxSlopeKBPer1000Rounds: most, grows });
Deno.exit(grows.length > 0 ? 1 : 0);
