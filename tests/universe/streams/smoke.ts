/** Scenarios: data flow; who finds whom; names and codecs. */
import assert from "node:assert/strict";
import { declareStream } from "../../../src/universe/streams/declare.ts";
import { RAW, tagged } from "../../../src/universe/streams/options.ts";
import { Crowd, flows, heardBy, type Scenario, take, TEXT } from "./world.ts";

const send_recv: Scenario = async (world) => {
  const crowd = await Crowd.of(world, "a", "b", "c");
  const [a, b, c] = crowd;
  const producer = a.streams.produce({ name: "numbers", codec: TEXT });
  const consumers = [b, c].map(({ streams }) => streams.consume({ name: "numbers", codec: TEXT }));
  await heardBy(world, producer, b, c);
  const sent = Array.from({ length: 100 }, (_, i) => `message ${i}`);
  for (const text of sent) await world.settle(producer.send(text));
  for (const consumer of consumers) assert.deepEqual(await take(world, consumer, 100), sent);
  await crowd.stop();
};

const subscription_triggers_catalog_sync: Scenario = async (world) => {
  const crowd = new Crowd(world);
  const [a, b] = [await crowd.add("a"), await crowd.add("b")];
  b.view.addTag("wanted");
  const producer = a.streams.produce({ name: "s", codec: TEXT, require: [tagged("wanted")] });
  b.view.hear(a.view);
  assert.equal(a.view.get(b.id), undefined);
  const consumer = b.streams.consume({ name: "s", codec: TEXT });
  await heardBy(world, producer, b);
  assert(a.view.get(b.id), "the producer learned of its consumer");
  assert.equal(b.view.syncs, 1);
  await flows(world, producer, consumer);
  await crowd.stop();
};

const custom_stream_id: Scenario = async (world) => {
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  const one = a.streams.produce({ name: "one", codec: TEXT });
  const two = a.streams.produce({ name: "two", codec: TEXT });
  const consumers = ["one", "two"].map((name) => b.streams.consume({ name, codec: TEXT }));
  await heardBy(world, one, b);
  await heardBy(world, two, b);
  assert.equal(two.trySend("of two"), "sent");
  assert.equal(one.trySend("of one"), "sent");
  assert.deepEqual(await take(world, consumers[0], 1), ["of one"]);
  assert.deepEqual(await take(world, consumers[1], 1), ["of two"]);
  assert.throws(() => a.streams.produce({ name: "No Name", codec: RAW }), RangeError);
  assert.throws(() => a.streams.consume({ name: "", codec: RAW }), RangeError);
  await crowd.stop();
};

const custom_datum_encoding: Scenario = async (world) => {
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  let encoded = 0;
  const codec = {
    encode: (n: number) => (encoded++, TEXT.encode(n.toString(36))),
    decode: (bytes: Uint8Array) => Number.parseInt(TEXT.decode(bytes), 36),
  };
  const producer = a.streams.produce({ name: "s", codec, maxDatum: 8 });
  const consumers = [1, 2].map(() => b.streams.consume({ name: "s", codec, maxDatum: 8 }));
  await heardBy(world, producer, b, b);
  for (const n of [0, 35, 123_456_789]) await world.settle(producer.send(n));
  assert.equal(encoded, 3, "once for all consumers");
  for (const it of consumers) assert.deepEqual(await take(world, it, 3), [0, 35, 123_456_789]);
  assert.equal(producer.trySend(1e14), "encoding", "nine characters");
  await crowd.stop();
};

const stream_def: Scenario = async (world) => {
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  const declared = declareStream({ name: "declared", codec: TEXT });
  const producer = declared.producer(a.streams);
  const consumer = declared.consumer(b.streams);
  await heardBy(world, producer, b);
  await flows(world, producer, consumer);
  assert.equal(declared.name, "declared");
  await crowd.stop();
};

export const smoke = {
  send_recv,
  subscription_triggers_catalog_sync,
  custom_stream_id,
  custom_datum_encoding,
  stream_def,
};
