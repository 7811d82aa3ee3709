/** What is bounded: buffers and their policies, queues and credit, turns, callers that wait. */
import assert from "node:assert/strict";
import type { Consumer } from "../../../src/universe/streams/consumer.ts";
import { MAX_WATCHED } from "../../../src/universe/streams/condition.ts";
import { MAX_READERS } from "../../../src/universe/streams/consumer.ts";
import { MAX_DATUM, RAW, tagged } from "../../../src/universe/streams/options.ts";
import { MAX_WAITING_SENDS } from "../../../src/universe/streams/producer.ts";
import { simulated } from "./memory.ts";
import { connected, Crowd, heardBy, type Member, over, take, TEXT, toward } from "./world.ts";

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `${from + i}`);

/** A producer, a consumer that reads what comes, and one with a short queue that does not read. */
async function uneven(policy: "drop" | "cut") {
  const world = simulated();
  const crowd = await Crowd.of(world, "p", "fast", "slow");
  const [p, fast, slow] = crowd;
  const missed: string[] = [];
  const producer = p.streams.produce({
    name: "s",
    codec: TEXT,
    policy,
    bufferItems: 3,
    undelivered: (datum, { id }) => missed.push(`${id === slow.id ? "slow" : "fast"} ${datum}`),
  });
  const read: string[] = [];
  fast.streams.consume({ name: "s", codec: TEXT, onDatum: (datum) => void read.push(datum) });
  await heardBy(world, producer, fast);
  const reluctant = slow.streams.consume({ name: "s", codec: TEXT, queueItems: 4 });
  await heardBy(world, producer, fast, slow);
  return { world, crowd, p, slow, producer, read, missed, reluctant };
}

Deno.test("bounds: under `drop` the slow consumer misses the newest, told and counted", async () => {
  const { world, producer, read, missed, reluctant, slow } = await uneven("drop");
  for (const text of numbers(0, 20)) {
    assert.equal(producer.trySend(text), "sent");
    await world.universe.advance(100);
  }
  assert.deepEqual(read, numbers(0, 20), "the other one misses nothing");
  // Four are in its queue, three in its buffer.
  assert.deepEqual(missed, numbers(7, 20).map((text) => `slow ${text}`));
  const status = producer.consumers.find(({ peer }) => peer.id === slow.id);
  assert.deepEqual([status?.dropped, status?.datums, status?.waiting.items], [13, 4, 3]);
  assert.deepEqual(await take(world, reluctant, 7), numbers(0, 7));
  await world.universe.advance(100);
  assert.equal(producer.trySend("20"), "sent");
  assert.deepEqual(await take(world, reluctant, 1), ["20"]);
});

Deno.test("bounds: under `cut` it is left, and comes again once it has read", async () => {
  const { world, p, slow, producer, read, missed, reluctant } = await uneven("cut");
  for (const text of numbers(0, 20)) {
    assert.equal(producer.trySend(text), "sent");
    await world.universe.advance(100);
  }
  assert.deepEqual(read, numbers(0, 20));
  assert.deepEqual(missed, ["slow 7"]);
  assert.equal(producer.consumers.length, 1);
  assert.equal(toward(reluctant, p)?.reason, "TooSlow");
  await world.universe.advance(120_000);
  assert(!connected(reluctant, p), "what it holds must be read first");
  assert.deepEqual(await take(world, reluctant, 4), numbers(0, 4), "in the buffer it was lost");
  await world.until("it is connected anew", () => connected(reluctant, p));
  assert.equal(producer.trySend("20"), "sent");
  assert.deepEqual(await take(world, reluctant, 1), ["20"]);
  assert(slow.said("producer gone").some(({ reason }) => reason === "TooSlow"));
});

Deno.test("bounds: with nobody who has room, `drop` gives the datum back and `send` waits", async () => {
  const world = simulated();
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  const missed: string[] = [];
  const producer = a.streams.produce({
    name: "s",
    codec: TEXT,
    policy: "drop",
    bufferItems: 2,
    undelivered: (datum) => missed.push(datum),
  });
  const consumer = b.streams.consume({ name: "s", codec: TEXT, queueItems: 2 });
  await heardBy(world, producer, b);
  for (const text of numbers(0, 4)) assert.equal(producer.trySend(text), "sent");
  assert.equal(producer.trySend("4"), "full");
  const sends = numbers(4, 10).map((text) => producer.send(text));
  assert.equal(producer.trySend("out of turn"), "full");
  await world.universe.advance(60_000);
  assert.deepEqual(producer.consumers[0].waiting, { items: 2, bytes: 2 });
  assert.equal(producer.consumers[0].datums, 2, "no more than the consumer's window is under way");
  assert.deepEqual(await take(world, consumer, 10), numbers(0, 10));
  for (const it of sends) await world.settle(it);
  assert.deepEqual([missed, producer.consumers[0].dropped], [[], 0]);
});

Deno.test("bounds: a buffer and a queue are bounded in bytes too", async () => {
  const world = simulated();
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  const common = { name: "s", codec: RAW, maxDatum: 1_000 } as const;
  const producer = a.streams.produce({ ...common, policy: "drop", bufferBytes: 2_500 });
  const consumer = b.streams.consume({ ...common, queueBytes: 3_000 });
  await heardBy(world, producer, b);
  const datum = new Uint8Array(1_000);
  let sent = 0;
  while (producer.trySend(datum) === "sent") sent++;
  assert.equal(sent, 5, "three within the window, two in the buffer");
  assert.deepEqual(producer.consumers[0].waiting, { items: 2, bytes: 2_000 });
  assert.equal(producer.trySend(new Uint8Array(500)), "sent");
  assert.equal(producer.trySend(new Uint8Array(1)), "full");
  assert.equal(producer.trySend(new Uint8Array(1_001)), "encoding");
  assert.equal((await take(world, consumer, 6))[5].length, 500);
});

/** Long streams of small and of longest data, read at leisure: credit never runs dry. */
Deno.test("bounds: credit goes on for data of every size and every window", async () => {
  for (const [queueItems, queueBytes] of [[2, 2_000], [3, 2_001], [1_024, 2_000], [5, 100_000]]) {
    const world = simulated(queueItems);
    const crowd = await Crowd.of(world, "a", "b");
    const [a, b] = crowd;
    const common = { name: "s", codec: RAW, maxDatum: 1_000 } as const;
    const producer = a.streams.produce({ ...common, policy: "drop", bufferItems: 4 });
    const got: number[] = [];
    b.streams.consume({
      ...common,
      queueItems,
      queueBytes,
      onDatum: (datum) => void got.push(datum.length),
    });
    await heardBy(world, producer, b);
    const sizes = Array.from({ length: 200 }, (_, i) => [0, 1_000, 1, 999, 500, 501][i % 6]);
    for (const size of sizes) await world.settle(producer.send(new Uint8Array(size)));
    await world.until("all arrive", () => got.length === sizes.length);
    assert.deepEqual(got, sizes);
    assert.equal(producer.consumers[0].dropped, 0);
  }
});

Deno.test("bounds: a loud producer does not hold up a quiet one", async () => {
  const world = simulated();
  const crowd = await Crowd.of(world, "loud", "quiet", "c");
  const [loud, quiet, c] = crowd;
  const producers = [loud, quiet].map((it) => it.streams.produce({ name: "s", codec: TEXT }));
  const consumer: Consumer<string> = c.streams.consume({ name: "s", codec: TEXT });
  for (const it of producers) await heardBy(world, it, c);
  for (const text of numbers(0, 500)) producers[0].trySend(text);
  await world.universe.advance(1_000);
  producers[1].trySend("hear me");
  await world.universe.advance(1_000);
  const first = await take(world, consumer, 3);
  assert(first.includes("hear me"), first.join());
  assert.equal((await take(world, consumer, 498)).at(-1), "499");
});

Deno.test("bounds: a callback is asked again when it has ended, also with an error", async () => {
  const world = simulated();
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  const producer = a.streams.produce({ name: "s", codec: TEXT });
  const read: string[] = [];
  let running = 0, most = 0;
  const consumer = b.streams.consume({
    name: "s",
    codec: TEXT,
    async onDatum(datum) {
      most = Math.max(most, ++running);
      await new Promise<void>((resolve) => b.environment.clock.after(10, resolve));
      running--;
      read.push(datum);
      if (datum === "1") throw new Error("a listener's mistake");
    },
  });
  await assert.rejects(consumer.next(), { name: "StreamError", code: "exists" });
  await heardBy(world, producer, b);
  for (const text of numbers(0, 5)) producer.trySend(text);
  await world.until("all are read", () => read.length === 5);
  assert.deepEqual([read, most], [numbers(0, 5), 1]);
  assert.equal(b.said("datum listener failed").length, 1);
});

Deno.test("bounds: the iterator ends with the consumer", async () => {
  const world = simulated();
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  const producer = a.streams.produce({ name: "s", codec: TEXT });
  const consumer = b.streams.consume({ name: "s", codec: TEXT });
  await heardBy(world, producer, b);
  for (const text of numbers(0, 3)) producer.trySend(text);
  const read: string[] = [];
  const reading = (async () => {
    for await (const { datum, from } of consumer) {
      assert.equal(from.id, a.id);
      read.push(datum);
    }
  })();
  await world.until("three are read", () => read.length === 3);
  consumer.close();
  await world.settle(reading);
  assert.equal(await consumer.next(), undefined);
  await world.until("the producer knows", () => producer.consumers.length === 0);
});

Deno.test("bounds: callers that wait are bounded, options are checked", async () => {
  const world = simulated();
  const crowd = await Crowd.of(world, "a");
  const [a] = crowd as Iterable<Member>;
  const producer = a.streams.produce({ name: "s", codec: TEXT });
  const consumer = a.streams.consume({ name: "s", codec: TEXT });
  const full = { name: "StreamError", code: "full" };
  const quiet = (promise: Promise<unknown>) => void promise.catch(() => {});
  for (let i = 0; i < MAX_WAITING_SENDS; i++) quiet(producer.send("x"));
  await assert.rejects(producer.send("x"), full);
  for (let i = 0; i < MAX_READERS; i++) quiet(consumer.next());
  await assert.rejects(consumer.next(), full);
  for (let i = 0; i < MAX_WATCHED; i++) quiet(producer.when().online().wait());
  await assert.rejects(producer.when().online().wait(), full);
  await assert.rejects(producer.send("x".repeat(65_537)), { code: "encoding" });
  const common = { codec: RAW, name: "other" };
  const bad = [{ maxDatum: 0 }, { maxDatum: MAX_DATUM + 1 }, { maxDatum: 1.5 }];
  for (const it of bad) assert.throws(() => a.streams.produce({ ...common, ...it }), RangeError);
  assert.throws(() => a.streams.produce({ ...common, maxConsumers: 0 }), RangeError);
  assert.throws(() => a.streams.produce({ ...common, bufferItems: -1 }), RangeError);
  assert.throws(() => a.streams.consume({ ...common, queueItems: 1 }), RangeError);
  assert.throws(() => a.streams.consume({ ...common, queueBytes: 131_071 }), RangeError);
  assert.throws(() => a.streams.consume({ ...common, maxProducers: 0 }), RangeError);
  assert(!a.view.info.streams.has("other"));
});

Deno.test("bounds: no more producers are followed than asked", async () => {
  const world = simulated();
  const crowd = await Crowd.of(world, "a", "b", "c", "d");
  const [a, b, c, d] = crowd;
  for (const it of [a, b, c]) it.streams.produce({ name: "s", codec: TEXT });
  await world.universe.advance(1_000);
  const consumer = d.streams.consume({ name: "s", codec: TEXT, maxProducers: 2 });
  await world.until("two are connected", () => consumer.when().subscribed().minimumOf(2).met);
  await world.universe.advance(10_000);
  assert.equal(consumer.producers.length, 2);
  const [gone] = consumer.producers;
  [a, b, c].find(({ id }) => id === gone.peer.id)?.streams.close();
  await world.until(
    "the third takes its place",
    () =>
      consumer.when().subscribed().minimumOf(2).met &&
      consumer.producers.every(({ peer }) => peer.id !== gone.peer.id),
  );
});

Deno.test("bounds: whom a consumer refuses gives way to one that it did not judge yet", async () => {
  const world = simulated();
  const crowd = await Crowd.of(world, "a", "b", "c", "d", "reader");
  const [a, b, c, d, reader] = crowd;
  for (const it of [a, b]) it.streams.produce({ name: "s", codec: TEXT });
  await world.universe.advance(1_000);
  const options = { name: "s", codec: TEXT, maxProducers: 2, require: [tagged("good")] };
  const consumer = reader.streams.consume(options);
  await world.until("both are refused", () => over(consumer, a) && over(consumer, b));
  c.view.addTag("good");
  c.streams.produce({ name: "s", codec: TEXT });
  await world.until("one that it wants has a place", () => connected(consumer, c));
  const other = toward(consumer, a) ? b : a;
  d.streams.produce({ name: "s", codec: TEXT });
  await world.until("and one more is judged", () => over(consumer, d));
  assert(!toward(consumer, a) && !toward(consumer, b));
  await world.universe.advance(60_000);
  assert(toward(consumer, d) && connected(consumer, c), "whom it judged has no second turn");
  other.view.addTag("good");
  await world.until("unless its entry is another", () => connected(consumer, other));
  assert.equal(consumer.producers.length, 2);
});
