/** The attack matrix: every case gets the answer that it deserves, beside the unspoilt quote. */
import assert from "node:assert/strict";
import { REASONS } from "../../src/attest/reasons.ts";
import { TCB_STATUSES, type TcbStatus } from "../../src/attest/status.ts";
import { judge, MATRIX } from "./judge.ts";
import { refused } from "./refused.ts";

for (const given of MATRIX) {
  const { name, expected } = given;
  Deno.test(`matrix: ${name}: ${expected}`, async () => {
    assert.equal((await judge({})).status, "UpToDate", "unspoilt");
    const status = TCB_STATUSES.find((status): status is TcbStatus => status === expected);
    if (status) assert.equal((await judge(given)).status, status);
    else await refused(expected as Exclude<typeof expected, TcbStatus>, () => judge(given));
  });
}

Deno.test("matrix: cases have names of their own, and codes that are documented", () => {
  assert.equal(new Set(MATRIX.map(({ name }) => name)).size, MATRIX.length);
  for (const { expected } of MATRIX) {
    assert.ok(
      (TCB_STATUSES as readonly string[]).includes(expected) || REASONS.has(expected as never),
    );
  }
});
