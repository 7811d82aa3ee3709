/** What waits for slow iterations of a reader, and when the log is held back for them. */
import assert from "node:assert/strict";
import { Backlog } from "../../src/roles/queue.ts";

/** A backlog, what was pushed, and how often it was held back and let go. */
function backlog(bound: number) {
  const it = new Backlog<number>(bound), state = { held: 0, free: 0, next: 0 };
  const push = () => {
    const room = it.push(state.next++);
    if (!room) return true;
    state.held++;
    room.then(() => state.free++);
    return false;
  };
  return { it, state, push };
}

Deno.test("what came before the first iteration waits for it, and holds back at half the bound", async () => {
  const { it, state, push } = backlog(8);
  assert.deepEqual([push(), push(), push(), push()], [true, true, true, false]);
  const one = it.iterate();
  await Promise.resolve();
  assert.equal(state.free, 0, "nothing was taken yet");
  assert.deepEqual((await one.next()).value, 0);
  await Promise.resolve();
  assert.equal(state.free, 1);
  for (const expected of [1, 2, 3]) assert.equal((await one.next()).value, expected);
  assert.deepEqual([push(), push(), push(), push(), push()], [true, true, true, false, false]);
  for (const expected of [4, 5, 6, 7, 8]) assert.equal((await one.next()).value, expected);
  assert.equal(state.free, 3);
});

Deno.test("the slowest iteration holds back, until it takes or leaves", async () => {
  const { it, state, push } = backlog(4), fast = it.iterate(), slow = it.iterate();
  push();
  push();
  assert.equal(state.held, 1);
  for (const expected of [0, 1]) assert.equal((await fast.next()).value, expected);
  assert.equal(state.free, 0);
  assert.equal((await slow.next()).value, 0);
  await Promise.resolve();
  assert.equal(state.free, 1);
  push();
  assert.equal(state.held, 2);
  await slow.return(undefined);
  assert.equal((await fast.next()).value, 2);
  assert.equal(state.free, 2);
});

Deno.test("the end comes after what waits, for every iteration", async () => {
  const { it, push } = backlog(8), early = it.iterate();
  push();
  it.end(new Error("stopped"));
  push();
  assert.equal((await early.next()).value, 0);
  await assert.rejects(early.next(), /stopped/);
  await assert.rejects(it.iterate().next(), /stopped/);
});
