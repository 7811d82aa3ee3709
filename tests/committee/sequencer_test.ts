/** The sequencer is an engine like any other, but for what its first server takes with it. */
import { Sequencer } from "./sequencer.ts";
import { conformance } from "./engine_conformance.ts";
import { virtualWorld } from "./virtual_world.ts";

const cases = conformance({
  name: "sequencer",
  failover: false,
  durable: false,
  open: (_, label) => ({
    world: virtualWorld(label),
    engine: (i, host) => new Sequencer(i, host),
    forget: () => {},
    close: () => Promise.resolve(),
  }),
});

for (const { name, run } of cases) Deno.test(name, run);
