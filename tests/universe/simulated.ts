/** The simulated universe as a world for the suites of this folder. */
import assert from "node:assert/strict";
import { MemoryUniverse } from "../../src/universe/memory.ts";
import type { World } from "./conformance.ts";

/** A world over this universe, or over one of seed 7. */
export function simulated(universe = new MemoryUniverse({ seed: 7 })): World {
  return {
    listen: "/memory/0",
    environment: (name, observe) => universe.environment(name, observe),
    network: (options) => universe.network(options),
    transport: (options) => universe.transport(options),
    settle: (promise) => universe.settle(promise),
    poke() {},
    async until(what, condition) {
      assert(await universe.run(condition, 60_000), `within a minute: ${what}`);
    },
  };
}
