/** Scenarios: streams declared once for both sides. */
import assert from "node:assert/strict";
import {
  declareConsumer,
  declareProducer,
  declareStream,
} from "../../../src/universe/streams/declare.ts";
import { RAW, tagged } from "../../../src/universe/streams/options.ts";
import { okp } from "../../ops/issuer.ts";
import { issuing } from "./issuing.ts";
import { Crowd, flows, heardBy, over, type Scenario, take, TEXT } from "./world.ts";

const LONG_MS = 600_000;

const stream_macro_simple: Scenario = async (world) => {
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  const declared = declareStream({ name: "simple", codec: RAW });
  const producer = declared.producer(a.streams);
  const consumer = declared.consumer(b.streams);
  await heardBy(world, producer, b);
  await world.settle(producer.send(Uint8Array.of(1, 2, 3)));
  assert.deepEqual(await take(world, consumer, 1), [Uint8Array.of(1, 2, 3)]);
  await crowd.stop();
};

const stream_macro_named: Scenario = async (world) => {
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  const declared = declareStream({ name: "a-name-of-its-own", codec: TEXT });
  const producer = declared.producer(a.streams);
  assert(a.view.info.streams.has("a-name-of-its-own"));
  const consumer = b.streams.consume({ name: "a-name-of-its-own", codec: TEXT });
  await heardBy(world, producer, b);
  await flows(world, producer, consumer);
  await crowd.stop();
};

const stream_macro_configured: Scenario = async (world) => {
  const crowd = await Crowd.of(world, "p", "a", "b");
  const [p, a, b] = crowd;
  const declared = declareStream({
    name: "s",
    codec: TEXT,
    maxDatum: 10,
    producer: { maxConsumers: 1, onlineWhen: (it) => it.minimumOf(0) },
    consumer: { onlineWhen: (it) => it.minimumOf(1) },
  });
  const producer = declared.producer(p.streams);
  assert.equal(declared.producer(p.streams), producer, "the producer that exists");
  assert(producer.online);
  assert.equal(producer.trySend("eleven char"), "encoding");
  const one = declared.consumer(a.streams);
  assert(!one.online);
  await heardBy(world, producer, a);
  const two = declared.consumer(b.streams);
  await world.until("no room", () => two.producers[0]?.reason === "NoCapacity");
  await flows(world, producer, one);
  await crowd.stop();
};

const stream_macro_producer_only: Scenario = async (world) => {
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  const declared = declareProducer({ name: "s", codec: TEXT });
  assert(!("consumer" in declared));
  const producer = declared.producer(a.streams);
  const consumer = declareConsumer({ name: "s", codec: TEXT }).consumer(b.streams);
  await heardBy(world, producer, b);
  await flows(world, producer, consumer);
  await crowd.stop();
};

const stream_macro_producer_require: Scenario = async (world) => {
  const crowd = await Crowd.of(world, "a", "b", "c");
  const [a, b, c] = crowd;
  const declared = declareStream({
    name: "s",
    codec: TEXT,
    producer: { require: [tagged("source")] },
  });
  a.streams.entry.addTag("source");
  const [good, bad] = [a, b].map((it) => declared.producer(it.streams));
  const consumer = declared.consumer(c.streams);
  await heardBy(world, good, c);
  await world.until("producers without the tag are not dialed", () => over(consumer, b));
  assert.equal(bad.consumers.length, 0);
  await flows(world, good, consumer);
  await crowd.stop();
};

const stream_macro_consumer_require: Scenario = async (world) => {
  const crowd = await Crowd.of(world, "a", "b", "c");
  const [a, b, c] = crowd;
  const declared = declareStream({
    name: "s",
    codec: TEXT,
    consumer: { require: [tagged("reader")] },
  });
  b.streams.entry.addTag("reader");
  const producer = declared.producer(a.streams);
  const [good, bad] = [b, c].map((it) => declared.consumer(it.streams));
  await heardBy(world, producer, b);
  await world.until("consumers without it are refused", () => over(bad, a, "NotAllowed"));
  await flows(world, producer, good);
  await crowd.stop();
};

const STREAM_NAME = "constant";

const stream_macro_const_id: Scenario = async (world) => {
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  const one = declareProducer({ name: STREAM_NAME, codec: TEXT });
  const other = declareConsumer({ name: STREAM_NAME, codec: TEXT });
  assert.equal(one.name, other.name);
  const producer = one.producer(a.streams);
  const consumer = other.consumer(b.streams);
  await heardBy(world, producer, b);
  await flows(world, producer, consumer);
  await crowd.stop();
};

const stream_macro_require_ticket: Scenario = async (world) => {
  const { validator, ...issuer } = await ticketed(world);
  const crowd = await Crowd.of(world, "a", "b", "c");
  const [a, b, c] = crowd;
  const declared = declareStream({ name: "s", codec: TEXT, tickets: [validator] });
  issuer.show(a, { forMs: LONG_MS });
  const producer = declared.producer(a.streams);
  const [mine, none] = [b, c].map((it) => declared.consumer(it.streams));
  await world.until("consumers need one", () => over(mine, a, "NotAllowed"));
  await world.until("all of them", () => over(none, a, "NotAllowed"));
  issuer.show(b, { forMs: LONG_MS });
  await heardBy(world, producer, b);
  a.streams.entry.setTicket(validator.class, undefined);
  await world.until("producers need one too", () => over(mine, a));
  await crowd.stop();
};

async function ticketed(world: Parameters<Scenario>[0]) {
  const issuer = await issuing(world);
  return { validator: issuer.validator, show: issuer.show.bind(issuer) };
}

const stream_macro_producer_require_ticket: Scenario = async (world) => {
  const { validator, show } = await ticketed(world);
  const crowd = await Crowd.of(world, "a", "b", "c");
  const [a, b, c] = crowd;
  const declared = declareStream({ name: "s", codec: TEXT, producer: { tickets: [validator] } });
  show(a, { forMs: LONG_MS });
  const [good, bad] = [a, b].map((it) => declared.producer(it.streams));
  const consumer = declared.consumer(c.streams);
  await heardBy(world, good, c);
  await world.until("producers without one are not dialed", () => over(consumer, b));
  assert.equal(bad.consumers.length, 0);
  await flows(world, good, consumer);
  await crowd.stop();
};

const stream_macro_consumer_require_ticket: Scenario = async (world) => {
  const { validator, show } = await ticketed(world);
  const crowd = await Crowd.of(world, "a", "b", "c");
  const [a, b, c] = crowd;
  const declared = declareStream({ name: "s", codec: TEXT, consumer: { tickets: [validator] } });
  show(b, { forMs: LONG_MS });
  const producer = declared.producer(a.streams);
  const [good, bad] = [b, c].map((it) => declared.consumer(it.streams));
  await heardBy(world, producer, b);
  await world.until("consumers without one are refused", () => over(bad, a, "NotAllowed"));
  await flows(world, producer, good);
  await crowd.stop();
};

const stream_macro_multiple_require_ticket: Scenario = async (world) => {
  const first = await issuing(world, { ticketClass: "first" });
  const second = await issuing(world, { by: okp, ticketClass: "second" });
  const crowd = await Crowd.of(world, "a", "b", "c");
  const [a, b, c] = crowd;
  const declared = declareStream({
    name: "s",
    codec: TEXT,
    tickets: [first.validator],
    consumer: { tickets: [second.validator] },
  });
  for (const it of [a, b, c]) first.show(it, { forMs: LONG_MS });
  second.show(b, { forMs: LONG_MS });
  const producer = declared.producer(a.streams);
  const [good, bad] = [b, c].map((it) => declared.consumer(it.streams));
  await heardBy(world, producer, b);
  await world.until("one of two is not enough", () => over(bad, a, "NotAllowed"));
  await flows(world, producer, good);
  await crowd.stop();
};

export const declared = {
  stream_macro_simple,
  stream_macro_named,
  stream_macro_configured,
  stream_macro_producer_only,
  stream_macro_producer_require,
  stream_macro_consumer_require,
  stream_macro_const_id,
  stream_macro_require_ticket,
  stream_macro_producer_require_ticket,
  stream_macro_consumer_require_ticket,
  stream_macro_multiple_require_ticket,
};
