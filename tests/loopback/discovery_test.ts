/** The scenarios of discovery over real loopback. Needs `-P=tests`. */
import { loopback } from "./loopback.ts";
import { SCENARIOS } from "../universe/discovery/scenarios.ts";

for (const [name, run] of SCENARIOS) {
  Deno.test(`discovery, libp2p: ${name}`, () => run(loopback()));
}
