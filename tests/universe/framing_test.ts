import assert from "node:assert/strict";
import { FrameReader, prefixOf } from "../../src/universe/framing.ts";

/** Feeds bytes in chunks of a size; frames of at most 200,000 bytes. */
function read(bytes: Uint8Array, chunk: number, stopAfter = Infinity, most = Infinity) {
  const frames: Uint8Array[] = [];
  const refused: number[] = [];
  let kept = 0;
  const reader = new FrameReader({
    limit: () => 200_000,
    frame: (frame) => frames.push(frame) < stopAfter,
    oversize: (length) => refused.push(length),
    kept: (more) => (kept += more) <= most,
  });
  for (let at = 0; at < bytes.length; at += chunk) reader.push(bytes.subarray(at, at + chunk));
  return { frames, refused, kept };
}

function framed(...frames: Uint8Array[]): Uint8Array {
  return Uint8Array.from(frames.flatMap((frame) => [...prefixOf(frame.length), ...frame]));
}

Deno.test("framing: frames come out whole whatever the chunks", () => {
  const sizes = [0, 1, 3, 65_536, 0, 200_000];
  const frames = sizes.map((size, i) => new Uint8Array(size).map((_, j) => j * 7 + i));
  const bytes = framed(...frames);
  for (const chunk of [1, 3, 4, 1_000, 65_540, bytes.length]) {
    assert.deepEqual(read(bytes, chunk), { frames, refused: [], kept: 0 }, `chunks of ${chunk}`);
  }
});

Deno.test("framing: an unfinished frame never comes out", () => {
  const bytes = framed(new Uint8Array(10), new Uint8Array(10));
  assert.equal(read(bytes.subarray(0, bytes.length - 1), 5).frames.length, 1);
});

Deno.test("framing: a length over the limit ends the reading", () => {
  const bytes = Uint8Array.of(...framed(new Uint8Array(2)), ...prefixOf(200_001), 1, 0, 0, 0, 9);
  for (const chunk of [1, 100]) {
    const { frames, refused } = read(bytes, chunk);
    assert.deepEqual([frames.length, refused], [1, [200_001]]);
  }
  assert.deepEqual(read(new Uint8Array(8).fill(255), 3).refused, [2 ** 32 - 1]);
});

Deno.test("framing: a sink that has enough gets no more", () => {
  assert.equal(read(framed(new Uint8Array(1), new Uint8Array(1)), 100, 1).frames.length, 1);
});

Deno.test("framing: a frame does not change with the chunk it came in", () => {
  const bytes = framed(Uint8Array.of(1, 2, 3));
  const { frames } = read(bytes, 100);
  bytes.fill(0);
  assert.deepEqual([...frames[0]], [1, 2, 3]);
});

Deno.test("framing: what is kept is told, and may be refused", () => {
  const bytes = framed(new Uint8Array(200_000));
  const begun = read(bytes.subarray(0, 70_000), 1_000);
  assert.deepEqual([begun.frames.length, begun.kept], [0, 131_072], "doubled past what came");
  const announced = read(bytes.subarray(0, 4), 4);
  assert.equal(announced.kept, 65_536, "little is kept on the word of a prefix alone");
  const refused = read(bytes, 1_000, Infinity, 65_536);
  assert.deepEqual([refused.frames.length, refused.kept], [0, 131_072], "read no further");
});
