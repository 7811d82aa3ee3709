/** One who watches a page: what waits for it, how much, and how long. */
import { deepEqual, equal, rejects } from "node:assert/strict";
import { STALLED_MS, Watcher } from "../../src/ops/watcher.ts";

/** A watcher that begins with two arrays, and may have ten more bytes waiting. */
function watch() {
  const first = [new Uint8Array(100), new Uint8Array(200)],
    clock = { time: 0, now: () => clock.time };
  let gone = 0;
  const watcher = new Watcher(first, 310, clock, () => gone++);
  const reader = watcher.body.getReader();
  return { watcher, clock, first, reader, gone: () => gone };
}

Deno.test("watcher: what is sent is taken in order, and never copied", async () => {
  const { watcher, first, reader } = watch(), more = [Uint8Array.of(1), Uint8Array.of(2)];
  watcher.send(more[0]);
  for (const bytes of [...first, more[0]]) equal((await reader.read()).value, bytes);
  const next = reader.read();
  watcher.send(more[1]);
  equal((await next).value, more[1]);
  const end = reader.read();
  watcher.close();
  deepEqual(await end, { value: undefined, done: true });
});

Deno.test("watcher: so much may wait, what it began with among it", async () => {
  const { watcher, reader } = watch();
  for (let i = 0; i < 10; i++) equal(watcher.send(new Uint8Array(1)), true);
  equal(watcher.send(new Uint8Array(1)), false);
  await rejects(reader.read(), /too slow/);
});

Deno.test("watcher: who takes nothing is cut after a while, however little waits", async () => {
  const { watcher, clock, reader } = watch();
  clock.time = STALLED_MS - 1;
  equal(watcher.send(Uint8Array.of(1)), true);
  await reader.read();
  clock.time += STALLED_MS - 1;
  equal(watcher.send(Uint8Array.of(2)), true, "it takes something now and then");
  clock.time += 1;
  equal(watcher.send(Uint8Array.of(3)), false);
  await rejects(reader.read(), /too slow/);
});

Deno.test("watcher: who has taken everything waits as long as it likes", async () => {
  const { watcher, clock, reader, gone } = watch();
  for (let i = 0; i < 2; i++) await reader.read();
  for (let i = 0; i < 3; i++) {
    clock.time += 10 * STALLED_MS;
    equal(watcher.send(Uint8Array.of(i)), true);
    await reader.read();
  }
  await reader.cancel();
  equal(gone(), 1);
});
