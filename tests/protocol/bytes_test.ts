import assert from "node:assert/strict";
import {
  compare,
  concat,
  equal,
  hex,
  isZero,
  Reader,
  u32,
  u64,
  unhex,
  Writer,
  xorInto,
} from "../../src/protocol/bytes.ts";
import { Random } from "./random.ts";
import { refuses } from "./refuses.ts";

Deno.test("integers are little-endian and come back", () => {
  const bytes = new Writer().u8(0xfe).u16(0x0102).u32(0x01020304).u64(2 ** 40 + 5).end();
  assert.equal(hex(bytes), "fe" + "0201" + "04030201" + "0500000000010000");
  const reader = new Reader(bytes, "test");
  assert.deepEqual([reader.u8(), reader.u16(), reader.u32(), reader.u64()], [
    0xfe,
    0x0102,
    0x01020304,
    2 ** 40 + 5,
  ]);
  reader.end();
  assert.equal(hex(u32(2 ** 32 - 1)), "ffffffff");
});

Deno.test("u64 holds up to 2^53 − 1 and refuses more", () => {
  const most = Number.MAX_SAFE_INTEGER;
  assert.equal(hex(u64(most)), "ffffffffffff1f00");
  assert.equal(new Reader(u64(most), "test").u64(), most);
  refuses("range", () => new Reader(unhex("0000000000002000", 8), "test").u64());
  refuses("range", () => new Reader(unhex("ff".repeat(8), 8), "test").u64());
});

Deno.test("a reader refuses what is short, long, or no bytes", () => {
  const three = Uint8Array.of(1, 2, 3);
  refuses("length", () => new Reader(three, "test").u32(), /test: expected 4 more bytes/);
  refuses("length", () => new Reader(three, "test").bytes(4));
  refuses("trailing", () => new Reader(three, "test").end(), /3 bytes/);
  refuses("type", () => new Reader("abc" as unknown as Uint8Array, "test"));
});

Deno.test("variable fields are exactly, or between, what is expected", () => {
  const bytes = new Writer().vector(Uint8Array.of(7, 8)).end();
  const read = () => new Reader(bytes, "test");
  assert.equal(hex(bytes), "020000000708");
  assert.deepEqual([...read().vector(2, "field")], [7, 8]);
  assert.deepEqual([...read().bounded(1, 2, "field")], [7, 8]);
  refuses("range", () => read().vector(1, "field"));
  refuses("range", () => read().bounded(3, 4, "field"));
  refuses("range", () => read().bounded(0, 1, "field"));
  refuses("length", () => new Reader(bytes.subarray(0, 5), "test").vector(2, "field"));
});

Deno.test("a reader of a part of a buffer stays in it", () => {
  const whole = concat(new Uint8Array(5).fill(9), u32(77), new Uint8Array(5).fill(9));
  const reader = new Reader(whole.subarray(5, 9), "test");
  assert.equal(reader.u32(), 77);
  assert.equal(reader.left, 0);
  refuses("length", () => reader.u8());
});

Deno.test("xor at every alignment and length is bytewise xor, its own inverse", () => {
  const random = new Random(1);
  for (let round = 0; round < 200; round++) {
    const length = random.below(40), a = random.bytes(80), b = random.bytes(80);
    const i = random.below(8), j = random.below(8);
    const x = a.subarray(i, i + length), y = b.subarray(j, j + length), before = x.slice();
    xorInto(x, y);
    assert.deepEqual([...x], [...before].map((byte, k) => byte ^ y[k]));
    xorInto(x, y);
    assert.equal(hex(x), hex(before));
  }
  refuses("length", () => xorInto(new Uint8Array(4), new Uint8Array(5)));
});

Deno.test("hex both ways; anything else than the digits asked for is refused", () => {
  assert.equal(hex(unhex("00ffA1", 3)), "00ffa1");
  for (const bad of ["", "00f", "00ff", "00ffa", "00ffag", "0x00ff", " 0ffa1"]) {
    refuses("length", () => unhex(bad, 3));
  }
});

Deno.test("order, equality, emptiness", () => {
  const of = (...bytes: number[]) => Uint8Array.from(bytes);
  const sorted = [of(), of(0), of(0, 1), of(1), of(1, 0), of(255)].map((b) => [...b]);
  const shuffled = [of(1), of(255), of(), of(1, 0), of(0, 1), of(0)].sort(compare);
  assert.deepEqual(shuffled.map((b) => [...b]), sorted);
  assert.ok(equal(of(1, 2), of(1, 2)) && !equal(of(1, 2), of(1, 3)) && !equal(of(1), of(1, 0)));
  assert.ok(isZero(of()) && isZero(of(0, 0)) && !isZero(of(0, 1)));
});
