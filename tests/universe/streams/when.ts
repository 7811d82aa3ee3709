/** Scenarios: conditions, limits and numbers. */
import assert from "node:assert/strict";
import { StreamError } from "../../../src/universe/streams/errors.ts";
import {
  audience,
  connected,
  Crowd,
  flows,
  heardBy,
  type Scenario,
  take,
  TEXT,
  toward,
} from "./world.ts";

/** A condition's promise, and whether it has fired. */
function watched(promise: Promise<void>): { fired: boolean } {
  const state = { fired: false };
  promise.then(() => state.fired = true, () => {});
  return state;
}

const consumer_when_smoke: Scenario = async (world) => {
  const crowd = await Crowd.of(world, "a", "b", "c");
  const [a, b, c] = crowd;
  a.view.addTag("first");
  crowd.board.meetAll();
  const consumer = c.streams.consume({ name: "s", codec: TEXT });
  const when = consumer.when();
  assert(when.online().met && when.unsubscribed().met && !when.subscribed().met);
  const none = when.unsubscribed();
  await world.settle(none.wait());
  const one = watched(when.subscribed().wait());
  const both = watched(when.subscribed().minimumOf(2).wait());
  const first = watched(when.subscribed().withTags("first").wait());
  const named = watched(when.subscribed().withPredicate(({ id }) => id === b.id).wait());
  const again = none.wait();
  b.streams.produce({ name: "s", codec: TEXT });
  await world.until("one, by its id", () => one.fired && named.fired);
  assert(!both.fired && !first.fired && !when.unsubscribed().met);
  a.streams.produce({ name: "s", codec: TEXT });
  await world.until("two, one of them tagged", () => both.fired && first.fired);
  const left = watched(when.subscribed().minimumOf(2).unmet().wait());
  b.streams.close();
  await world.until("one left", () => left.fired);
  a.streams.close();
  await world.settle(again);
  consumer.close();
  await assert.rejects(when.subscribed().wait(), StreamError);
  await crowd.stop();
};

const consumer_online_when: Scenario = async (world) => {
  const crowd = await Crowd.of(world, "a", "b", "c");
  const [a, b, c] = crowd;
  const consumer = c.streams.consume({
    name: "s",
    codec: TEXT,
    onlineWhen: (producers) => producers.minimumOf(2),
  });
  const online = consumer.when().online();
  const first = online.wait();
  a.streams.produce({ name: "s", codec: TEXT });
  await world.until("one is connected", () => connected(consumer, a));
  assert(!consumer.online && consumer.when().offline().met);
  b.streams.produce({ name: "s", codec: TEXT });
  await world.settle(first);
  assert(consumer.online);
  const offline = consumer.when().offline().wait();
  a.streams.close();
  await world.settle(offline);
  assert(!consumer.online);
  const second = online.wait();
  a.streams.produce({ name: "s", codec: TEXT });
  await world.settle(second);
  await crowd.stop();
};

const online_when_catalog_removal: Scenario = async (world) => {
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  const producer = a.streams.produce({ name: "s", codec: TEXT });
  const consumer = b.streams.consume({ name: "s", codec: TEXT, onlineWhen: (it) => it });
  await world.settle(consumer.when().online().wait());
  b.view.forget(a.view);
  await world.settle(consumer.when().offline().wait());
  assert.deepEqual(consumer.producers, []);
  await world.until("a is left", () => producer.consumers.length === 0);
  b.view.hear(a.view);
  await heardBy(world, producer, b);
  await flows(world, producer, consumer);
  await crowd.stop();
};

const online_when_default_is_immediate: Scenario = async (world) => {
  const crowd = await Crowd.of(world, "a");
  const [a] = crowd;
  const consumer = a.streams.consume({ name: "s", codec: TEXT });
  assert(consumer.online);
  await consumer.when().online().wait();
  await crowd.stop();
};

const producer_when_smoke: Scenario = async (world) => {
  const crowd = await Crowd.of(world, "p", "a", "b");
  const [p, a, b] = crowd;
  a.view.addTag("first");
  crowd.board.meetAll();
  const producer = p.streams.produce({ name: "s", codec: TEXT });
  const when = producer.when();
  assert(when.offline().met && when.unsubscribed().met);
  const online = when.online(), changes: boolean[] = [];
  const tagged = watched(when.subscribed().withTags("first").wait());
  const both = when.subscribed().minimumOf(2);
  const second = both.wait();
  const one = b.streams.consume({ name: "s", codec: TEXT });
  await world.settle(online.wait());
  changes.push(producer.online);
  assert(!tagged.fired && !both.met);
  const other = a.streams.consume({ name: "s", codec: TEXT });
  await world.settle(second);
  assert(tagged.fired && both.met);
  const fresh = both.clone().wait(), third = watched(both.wait());
  await world.settle(fresh);
  assert(!third.fired, "it fires on a change alone; its clone at once");
  other.close();
  await world.settle(both.unmet().wait());
  a.streams.consume({ name: "s", codec: TEXT });
  await world.until("met again", () => third.fired);
  one.close();
  a.streams.close();
  await world.settle(when.unsubscribed().wait());
  assert(!producer.online);
  await crowd.stop();
};

const send_fails_if_offline: Scenario = async (world) => {
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  const producer = a.streams.produce({ name: "s", codec: TEXT });
  assert.equal(producer.trySend("early"), "offline");
  const waits = producer.send("waits");
  const next = producer.send("waits too");
  const consumer = b.streams.consume({ name: "s", codec: TEXT });
  await world.settle(waits);
  await world.settle(next);
  assert.deepEqual(await take(world, consumer, 2), ["waits", "waits too"]);
  consumer.close();
  await world.settle(producer.when().offline().wait());
  assert.equal(producer.trySend("late"), "offline");
  const pending = producer.send("never");
  producer.close();
  assert.equal(producer.trySend("closed"), "closed");
  await assert.rejects(world.settle(pending), { name: "StreamError", code: "closed" });
  await assert.rejects(producer.send("closed"), { name: "StreamError", code: "closed" });
  await crowd.stop();
};

const multiple_producers_one_stream: Scenario = async (world) => {
  const crowd = await Crowd.of(world, "a", "b", "c");
  const [a, b, c] = crowd;
  const producers = [a, b].map((it) => it.streams.produce({ name: "s", codec: TEXT }));
  assert.throws(() => a.streams.produce({ name: "s", codec: TEXT }), {
    name: "StreamError",
    code: "exists",
  });
  const consumer = c.streams.consume({ name: "s", codec: TEXT });
  for (const it of producers) await heardBy(world, it, c);
  for (const it of producers) await flows(world, it, consumer);
  producers[0].close();
  const again = a.streams.produce({ name: "s", codec: TEXT });
  await heardBy(world, again, c);
  await crowd.stop();
};

const max_subs: Scenario = async (world) => {
  const names = Array.from({ length: 7 }, (_, i) => `c${i}`);
  const crowd = await Crowd.of(world, "p", ...names);
  const [p, ...others] = crowd;
  const producer = p.streams.produce({ name: "s", codec: TEXT, maxConsumers: 3 });
  const consumers = others.map((it) => it.streams.consume({ name: "s", codec: TEXT }));
  await world.until(
    "three are admitted, four told that there is no room",
    () =>
      consumers.filter((it) => connected(it, p)).length === 3 &&
      consumers.filter((it) => toward(it, p)?.reason === "NoCapacity").length === 4,
  );
  assert.equal(audience(producer).length, 3);
  const inside = consumers.filter((it) => connected(it, p));
  await flows(world, producer, ...inside);
  inside[0].close();
  await world.until(
    "one of the four takes the free place",
    () => consumers.filter((it) => !inside.includes(it) && connected(it, p)).length === 1,
  );
  assert.equal(audience(producer).length, 3);
  await crowd.stop();
};

const producer_online_when: Scenario = async (world) => {
  const crowd = await Crowd.of(world, "p", "a", "b");
  const [p, a, b] = crowd;
  const producer = p.streams.produce({
    name: "s",
    codec: TEXT,
    onlineWhen: (consumers) => consumers.minimumOf(2),
  });
  const one = a.streams.consume({ name: "s", codec: TEXT });
  await heardBy(world, producer, a);
  assert.equal(producer.trySend("too early"), "offline");
  const two = b.streams.consume({ name: "s", codec: TEXT });
  await world.settle(producer.when().online().wait());
  await flows(world, producer, one, two);
  two.close();
  await world.settle(producer.when().offline().wait());
  assert.equal(producer.trySend("too late"), "offline");
  await crowd.stop();
};

const stats_producer: Scenario = async (world) => {
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  const producer = a.streams.produce({ name: "s", codec: TEXT });
  const consumer = b.streams.consume({ name: "s", codec: TEXT });
  await heardBy(world, producer, b);
  const start = a.environment.clock.now();
  for (let i = 0; i < 3; i++) await world.settle(producer.send("test"));
  await take(world, consumer, 3);
  const [{ peer, datums, bytes, dropped, waiting, uptime }] = producer.consumers;
  assert.deepEqual([peer.id, datums, bytes, dropped], [b.id, 3, 12, 0]);
  assert.deepEqual(waiting, { items: 0, bytes: 0 });
  assert(uptime >= a.environment.clock.now() - start);
  await crowd.stop();
};

const stats_consumer: Scenario = async (world) => {
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  const producer = a.streams.produce({ name: "s", codec: TEXT });
  const consumer = b.streams.consume({ name: "s", codec: TEXT });
  assert.deepEqual(consumer.producers.map((it) => it.state), []);
  await world.until("it is connected", () => connected(consumer, a));
  const start = b.environment.clock.now();
  for (let i = 0; i < 3; i++) await world.settle(producer.send("test"));
  await take(world, consumer, 3);
  const [{ peer, state, datums, bytes, uptime, reason }] = consumer.producers;
  assert.deepEqual([peer.id, state, datums, bytes], [a.id, "connected", 3, 12]);
  assert.equal(reason, undefined);
  assert(uptime >= b.environment.clock.now() - start);
  producer.close();
  await world.until("the stream is not announced any more", () => !toward(consumer, a));
  await crowd.stop();
};

export const consumerWhen = {
  smoke: consumer_when_smoke,
  online_when: consumer_online_when,
  online_when_catalog_removal,
  online_when_default_is_immediate,
};
export const producerWhen = {
  smoke: producer_when_smoke,
  send_fails_if_offline,
};
export const producerLimits = {
  multiple_producers_one_stream,
  max_subs,
  online_when: producer_online_when,
};
export const stats = { producer: stats_producer, consumer: stats_consumer };
