/** The engine under faults, and bugs planted in it, which must be noticed. */
import { deepEqual, ok } from "node:assert/strict";
import { loadRaft } from "../../../src/committee/raft/load.ts";
import { MUTANTS } from "./glue_mutants.ts";
import { runSeed, runSeeds } from "./glue_seeds.ts";

/** To replay a seed that went wrong: `deno task simulate-raft --seeds 1 --seed N`. */
const SEED = 251, SEEDS = 50;
/** Seeds in which a planted bug must show, from its own first one on. */
const MUTANT_SEEDS = 60;

const module = await loadRaft();

Deno.test(`raft glue: ${SEEDS} seeds of faults, no violation`, () => {
  const { violations, ...sum } = runSeeds(module, SEED, SEEDS);
  console.log(JSON.stringify(sum));
  deepEqual(violations, []);
  ok(sum.commits > SEEDS * 50 && sum.leaderships > SEEDS * 2 && sum.crashes > SEEDS * 3);
  ok(sum.wiped > 0 && sum.putBack > 0 && sum.snapshots > 0 && sum.refoundings > 0);
});

for (const mutant of MUTANTS) {
  Deno.test(`raft glue: noticed: ${mutant.name}`, () => {
    const { from = 1 } = mutant;
    for (let seed = from; seed < from + MUTANT_SEEDS; seed++) {
      const { violation } = runSeed(module, seed, mutant);
      if (violation === undefined) continue;
      return console.log(`seed ${seed}: ${violation.slice(0, 120)}`);
    }
    ok(false, `${MUTANT_SEEDS} seeds from ${from} on did not notice it`);
  });
}
