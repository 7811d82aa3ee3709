/** What waits for slow iterations of a reader, and when the log is held back for them. */
import assert from "node:assert/strict";
import { ManualClock } from "../ops/manual_clock.ts";
import { ABANDONED_MS, Backlog } from "../../src/roles/queue.ts";

/** A backlog, what was pushed, and how often it was held back and let go. */
function backlog(bound: number) {
  const clock = new ManualClock(0);
  const it = new Backlog<number>(bound, clock), state = { held: 0, free: 0, next: 0 };
  const push = () => {
    const room = it.push(state.next++);
    if (!room) return true;
    state.held++;
    room.then(() => state.free++);
    return false;
  };
  return { it, state, push, clock };
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

Deno.test("an iteration that was abandoned ends, and holds nobody back any more", async () => {
  const { it, state, push, clock } = backlog(4), left = it.iterate();
  assert.equal(push(), true);
  assert.equal((await left.next()).value, 0);
  const other = it.iterate();
  for (let i = 1; i < 3; i++) {
    push();
    assert.equal((await other.next()).value, i);
  }
  assert.deepEqual([state.held, state.free], [1, 0]);
  clock.fire(ABANDONED_MS);
  await Promise.resolve();
  assert.equal(state.free, 1);
  for (let i = 3; i < 10; i++) {
    assert.equal(push(), true);
    assert.equal((await other.next()).value, i);
  }
  for (const expected of [1, 2]) assert.equal((await left.next()).value, expected);
  await assert.rejects(left.next(), /nothing was taken/);
  assert.equal(clock.pending, 0);
});

Deno.test("an iteration that takes something now and then ends nowhere, nor one that nobody waits for", async () => {
  const { it, state, push, clock } = backlog(4), slow = it.iterate();
  push();
  push();
  clock.fire(10 * ABANDONED_MS);
  const other = it.iterate();
  for (let i = 0; i < 5; i++) {
    assert.equal((await slow.next()).value, i);
    push();
    assert.equal((await other.next()).value, i + 2);
    clock.fire(ABANDONED_MS - 1);
  }
  assert.ok(state.held > 1);
  assert.equal((await slow.next()).value, 5);
  it.end();
  assert.equal(clock.pending, 0);
});
