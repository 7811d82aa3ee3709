import assert from "node:assert/strict";
import { ProtocolError } from "../../src/protocol/errors.ts";
import { BEAT_BYTES, decodeBeat, encodeBeat, MEET } from "../../src/universe/meet.ts";

Deno.test("meet: a beat is read as it was sent, in its published layout", () => {
  const beat = { number: 3, heard: 258, ago: 1_500 };
  const frame = encodeBeat(beat);
  assert.deepEqual([...frame], [3, 0, 0, 0, 2, 1, 0, 0, 220, 5, 0, 0]);
  assert.deepEqual(decodeBeat(frame), beat);
  assert.equal(frame.length, MEET.maxFrame);
  assert.equal(decodeBeat(encodeBeat({ ...beat, ago: 2 ** 40 })).ago, 2 ** 32 - 1);
});

Deno.test("meet: any other length, and number 0, is refused", () => {
  const frame = encodeBeat({ number: 1, heard: 0, ago: 0 });
  for (let length = 0; length <= BEAT_BYTES + 1; length++) {
    if (length === BEAT_BYTES) continue;
    const other = new Uint8Array(length).fill(1);
    assert.throws(() => decodeBeat(other), ProtocolError, `${length}`);
  }
  assert.throws(() => decodeBeat(frame.with(0, 0)), ProtocolError);
});
