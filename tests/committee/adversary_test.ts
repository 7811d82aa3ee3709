import assert from "node:assert/strict";
import { REFUSALS, ReleaseRules } from "../../src/committee/release.ts";
import { attack } from "./adversary.ts";

/** Schedules `SEED`, `SEED + 1`, ...; to replay one, run it alone: `schedules: 1`, its seed. */
const SEED = 1;

Deno.test("corrupt servers get neither a second opening nor a fork out of the rules", () => {
  const options = { seed: SEED, schedules: 20_000, steps: 150, longHead: 400 };
  const { schedules, finalized, signed, refused, violations, seeds } = attack(
    ReleaseRules,
    options,
  );
  console.log(`${finalized} of ${schedules} schedules finalized a record`);
  for (const [kind, times] of signed) console.log(`  signed ${kind.padEnd(20)} ${times}`);
  for (const rule of REFUSALS) {
    console.log(`  refused ${rule.padEnd(19)} ${refused.get(rule) ?? 0}`);
  }
  assert.deepEqual([...violations], [], `schedules to replay: ${JSON.stringify([...seeds])}`);
  assert.deepEqual(REFUSALS.filter((rule) => !refused.has(rule)), [], "rules never tried");
  assert.ok(finalized > schedules / 2);
});
