/**
 * mosaik's scenarios of collections, by name, for the collection that the channel has: the records,
 * written by the committee alone, read and served on by anyone. What a log has no operation for is
 * listed in `tests/universe/README.md`.
 */
import assert from "node:assert/strict";
import { hex } from "../../src/protocol/bytes.ts";
import { PRESETS } from "../../src/protocol/parameters.ts";
import { Play } from "../protocol/play.ts";
import { Collection, type Copy } from "./collection.ts";

let seed = 3_000;

/** A scenario over a log with as many servers. */
function scenario(
  name: string,
  run: (it: Collection) => Promise<void>,
  servers = 1,
  parameters = undefined as Play["parameters"] | undefined,
): void {
  const own = seed++;
  Deno.test(`collections: ${name}`, async () => {
    await run(await new Collection(own, parameters).hold(servers));
  });
}

const rounds = ({ seen }: Copy) => seen.map(({ record }) => record.header.round);

scenario("smoke_no_catchup", async (it) => {
  const copy = await it.reader();
  for (let i = 0; i < 10; i++) {
    it.write(1);
    await it.equals(copy);
  }
});

scenario("catchup_single_reader", async (it) => {
  it.write(20);
  await it.equals(await it.reader());
});

scenario("multiple_readers", async (it) => {
  const copies = await it.readers(3);
  for (let i = 0; i < 5; i++) {
    it.write(4);
    await it.equals(...copies);
  }
});

scenario("catchup_multiple_readers", async (it) => {
  it.write(40);
  await it.equals(...await it.readers(4));
});

scenario("many_writers_many_readers", async (it) => {
  const copies = await it.readers(8);
  for (let i = 0; i < 10; i++) {
    it.write(3);
    await it.universe.advance(20);
  }
  await it.equals(...copies);
  const serving = it.holders.filter(({ feed }) => feed.counts.windows > 0);
  assert.ok(serving.length >= 2, "readers spread over the servers");
}, 3);

scenario("late_writer_catchup", async (it) => {
  it.write(200);
  const late = await it.holder();
  for (let i = 0; i < 20; i++) {
    it.write(1);
    await it.universe.advance(5);
  }
  const whole = () => late.archive.newest === it.written.length;
  assert.ok(await it.universe.run(whole, 60_000), `it is at ${late.archive.newest}`);
  assert.equal(late.archive.oldest, 1);
  it.universe.crash(it.holders[0].network);
  await it.equals(await it.reader(1));
});

scenario("empty", async (it) => {
  const copy = await it.reader();
  await it.universe.advance(60_000);
  assert.deepEqual([copy.seen, copy.stopped], [[], []]);
  it.write(0);
  await it.equals(copy);
  it.write(1);
  await it.equals(copy);
});

scenario("single_entry", async (it) => {
  it.write(1);
  const [one, two] = await it.readers(2);
  await it.equals(one, two);
  assert.deepEqual([rounds(one), rounds(two)], [[1], [1]]);
});

scenario("reader_before_writer", async (it) => {
  const copies = await it.readers(2);
  await it.universe.advance(30_000);
  await it.hold(1);
  it.write(10);
  await it.equals(...copies);
}, 0);

scenario("recreate_reader", async (it) => {
  it.write(50);
  const first = await it.reader();
  await it.universe.run(() => first.seen.length >= 10, 10_000);
  first.role.stop();
  const had = first.seen.length, second = it.copy(first.network);
  it.write(10);
  await it.equals(second);
  assert.equal(first.seen.length, had, "what was dropped hears nothing any more");
});

for (const items of [1, 100, 1_000, 10_000]) {
  scenario(`frozen, ${items} items`, async (it) => {
    it.write(items);
    await it.equals(await it.reader());
  });
}

for (const [first, extra] of [[100, 50], [1_000, 500]]) {
  scenario(`writes_during_sync, ${first} and ${extra} more`, async (it) => {
    it.write(first);
    const copy = await it.reader();
    await it.universe.run(() => copy.seen.length >= first / 10, 10_000);
    for (let i = 0; i < extra; i++) {
      it.write(1);
      await it.universe.advance(1);
    }
    assert.ok(copy.seen.length < it.written.length, "it was written faster than it was read");
    await it.equals(copy);
  });
}

scenario("extend_during_snapshot_sync, 1000 and 500 at once", async (it) => {
  it.write(1_000);
  const copy = await it.reader();
  await it.universe.run(() => copy.seen.length >= 300, 10_000);
  assert.ok(copy.seen.length < 1_000);
  it.write(500);
  await it.equals(copy);
});

scenario("many_readers, 5 at once, 1000 items", async (it) => {
  it.write(1_000);
  await it.equals(...await it.readers(5));
});

scenario("incremental_after_convergence, 500 and 500 one by one", async (it) => {
  it.write(500);
  const copy = await it.reader();
  await it.equals(copy);
  for (let i = 0; i < 500; i++) {
    it.write(1);
    await it.equals(copy);
  }
});

scenario("concurrent_reads_during_sync", async (it) => {
  it.write(400);
  const copy = await it.reader();
  let reads = 0;
  while (copy.seen.length < 400) {
    await it.universe.advance(1);
    const have = rounds(copy);
    assert.deepEqual(have, have.map((_, i) => i + 1), "whatever is there begins with the first");
    if (have.length > 0 && have.length < 400) reads++;
  }
  assert.ok(reads > 10);
});

scenario(
  "large_values, 100 of 10 kB",
  async (it) => {
    for (let i = 0; i < 100; i++) {
      const { reserved, talked } = it.play.talk([String(i).padStart(10_000, "x")]);
      it.certified(reserved.certified);
      it.certified(talked.certified);
    }
    const copy = await it.reader();
    await it.equals(copy);
    const values = copy.seen.flatMap(({ messages }) => messages)
      .map((
        { payload },
      ) => [payload.length, parseInt(new TextDecoder().decode(payload.slice(-2)))]);
    assert.deepEqual(
      values.filter((_, i) => i > 9),
      Array.from({ length: 90 }, (_, i) => [10_000, i + 10]),
    );
    assert.equal(values.length, 100);
  },
  1,
  { ...PRESETS.dev, maxClients: 16, maxTalkers: 16, maxMessageBytes: 10_240 },
);

scenario("rounds that have no record are no gap", async (it) => {
  it.write(10, [1, 4, 5, 9]);
  const copy = await it.reader();
  await it.equals(copy);
  assert.deepEqual(rounds(copy).slice(0, 4), [2, 3, 6, 7]);
  assert.deepEqual(copy.seen.slice(0, 4).map(({ skipped }) => skipped), [1, 0, 2, 0]);
});

scenario("auth_tickets: only the committee writes", async (it) => {
  it.write(5);
  const copy = await it.reader();
  await it.equals(copy);
  // Another committee, which calls itself the same instance, writes a longer log beside it.
  const other = new Play(it.seed + 10_000);
  for (const round of Array.from({ length: 8 }, () => other.round())) {
    it.holders[0].feed.record(round.certified);
  }
  assert.equal(it.holders[0].feed.newest, 8, "a server serves it");
  await it.universe.advance(60_000);
  assert.deepEqual([rounds(copy), copy.stopped], [[1, 2, 3, 4, 5], []]);
});

Deno.test("collections: different_auths_produce_different_group_ids", () => {
  const one = new Play(seed++), two = new Play(seed++);
  const grown = one.next([0, 1, 2], 2),
    other = one.next([0, 1, 2], 2, { parameters: { ...one.parameters, leaseRounds: 9 } });
  const prints = [one, two, grown, other].map(({ manifest }) => hex(manifest.fingerprint));
  assert.equal(new Set(prints).size, 4);
});
