/** Many runs, one a seed. */
import type { RaftModule } from "../../../src/committee/raft/load.ts";
import { Glue, type Tally } from "./glue.ts";
import type { Mutant } from "./glue_mutants.ts";

/** What all runs did, and the seeds of those that went wrong. */
export interface Sum extends Tally {
  readonly violations: readonly string[];
}

/** A run of a seed: odd ones have three servers, even ones five. */
export function runSeed(module: RaftModule, seed: number, mutant?: Mutant) {
  return new Glue(module, seed, seed % 2 === 0 ? 5 : 3, mutant).run();
}

/** Runs `seeds` seeds from `first` on. */
export function runSeeds(module: RaftModule, first: number, seeds: number): Sum {
  const violations: string[] = [];
  const sum: Record<string, number> = {};
  for (let seed = first; seed < first + seeds; seed++) {
    const { violation, ...tally } = runSeed(module, seed);
    if (violation !== undefined) violations.push(`seed ${seed}: ${violation}`);
    for (const [name, value] of Object.entries(tally)) {
      const before = sum[name] ?? 0;
      sum[name] = name === "returnMs" ? Math.max(before, value) : before + value;
    }
  }
  return { ...sum as unknown as Tally, violations };
}
