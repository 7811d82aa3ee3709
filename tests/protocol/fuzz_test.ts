/** Decoders meet damaged frames: they refuse, with a `ProtocolError` and nothing else. */
import assert from "node:assert/strict";
import { concat, hex } from "../../src/protocol/bytes.ts";
import { ProtocolError, type ProtocolErrorCode } from "../../src/protocol/errors.ts";
import { type Frame, frames } from "./frames.ts";
import { Random } from "./random.ts";
import { refuses } from "./refuses.ts";

const CODES: Record<ProtocolErrorCode, true> = {
  length: true,
  trailing: true,
  range: true,
  encoding: true,
  type: true,
  signature: true,
  key: true,
  mismatch: true,
  chain: true,
};
const ALL = frames(20);

function flip(random: Random, bytes: Uint8Array): Uint8Array {
  const out = bytes.slice();
  out[random.below(out.length)] ^= 1 << random.below(8);
  return out;
}

/** Fills one field with zeros, ones, noise or another field's beginning. */
function refill(random: Random, { bytes, fields }: Frame): Uint8Array {
  const out = bytes.slice(), which = random.below(fields.length);
  const at = fields.slice(0, which).reduce((sum, size) => sum + size, 0), size = fields[which];
  const from = random.below(Math.max(1, bytes.length - size));
  const filling = random.pick([
    new Uint8Array(size),
    new Uint8Array(size).fill(0xff),
    random.bytes(size),
    bytes.subarray(from, from + size),
  ]);
  out.set(filling, at);
  return out;
}

function mutate(random: Random, frame: Frame): Uint8Array {
  const { bytes } = frame;
  switch (random.below(5)) {
    case 0:
      return bytes.slice(0, random.below(bytes.length));
    case 1:
      return concat(bytes, random.bytes(1 + random.below(80)));
    case 2:
      return flip(random, bytes);
    default:
      return refill(random, frame);
  }
}

/** The code of what `act` throws, undefined if it accepts; anything but a ProtocolError is thrown on. */
function codeOf(act: () => void): ProtocolErrorCode | undefined {
  try {
    act();
  } catch (error) {
    if (error instanceof ProtocolError) return error.code;
    throw error;
  }
}

for (const frame of ALL) {
  Deno.test(`${frame.name}: the frame as it was made is read, judged and written again`, () => {
    assert.equal(frame.fields.reduce((sum, size) => sum + size, 0), frame.bytes.length);
    assert.equal(hex(frame.decode(frame.bytes)), hex(frame.bytes));
    frame.judge?.(frame.bytes);
    const shifted = concat(Uint8Array.of(0), frame.bytes).subarray(1);
    assert.equal(hex(frame.decode(shifted)), hex(frame.bytes), "at an odd address");
  });

  Deno.test(`${frame.name}: every cut at a field, and any byte after the end, is refused`, () => {
    let at = 0;
    for (const size of frame.fields) {
      for (const cut of new Set([at, at + size - 1])) {
        const code = codeOf(() => frame.decode(frame.bytes.subarray(0, cut)));
        assert.ok(code === "length" || code === "mismatch", `cut at ${cut}: ${code}`);
      }
      at += size;
    }
    for (const more of [1, 32, 64]) {
      refuses("trailing", () => frame.decode(concat(frame.bytes, new Uint8Array(more))));
    }
  });

  Deno.test(`${frame.name}: what is not bytes is refused`, () => {
    for (const other of [undefined, null, "", 7, [1], {}, new ArrayBuffer(8)]) {
      refuses("type", () => frame.decode(other as Uint8Array));
    }
  });
}

Deno.test("damaged frames give ProtocolErrors, of every code, and none is taken for authentic", () => {
  const hit = new Map<ProtocolErrorCode, number>();
  for (const [which, frame] of ALL.entries()) {
    for (let i = 0; i < 250; i++) {
      const seed = 1_000 * which + i, random = new Random(seed), bytes = mutate(random, frame);
      if (hex(bytes) === hex(frame.bytes)) continue;
      const where = `${frame.name}, seed ${seed}`;
      try {
        const code = codeOf(() => {
          assert.equal(hex(frame.decode(bytes)), hex(bytes), `${where}: a second encoding`);
        });
        if (code) hit.set(code, (hit.get(code) ?? 0) + 1);
        if (frame.judge === undefined) continue;
        const judged = codeOf(() => frame.judge!(bytes));
        assert.ok(judged, `${where}: taken for authentic`);
        hit.set(judged, (hit.get(judged) ?? 0) + 1);
      } catch (error) {
        throw new Error(where, { cause: error });
      }
    }
  }
  assert.deepEqual([...hit.keys()].sort(), Object.keys(CODES).sort(), JSON.stringify([...hit]));
});
