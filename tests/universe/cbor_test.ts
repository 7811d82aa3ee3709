import assert from "node:assert/strict";
import { decodeCbor, encodeCbor } from "../../src/universe/cbor.ts";
import { FrameError } from "../../src/universe/hello.ts";

Deno.test("cbor: values come back, and claims are checked before anything is reserved", () => {
  const value = { list: [1, -5, 2 ** 40, true, null, "text"], bytes: Uint8Array.of(1, 2) };
  const back = decodeCbor(encodeCbor(value), 1_000) as typeof value;
  assert.deepEqual({ ...back, bytes: new Uint8Array(back.bytes) }, value);
  const bad = [
    [],
    [0x9a, 0x10, 0, 0, 0], // an array of 2^28
    [0x5a, 0, 0, 0, 9, 1], // nine bytes, one there
    [0x9f, 0xff], // open length
    [0xc1, 0], // a tag
    [0xd9, 0xdf, 0xff, 0], // cbor-x's shared structures
    [0xa1, 1, 1], // a key that is not text
    [0xf9, 0, 0], // float16
    [0xf7], // undefined
    [0, 0], // bytes after the end
    [0x19, 1], // cut inside a length
    Array(20).fill(0x81), // deep
  ];
  for (const bytes of bad) {
    assert.throws(() => decodeCbor(Uint8Array.from(bytes), 1_000), FrameError, String(bytes));
  }
  assert.throws(() => decodeCbor(new Uint8Array(2), 1), FrameError);
});
