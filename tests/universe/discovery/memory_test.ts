/** The scenarios of discovery in the simulated universe. */
import { simulated } from "../simulated.ts";
import { SCENARIOS } from "./scenarios.ts";

for (const [name, run] of SCENARIOS) {
  Deno.test(`discovery, memory: ${name}`, () => run(simulated()));
}
