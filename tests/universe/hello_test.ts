import assert from "node:assert/strict";
import {
  decodeHello,
  encodeHello,
  FrameError,
  type Hello,
  MAX_ADDRESS,
  MAX_ADDRESSES,
  MAX_HELLO,
} from "../../src/universe/hello.ts";

const HELLO: Hello = {
  universe: new Uint8Array(32).fill(1),
  instance: new Uint8Array(32).fill(2),
  role: "aggregator",
  addresses: ["/ip4/10.0.0.1/tcp/4001", "/memory/x"],
};

function code(frame: Uint8Array): string {
  try {
    decodeHello(frame);
  } catch (error) {
    assert(error instanceof FrameError, String(error));
    return error.code;
  }
  return "none";
}

Deno.test("hello: what is encoded is decoded, in its published layout", () => {
  const frame = encodeHello(HELLO);
  assert.deepEqual([frame[31], frame[32], frame[64], frame[65], frame[66]], [1, 2, 1, 2, 22]);
  assert.deepEqual(decodeHello(frame), HELLO);
  const longest = "/" + "x".repeat(MAX_ADDRESS - 1);
  const full = encodeHello({ ...HELLO, addresses: Array(MAX_ADDRESSES).fill(longest) });
  assert.equal(full.length, MAX_HELLO);
  assert.equal(decodeHello(full).addresses.length, MAX_ADDRESSES);
});

Deno.test("hello: every other length and every field out of range is refused", () => {
  const frame = encodeHello(HELLO);
  for (let n = 0; n < frame.length; n++) assert.equal(code(frame.subarray(0, n)), "length", `${n}`);
  assert.equal(code(Uint8Array.of(...frame, 0)), "length");
  assert.equal(code(new Uint8Array(MAX_HELLO + 1)), "length");
  const changed = (at: number, to: number) => code(frame.with(at, to));
  assert.equal(changed(64, 4), "range");
  assert.equal(changed(65, 9), "range");
  assert.equal(changed(65, 1), "length");
  assert.equal(changed(66, 0), "length");
  assert.equal(changed(67, 65), "range");
  assert.equal(changed(68, 0), "range");
  assert.throws(() => encodeHello({ ...HELLO, addresses: ["no slash"] }), FrameError);
  assert.throws(() => encodeHello({ ...HELLO, universe: new Uint8Array(31) }), FrameError);
});
