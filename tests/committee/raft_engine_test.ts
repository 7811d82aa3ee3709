/** The engine in the process passes the suite of all engines. */
import { loadRaft } from "../../src/committee/raft/load.ts";
import { RaftEngine } from "../../src/committee/raft_engine.ts";
import { memoryJournal } from "../../src/ops/journal.ts";
import { conformance } from "./engine_conformance.ts";
import { virtualWorld } from "./virtual_world.ts";

const module = await loadRaft();

const cases = conformance({
  name: "raft",
  failover: true,
  durable: true,
  open(servers, label) {
    const journals = Array.from({ length: servers }, memoryJournal);
    return {
      world: virtualWorld(label),
      engine: (self, host, environment) =>
        new RaftEngine({ module, self, servers, journal: journals[self], environment }, host),
      forget: (i) => void (journals[i] = memoryJournal()),
      close: () => Promise.resolve(),
    };
  },
});

for (const { name, run } of cases) Deno.test(name, run);
