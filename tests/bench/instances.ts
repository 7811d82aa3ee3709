/**
 * `deno task bench-instances [--rounds 100]`: three instances on one universe, one host and one
 * bootstrap address. One JSON line an instance; exit 1 if anything was lost, a round was void, or a
 * peer had a stream of two instances.
 */
import { Neighbours, NODES } from "../process/neighbours.ts";
import { flags } from "./flags.ts";

const { rounds } = flags("bench-instances", "three instances on one universe", {
  rounds: { value: 100, least: 1, most: 999_999 },
});
let well = true;
{
  await using they = new Neighbours(["one.mainnet", "two.mainnet", "three.mainnet"]);
  await they.start();
  await Promise.all(they.all.map((one) => one.rounds(rounds)));
  const seen = they.all.map((one) => one.peers);
  for (const [i, one] of they.all.entries()) {
    const { tally } = one, others = seen.filter((_, j) => j !== i);
    const shared = [...seen[i]].filter((id) => others.some((set) => set.has(id))).length;
    console.log(JSON.stringify({ ...tally, peers: seen[i].size, shared }));
    one.judge();
    well &&= tally.lost + tally.void.length + shared === 0 && seen[i].size === NODES;
  }
}
Deno.exit(well ? 0 : 1);
