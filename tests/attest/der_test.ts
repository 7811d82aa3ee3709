/** The strict DER reader: each value has one encoding, every other one is refused. */
import assert from "node:assert/strict";
import { hex } from "../../src/protocol/bytes.ts";
import { DerReader } from "../../src/attest/der.ts";
import * as write from "../../src/attest/der_writer.ts";
import { AttestationError } from "../../src/attest/reasons.ts";

const bytes = (text: string) => Uint8Array.fromHex(text.replaceAll(" ", ""));
const reader = (text: string) => new DerReader(bytes(text), "pck-malformed");
const text = (value: string) => hex(new TextEncoder().encode(value));
const utc = (value: string) => `17 0d ${text(value)}`;
const general = (value: string) => `18 0f ${text(value)}`;

/** What is read, and encodings of it that are refused. */
const CASES: readonly [string, (from: DerReader) => unknown, string, unknown, string[]][] = [
  ["an element", (it) => hex(it.element().content), "04 02 0102", "0102", [
    "",
    "04",
    "04 02 01",
    "04 80 0102 0000",
    "04 81 02 0102",
    "04 82 0002 0102",
    "04 81",
    "04 84 00000002 0102",
    "1f 02 0102",
    "04 ff 0102",
  ]],
  ["a long element", (it) => it.element().content.length, `04 81 80 ${"00".repeat(128)}`, 128, [
    `04 82 0080 ${"00".repeat(128)}`,
    `04 81 80 ${"00".repeat(127)}`,
  ]],
  ["an integer", (it) => it.integer(1000), "02 02 03e8", 1000, [
    "02 00",
    "02 02 03e9",
    "02 01 ff",
    "02 03 0003e8",
    "02 05 0100000000",
    "0a 02 03e8",
  ]],
  ["zero", (it) => it.integer(9), "02 01 00", 0, ["02 02 0000", "02 01 80"]],
  ["a big integer", (it) => hex(it.unsigned(2)), "02 03 00ffff", "ffff", [
    "02 02 ffff",
    "02 04 00ffff00",
    "02 03 010000",
  ]],
  ["a boolean", (it) => it.boolean(), "01 01 ff", true, ["01 01 01", "01 02 ffff", "01 00"]],
  ["a flag", (it) => it.flag(), "01 01 ff", true, ["01 01 00"]],
  ["an identifier", (it) => it.oid(), "06 08 2a8648ce3d040302", "1.2.840.10045.4.3.2", [
    "06 00",
    "06 02 2a86",
    "06 03 2a8001",
    "06 08 2a8fffffffffff7f",
    `06 21 ${"01".repeat(33)}`,
  ]],
  ["an identifier below 2", (it) => it.oid(), "06 03 88 37 03", "2.999.3", ["06 03 80 37 03"]],
  ["bits of whole bytes", (it) => hex(it.wholeBits()), "03 02 00 aa", "aa", [
    "03 02 01 aa",
    "03 00",
  ]],
  ["named bits", (it) => it.namedBits(), "03 02 06 c0", 0xc0, [
    "03 02 05 c0",
    "03 02 07 c0",
    "03 02 08 00",
    "03 03 06 c000",
    "03 01 00",
  ]],
  ["a time", (it) => it.time(), utc("250619100035Z"), Date.UTC(2025, 5, 19, 10, 0, 35), [
    utc("250631100035Z"),
    utc("250619240035Z"),
    utc("250619106035Z"),
    utc("250619100060Z"),
    utc("251319100035Z"),
    utc("25061910003 Z"),
    utc("2506191000350"),
    `17 11 ${text("250619100035+0000")}`,
    `17 0b ${text("2506191000Z")}`,
    general("20250619100035Z"),
    `17 0f ${text("20250619100035Z")}`,
  ]],
  ["a time of the last century", (it) => it.time(), utc("991231235959Z"), 946684799000, []],
  ["a time from 2050", (it) => it.time(), general("20500101000000Z"), 2524608000000, [
    general("20500229000000Z"),
    `18 13 ${text("20500101000000.000Z")}`,
  ]],
];

for (const [name, read, good, value, bad] of CASES) {
  Deno.test(`DER: ${name}, and nothing that only looks like it`, () => {
    const whole = reader(good);
    assert.deepEqual(read(whole), value);
    whole.end();
    for (const encoding of bad) {
      const refuses = (error: unknown) =>
        error instanceof AttestationError && error.code === "pck-malformed";
      assert.throws(() => read(reader(encoding)), refuses, encoding);
    }
  });
}

Deno.test("DER: another tag, and what is left over, are refused", () => {
  assert.throws(() => reader("04 00").inside(), AttestationError);
  assert.throws(() => reader("30 03 04 00 05").inside().end(), AttestationError);
  const inside = reader("30 02 04 00 00").inside();
  inside.element();
  inside.end();
});

Deno.test("DER: what is written is read again", () => {
  for (const value of [0, 1, 127, 128, 255, 256, 65_535, 2 ** 31, 2 ** 32 - 1]) {
    assert.equal(
      new DerReader(write.integer(value), "pck-malformed").integer(2 ** 32 - 1),
      value,
    );
  }
  for (const length of [0, 127, 128, 255, 256, 65_535, 65_536]) {
    const whole = write.octets(new Uint8Array(length));
    assert.equal(new DerReader(whole, "pck-malformed").element(4).content.length, length);
  }
  for (const ms of [0, 946_684_799_000, 2_524_607_999_000, 2_524_608_000_000]) {
    assert.equal(new DerReader(write.time(ms), "pck-malformed").time(), ms);
  }
  for (const oid of ["1.2.840.113741.1.13.1.2.18", "2.5.29.15", "0.9.2342"]) {
    assert.equal(new DerReader(write.oid(oid), "pck-malformed").oid(), oid);
  }
  for (let bits = 1; bits < 256; bits++) {
    assert.equal(new DerReader(write.namedBits(bits), "pck-malformed").namedBits(), bits);
  }
});
