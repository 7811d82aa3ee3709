/** Window updates of Yamux that are held back, frame by frame. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { HELD_BYTES, MAX_HELD, WindowUpdates } from "../../src/universe/window_updates.ts";

function frame(type: number, flags: number, stream: number, length: number): Uint8Array {
  const bytes = new Uint8Array(12), view = new DataView(bytes.buffer);
  bytes[1] = type;
  view.setUint16(2, flags);
  view.setUint32(4, stream);
  view.setUint32(8, length);
  return bytes;
}
const update = (stream: number, bytes: number) => frame(1, 0, stream, bytes);

Deno.test("window updates: small ones wait, and are one once half of a window is owed", () => {
  const updates = new WindowUpdates(), most = HELD_BYTES / 1_000;
  let sent: Uint8Array[] = [];
  for (let i = 0; sent.length === 0; i++) {
    ok(i <= most, "nothing was sent while half of a window was owed");
    sent = updates.pass(update(7, 1_000));
  }
  deepEqual(sent, [update(7, 132_000)]);
  deepEqual(updates.pass(update(7, 5)), [], "what was sent is not owed any more");
});

Deno.test("window updates: one of half a window or more passes at once", () => {
  const updates = new WindowUpdates();
  deepEqual(updates.pass(update(3, HELD_BYTES)), [update(3, HELD_BYTES)]);
  deepEqual(updates.pass(update(3, 2 ** 31)), [update(3, 2 ** 31)]);
});

Deno.test("window updates: streams are counted apart", () => {
  const updates = new WindowUpdates();
  deepEqual(updates.pass(update(1, HELD_BYTES - 1)), []);
  deepEqual(updates.pass(update(2, HELD_BYTES - 1)), []);
  deepEqual(updates.pass(update(1, 1)), [update(1, HELD_BYTES)]);
  deepEqual(updates.pass(update(2, 2)), [update(2, HELD_BYTES + 1)]);
});

Deno.test("window updates: what says more than bytes passes as it is", () => {
  const updates = new WindowUpdates();
  const others = [
    ...[1, 2, 4, 8].map((flag) => frame(1, flag, 5, 100)),
    frame(2, 1, 0, 77),
    frame(3, 0, 0, 0),
    frame(0, 0, 5, 0),
    new Uint8Array(3),
  ];
  for (const one of others) deepEqual(updates.pass(one), [one]);
  deepEqual(updates.pass(update(5, 1)), [], "they count for nothing");
});

Deno.test("window updates: of too many streams the oldest gets what it is owed", () => {
  const updates = new WindowUpdates();
  for (let stream = 1; stream <= MAX_HELD; stream++) {
    deepEqual(updates.pass(update(stream, stream)), []);
  }
  updates.pass(update(1, 10)); // the newest again
  deepEqual(updates.pass(update(9_999, 1)), [update(2, 2)]);
  equal(updates.pass(update(10_000, 1)).length, 1);
});
