import assert from "node:assert/strict";
import { hex } from "../../src/protocol/bytes.ts";
import { applyPads, NATIVE_FROM, xchacha20 } from "../../src/protocol/pad.ts";
import { pad } from "./oracle.ts";
import { Random } from "./random.ts";

const random = new Random(110), key = random.bytes(32), h = random.bytes(32);

Deno.test("pads are noble's XChaCha20 at every size around a block and the change of code", () => {
  for (const middle of [0, 64, 128, NATIVE_FROM, 1_536, 70_000]) {
    for (const n of [middle - 1, middle, middle + 1, middle + 33].filter((n) => n >= 0)) {
      const bytes = random.bytes(n), expected = pad(key, h, n).map((byte, i) => byte ^ bytes[i]);
      assert.equal(hex(xchacha20.apply(key, h, bytes)), hex(expected), `${n} bytes`);
    }
  }
});

Deno.test("a pad does not depend on where key, header hash and bytes lie", () => {
  for (const n of [100, 600]) {
    const all = random.bytes(n + 70);
    const k = all.subarray(1, 33), nonce = all.subarray(34, 66), bytes = all.subarray(67, 67 + n);
    const expected = hex(xchacha20.apply(k.slice(), nonce.slice(), bytes.slice()));
    assert.equal(hex(xchacha20.apply(k, nonce, bytes)), expected);
  }
});

Deno.test("key, header hash and input are not changed", () => {
  for (const n of [0, 100, 600]) {
    const k = key.slice(), nonce = h.slice(), bytes = random.bytes(n), before = bytes.slice();
    xchacha20.apply(k, nonce, bytes);
    applyPads(xchacha20, [k, k], nonce, bytes);
    assert.deepEqual([k, nonce, bytes], [key, h, before]);
  }
});

Deno.test("pads of several keys cancel in any order; under another header they do not", () => {
  const keys = [1, 2, 3].map(() => random.bytes(32)), other = random.bytes(32);
  for (const n of [64, 2_000]) {
    const bytes = random.bytes(n), sealed = applyPads(xchacha20, keys, h, bytes);
    assert.notEqual(hex(sealed), hex(bytes));
    assert.equal(hex(applyPads(xchacha20, [...keys].reverse(), h, sealed)), hex(bytes));
    assert.notEqual(hex(applyPads(xchacha20, keys, other, sealed)), hex(bytes));
    assert.notEqual(hex(applyPads(xchacha20, keys.slice(1), h, sealed)), hex(bytes));
  }
});

Deno.test("the pad of a longer vector begins with that of a shorter", () => {
  const long = xchacha20.apply(key, h, new Uint8Array(2 * NATIVE_FROM));
  const short = xchacha20.apply(key, h, new Uint8Array(NATIVE_FROM - 7));
  assert.equal(hex(long.subarray(0, NATIVE_FROM - 7)), hex(short));
});
