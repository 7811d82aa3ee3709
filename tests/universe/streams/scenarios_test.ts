/** The scenarios of typed streams on the in-memory column. No permissions. */
import { SCENARIOS } from "./scenarios.ts";
import { simulated } from "./memory.ts";

for (const [name, play] of SCENARIOS) {
  Deno.test(`memory: ${name}`, () => play(simulated()));
}
