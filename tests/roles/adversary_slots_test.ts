/** A client of the round that spoils what others say, unseen: nothing is believed that is not so. */
import assert from "node:assert/strict";
import { equal } from "../../src/protocol/bytes.ts";
import { createEntry, insertEntry } from "../../src/protocol/schedule.ts";
import type { Progress, Submission } from "../../src/roles/outbox.ts";
import { SimulatedInstance } from "../../src/roles/simulated.ts";
import { mallory, running } from "./mallory.ts";

interface Told {
  readonly submission: Submission;
  readonly text: string;
  readonly progress: Progress[];
}

function say(world: SimulatedInstance, client: number, text: string): Told {
  const submission = world.clients[client].role.outbox.send(new TextEncoder().encode(text), {
    deadline: 10 ** 9,
  });
  const progress: Progress[] = [];
  submission.onProgress((p) => void progress.push(p));
  return { submission, text, progress };
}

const decided = (told: readonly Told[]) => () =>
  told.every(({ submission: { status } }) =>
    status.kind !== "pending" && status.kind !== "retrying"
  );

/** Rounds and slots in which a reader has a text. */
function read(world: SimulatedInstance, text: string): string[] {
  return world.readers[0].role.log.flatMap(({ messages }) => messages)
    .filter(({ payload }) => new TextDecoder().decode(payload) === text)
    .map(({ round, slot }) => `${round}/${slot}`);
}

/** What senders were told is what a reader has. */
function truthful(world: SimulatedInstance, told: readonly Told[]): void {
  for (const { submission: { status }, text } of told) {
    const where = read(world, text);
    if (status.kind === "landed") assert.ok(where.includes(`${status.round}/${status.slot}`), text);
    else assert.deepEqual(where, [], `${text} is read, its sender was told ${status.kind}`);
  }
}

const bad = (world: SimulatedInstance) =>
  world.readers[0].role.log.reduce((sum, { badSlots }) => sum + badSlots, 0);

Deno.test("a garbled slot is an exposure and retried; the others in the round land", async () => {
  const world = await running(new SimulatedInstance({ seed: 100, clients: 5 }));
  let left = 1;
  await mallory(world, ({ messages }, _, { layout: { grants } }) => {
    if (grants.length < 3 || left-- <= 0) return;
    messages.set([1, 2, 3], grants[0].offset + 20);
  });
  const told = [0, 1, 2, 3].map((i) => say(world, i, `said by ${i}`));
  assert.ok(await world.run(decided(told), 120_000));
  await world.run(() => false, 2_000);
  assert.deepEqual(told.map(({ submission: { status } }) => status.kind), Array(4).fill("landed"));
  const retried = told.filter(({ progress }) => progress.some((p) => p.kind === "retrying"));
  assert.equal(retried.length, 1);
  assert.deepEqual(retried[0].progress[0], { kind: "retrying", reason: "exposed", attempt: 2 });
  assert.equal(bad(world), 1);
  truthful(world, told);
});

Deno.test("who is garbled every time is told so after two more attempts, `once` after none", async () => {
  const world = await running(new SimulatedInstance({ seed: 101, clients: 4 }));
  await mallory(world, ({ messages }) => void messages.fill(0xa5));
  const message = new TextEncoder().encode("unheard"), { outbox } = world.clients[0].role;
  const once = outbox.send(message, { once: true, deadline: 10 ** 9 });
  assert.deepEqual(await world.settle(once.outcome), { kind: "expired", reason: "exposed" });
  const told = [say(world, 1, "unheard too")];
  assert.ok(await world.run(decided(told), 120_000));
  assert.deepEqual(told[0].progress.map((p) => p.kind), ["retrying", "retrying", "expired"]);
  assert.deepEqual(read(world, "unheard"), []);
  truthful(world, told);
  await world.run(() => false, 2_000);
  assert.equal(bad(world), 4);
});

Deno.test("someone else's commitment, reserved again, gets a slot that nobody can fill", async () => {
  const world = await running(new SimulatedInstance({ seed: 102, clients: 4 }));
  let stolen: { c: Uint8Array; units: number } | undefined, copied = 0, replayed = 0;
  let heard: Uint8Array | undefined;
  await mallory(world, ({ schedule, messages }, header, { layout: { grants } }) => {
    for (const { commitment, offset, length } of grants) {
      if (!stolen) stolen = { c: commitment.slice(), units: length / 64 };
      else if (heard && equal(commitment, stolen.c) && replayed++ < 9) messages.set(heard, offset);
    }
    const slots = world.readers[0].role.log.filter(({ messages }) => messages.length > 0);
    heard ??= slots.at(-1)?.record.messages.slice();
    if (stolen && heard && copied++ < 3) {
      insertEntry(schedule, header.hash, createEntry(header.hash, stolen.c, stolen.units));
    }
  });
  const told = [say(world, 0, "mine alone")];
  assert.ok(await world.run(() => replayed >= 3, 120_000));
  await world.run(() => false, 2_000);
  assert.equal(read(world, "mine alone").length, 1, "it is in the log once");
  assert.ok(bad(world) >= 3, "the copies are bad slots");
  truthful(world, told);
});

Deno.test("a jammed reservation table holds messages up, not rounds; they land after it", async () => {
  const world = await running(new SimulatedInstance({ seed: 103, clients: 4 }));
  let jamming = true;
  const noise = world.universe.randomness("noise");
  await mallory(world, ({ schedule }) => {
    if (jamming) schedule.set(noise.bytes(schedule.length));
  });
  const told = [0, 1, 2].map((i) => say(world, i, `patient ${i}`)), before = world.rounds;
  assert.ok(await world.run(() => world.rounds >= before + 12, 60_000), "rounds go on");
  for (const { submission: { status } } of told) {
    assert.deepEqual([status.kind, "reason" in status && status.reason], [
      "retrying",
      "not granted",
    ]);
  }
  jamming = false;
  assert.ok(await world.run(decided(told), 120_000));
  await world.run(() => false, 2_000);
  assert.deepEqual(told.map(({ submission: { status } }) => status.kind), Array(3).fill("landed"));
  truthful(world, told);
});
