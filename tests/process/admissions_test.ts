/** Many attested clients come at once; `deno task bench-admit` is the long one, with its times. */
import { equal, ok } from "node:assert/strict";
import { admit } from "../bench/admissions.ts";

Deno.test("40 attested clients come at once: all stand in the roster, and no round is void", async () => {
  const { roster, voids, rounds } = await admit(40);
  equal(roster, 44);
  equal(voids, 0);
  ok(rounds > 0, "rounds went on");
});
