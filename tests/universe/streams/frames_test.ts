/** The frames of typed streams: every one has one encoding, and nothing else is taken. */
import assert from "node:assert/strict";
import { FrameError } from "../../../src/universe/hello.ts";
import {
  acceptedFrame,
  BEAT_FRAME,
  CLOSE_REASONS,
  closeFrame,
  creditFrame,
  datumFrame,
  decodeFrame,
  type Frame,
  MAX_CONTROL,
  subscribeFrame,
} from "../../../src/universe/streams/frames.ts";
import { Seeded } from "../../../src/universe/seeded.ts";

/** The frame of what was decoded. */
function encode(frame: Frame): Uint8Array {
  switch (frame.type) {
    case "subscribe":
      return subscribeFrame(frame.window);
    case "accepted":
      return acceptedFrame(frame.window);
    case "datum":
      return datumFrame(frame.bytes);
    case "beat":
      return BEAT_FRAME;
    case "close":
      return closeFrame(frame.reason);
    case "credit":
      return creditFrame(frame.window);
  }
}

const WINDOW = { items: 0x01020304, bytes: 0xfffefdfc };

Deno.test("frames: the layout, byte by byte", () => {
  const layout: readonly (readonly [Uint8Array, string])[] = [
    [subscribeFrame(WINDOW), "000104030201fcfdfeff"],
    [acceptedFrame(WINDOW), "010104030201fcfdfeff"],
    [datumFrame(Uint8Array.of(7, 8)), "020708"],
    [datumFrame(new Uint8Array(0)), "02"],
    [BEAT_FRAME, "03"],
    [closeFrame("Cancelled"), "0400"],
    [closeFrame("Unknown"), "0409"],
    [creditFrame(WINDOW), "0504030201fcfdfeff"],
  ];
  for (const [frame, hex] of layout) {
    assert.equal(frame.toHex(), hex);
    assert.deepEqual(encode(decodeFrame(frame)), frame);
    assert(frame[0] === 2 || frame.length <= MAX_CONTROL);
  }
  assert.equal(CLOSE_REASONS.length, 10);
  assert.deepEqual(decodeFrame(subscribeFrame(WINDOW)), { type: "subscribe", window: WINDOW });
});

Deno.test("frames: what is short, long, of another version or unknown is refused", () => {
  const whole = [subscribeFrame(WINDOW), acceptedFrame(WINDOW), creditFrame(WINDOW)];
  const refused = [
    new Uint8Array(0),
    Uint8Array.of(6),
    Uint8Array.of(255, 1, 2),
    Uint8Array.of(3, 0),
    Uint8Array.of(4),
    Uint8Array.of(4, CLOSE_REASONS.length),
    Uint8Array.of(4, 0, 0),
    ...whole.map((frame) => frame.subarray(0, frame.length - 1)),
    ...whole.map((frame) => Uint8Array.of(...frame, 0)),
    ...whole.slice(0, 2).map((frame) => frame.with(1, 2)),
  ];
  for (const frame of refused) {
    assert.throws(() => decodeFrame(frame), FrameError, frame.toHex());
  }
});

Deno.test("frames: whatever is decoded has no other encoding", () => {
  const seed = 11, chance = new Seeded(seed, "frames");
  let taken = 0;
  for (let i = 0; i < 20_000; i++) {
    const bytes = chance.bytes(chance.u32() % 13);
    if (bytes.length > 0) bytes[0] = chance.u32() % 8;
    if (bytes.length > 1 && i % 2 === 0) bytes[1] = chance.u32() % 12;
    try {
      assert.deepEqual(encode(decodeFrame(bytes)), bytes, `seed ${seed}, case ${i}`);
      taken++;
    } catch (error) {
      assert(error instanceof FrameError, `seed ${seed}, case ${i}: ${error}`);
    }
  }
  assert(taken > 1_000 && taken < 19_000, `${taken} taken`);
});
