/**
 * MRTD of a firmware that exists: the one of Debian 12's package `ovmf`. Where it is not, or another
 * version of it, these tests are skipped and say so. Machines whose measurements are known beside
 * their firmware file were not to be had: both values are what other tools give for this file.
 */
import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { hex } from "../../src/protocol/bytes.ts";
import { firmwareMrTd } from "../../src/attest/mrtd.ts";
import { readTdvf } from "../../src/attest/tdvf.ts";
import { tool } from "./tool.ts";

const FILE = "/usr/share/ovmf/OVMF.fd";
const SHA256 = "7b456907dd0786d415999e801a1ac4637b8ed4d7cf5378cfc6edbe5e574dd773";
const PAGE = "4c7206f0f483c524f12c366c711e9049030a8d47c471ee5aa9c4999a08de4057" +
  "fb887fed0744d5631a212967fb231c47";
const PASS = "acccbcc870a381adab0d3919d90a7f268ac3b0364771f202ed4bb4e892d045b3" +
  "3db3b32e6924cba830a724eed443f7e1";

/** Why the tests cannot run; empty where they can. */
function missing(): string {
  try {
    const found = hash("sha256", Deno.readFileSync(FILE));
    return found === SHA256 ? "" : "another version of ovmf";
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return `no ${FILE}; Debian has it as ovmf`;
  }
}
const why = missing();

function real(name: string, run: () => void | Promise<void>): void {
  const skipped = why === "" ? "" : ` (skipped: ${why})`;
  Deno.test({ name: `Debian's firmware: ${name}${skipped}`, ignore: why !== "", fn: run });
}

real("MRTD in both orders", () => {
  const file = Deno.readFileSync(FILE);
  assert.equal(hex(firmwareMrTd(file, "page")), PAGE);
  assert.equal(hex(firmwareMrTd(file, "pass")), PASS);
});

real("six sections, of which the code is measured, and without the variables it is refused", () => {
  const file = Deno.readFileSync(FILE), sections = readTdvf(file);
  assert.equal(sections.length, 6);
  const measured = sections.filter((it) => it.measured);
  assert.deepEqual(measured.map(({ size }) => size / 4_096), [480]);
  assert.throws(() => readTdvf(file.subarray(0x20000)), { code: "firmware-range" });
});

real("the tool reads it with its own permissions", async () => {
  const ending = await tool("mrtd", [FILE]);
  assert.deepEqual(ending, { code: 0, out: `MRTD_PAGE=${PAGE}\nMRTD_PASS=${PASS}\n`, err: "" });
});
