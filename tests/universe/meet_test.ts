import assert from "node:assert/strict";
import { decodeCbor, encodeCbor } from "../../src/universe/cbor.ts";
import { MAX_KNOWN, type Report } from "../../src/universe/directory.ts";
import { FrameError } from "../../src/universe/hello.ts";
import { decodeReports, encodeReports, MEET } from "../../src/universe/meet.ts";
import { identity } from "../../src/universe/node.ts";
import { secretOf } from "./conformance.ts";

const KEY = identity(secretOf("x")).key;
const REPORT: Report = { key: KEY, role: "server", addresses: ["/memory/x"], age: 1_500 };
const ROW: unknown[] = [KEY, 0, ["/memory/x"], 1_500];

Deno.test("meet: what is told arrives", () => {
  assert.deepEqual(decodeReports(encodeReports([REPORT])), [REPORT]);
  assert.deepEqual(decodeReports(encodeReports([])), []);
});

Deno.test("meet: too much to tell is cut to fit one frame", () => {
  const addresses = Array.from({ length: 8 }, (_, i) => "/" + `${i}`.repeat(254));
  const many = Array<Report>(MAX_KNOWN + 9).fill({ ...REPORT, addresses });
  const frame = encodeReports(many);
  assert(frame.length <= MEET.maxFrame);
  assert(decodeReports(frame).length > 100);
  assert.equal(decodeReports(encodeReports(Array<Report>(MAX_KNOWN + 9).fill(REPORT))).length, 256);
});

Deno.test("meet: anything out of shape is refused whole", () => {
  const bad: unknown[] = [
    {},
    null,
    [[]],
    [[...ROW, 1]],
    [ROW.with(0, KEY.subarray(1))],
    [ROW.with(0, new Uint8Array(32))],
    [ROW.with(0, "key")],
    [ROW.with(1, 2)],
    [ROW.with(1, "0")],
    [ROW.with(2, Array(9).fill("/memory/x"))],
    [ROW.with(2, ["x"])],
    [ROW.with(2, { 0: "/memory/x" })],
    [ROW.with(3, -1)],
    [ROW.with(3, 0.5)],
    Array(MAX_KNOWN + 1).fill(ROW),
  ];
  for (const value of bad) {
    assert.throws(() => decodeReports(encodeCbor(value)), /FrameError|ProtocolError/);
  }
});

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
