/**
 * `deno task bench-rounds [--rounds 10000]`: memory of every node over many rounds. One JSON line a
 * sample, one a node at the end, one of the whole; exit 1 if a server's memory grows. The machine's
 * load stands in every sample; the time to start is printed, and not judged on a machine shared.
 */
import { flags } from "./flags.ts";
import { longRun } from "./long_run.ts";
import { LEAST_ROUNDS, maxSlopeKB } from "./slope.ts";

const { rounds } = flags("bench-rounds", "memory of every node over many rounds", {
  rounds: { value: 10_000, least: LEAST_ROUNDS, most: 9_999_999 },
});
const print = (line: unknown) => console.log(JSON.stringify(line));
const { nodes, ...whole } = await longRun(rounds, print);
const most = maxSlopeKB(whole.rounds);
nodes.forEach(print);
const grows = nodes.filter(({ node, slopeKBPer1000Rounds: slope }) =>
  node.startsWith("server") && slope > most
).map(({ node }) => node);
print({ ...whole, maxSlopeKBPer1000Rounds: most, grows });
Deno.exit(grows.length > 0 ? 1 : 0);
