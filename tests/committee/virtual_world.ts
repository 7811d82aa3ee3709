/** Virtual time for engines, from a seed. */
import { MemoryUniverse } from "../../src/universe/memory.ts";
import type { Observe } from "../../src/universe/environment.ts";
import type { World } from "./engine_mesh.ts";

/** A world of virtual time; what an event throws ends the run that it happened in. */
export function virtualWorld(
  seed: string,
  observe?: Observe,
): World & { universe: MemoryUniverse } {
  let failure: string | undefined;
  const universe = new MemoryUniverse({
    seed,
    observe: (level, event, fields) => {
      if (event === "event failed") failure ??= `${fields?.reason}`;
      observe?.(level, event, fields);
    },
  });
  const check = () => {
    if (failure !== undefined) throw new Error(`an event failed: ${failure}`);
  };
  return {
    universe,
    environment: (name) => universe.environment(name),
    async run(until, limitMs) {
      const held = await universe.run(() => failure !== undefined || until(), limitMs);
      check();
      return held;
    },
    async advance(ms) {
      await universe.advance(ms);
      check();
    },
  };
}
