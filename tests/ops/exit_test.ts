/** Which exit code an error ends the process with. */
import { deepEqual, equal } from "node:assert/strict";
import { EXIT, exitCodeOf } from "../../src/ops/exit.ts";
import { OptionError } from "../../src/ops/options.ts";
import { StoreError } from "../../src/ops/files.ts";

Deno.test("exit: the codes are those that operators script against", () => {
  deepEqual(EXIT, { clean: 0, failure: 1, options: 2, unreachable: 3, refused: 4, state: 5 });
});

Deno.test("exit: an error that names a code of the table ends with it", () => {
  equal(exitCodeOf(new OptionError("x")), 2);
  equal(exitCodeOf(new StoreError("held", "x")), 5);
  equal(exitCodeOf(new StoreError("damaged", "x")), 5);
  equal(exitCodeOf(new StoreError("permission", "x")), 2);
  equal(exitCodeOf(Object.assign(new Error("x"), { exitCode: 3 })), 3);
});

Deno.test("exit: everything else is a failure, never a clean stop", () => {
  for (const error of [new Error("x"), undefined, null, "text", 5]) equal(exitCodeOf(error), 1);
  for (const exitCode of [0, 6, -1, 2.5, "2", undefined]) equal(exitCodeOf({ exitCode }), 1);
});
