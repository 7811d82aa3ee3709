/** Worlds of the in-memory column. */
import assert from "node:assert/strict";
import { MemoryUniverse } from "../../../src/universe/memory.ts";
import type { StreamsWorld } from "./world.ts";

/** A world over virtual time; the seed is named where a condition is not met. */
export function simulated(seed = 7): StreamsWorld & { readonly universe: MemoryUniverse } {
  const universe = new MemoryUniverse({ seed });
  return {
    universe,
    listen: "/memory/0",
    environment: (name, observe) => universe.environment(name, observe),
    network: (options) => universe.network(options),
    settle: (promise) => universe.settle(promise),
    work: (task) => universe.timeline.work(task),
    async until(what, condition) {
      assert(await universe.run(condition, 60_000), `within a minute: ${what} (seed ${seed})`);
    },
  };
}
