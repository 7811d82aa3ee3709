/** Scenarios: whom each side wants, by tags, tickets and round trips; and changes of mind. */
import assert from "node:assert/strict";
import { rttBelow, tagged } from "../../../src/universe/streams/options.ts";
import { type Issuing, issuing } from "./issuing.ts";
import {
  connected,
  Crowd,
  flows,
  heardBy,
  type Member,
  over,
  type Scenario,
  type StreamsWorld,
  TEXT,
} from "./world.ts";

const HERE = "a predicate does not hold";

/** Three producers and a consumer that wants some of them. */
async function choosing(
  world: StreamsWorld,
  prepare: (producers: readonly Member[], issuer: Issuing) => Promise<void> | void,
  options: (issuer: Issuing) => Parameters<Member["streams"]["consume"]>[0],
  chosen: readonly number[],
): Promise<void> {
  const issuer = await issuing(world);
  const crowd = await Crowd.of(world, "p0", "p1", "p2", "c");
  const [p0, p1, p2, c] = crowd, members = [p0, p1, p2];
  await prepare(members, issuer);
  crowd.board.meetAll();
  const producers = members.map((it) => it.streams.produce({ name: "s", codec: TEXT }));
  const consumer = c.streams.consume({ ...options(issuer), name: "s", codec: TEXT });
  for (const [i, member] of members.entries()) {
    const wanted = chosen.includes(i);
    await world.until(
      `${member.name} is ${wanted ? "" : "not "}chosen`,
      () => wanted ? connected(consumer, member) : over(consumer, member),
    );
    if (wanted) await heardBy(world, producers[i], c);
    else assert.equal(producers[i].consumers.length, 0);
  }
  for (const i of chosen) await flows(world, producers[i], consumer);
  await crowd.stop();
}

/** A producer and three consumers, of which it wants some. */
async function admitting(
  world: StreamsWorld,
  prepare: (
    consumers: readonly Member[],
    issuer: Issuing,
    producer: Member,
  ) => Promise<void> | void,
  options: (issuer: Issuing) => Parameters<Member["streams"]["produce"]>[0],
  admitted: readonly number[],
): Promise<void> {
  const issuer = await issuing(world);
  const crowd = await Crowd.of(world, "p", "c0", "c1", "c2");
  const [p, c0, c1, c2] = crowd, members = [c0, c1, c2];
  await prepare(members, issuer, p);
  crowd.board.meetAll();
  const producer = p.streams.produce({ ...options(issuer), name: "s", codec: TEXT });
  const consumers = members.map((it) => it.streams.consume({ name: "s", codec: TEXT }));
  for (const [i, consumer] of consumers.entries()) {
    const wanted = admitted.includes(i);
    await world.until(
      `${members[i].name} is ${wanted ? "" : "not "}admitted`,
      () => wanted ? connected(consumer, p) : over(consumer, p, "NotAllowed"),
    );
  }
  await heardBy(world, producer, ...admitted.map((i) => members[i]));
  await flows(world, producer, ...admitted.map((i) => consumers[i]));
  await crowd.stop();
}

const TAGS = [["x"], ["x", "y"], ["y"]];
const tag = (members: readonly Member[]) => {
  for (const [i, member] of members.entries()) for (const it of TAGS[i]) member.view.addTag(it);
};
const chained = { require: [tagged("x"), tagged("y")], name: "s", codec: TEXT } as const;

const consumer_require_chaining: Scenario = (world) =>
  choosing(world, tag, () => chained as never, [1]);

const consumer_by_tag: Scenario = (world) =>
  choosing(world, tag, () => ({ require: [tagged("y")] }) as never, [1, 2]);

/** Valid, run out, none. */
const show = async (members: readonly Member[], issuer: Issuing) => {
  await issuer.show(members[0], { forMs: 600_000 });
  await issuer.show(members[1], { forMs: -600_000 });
};

const consumer_by_jwt_ticket: Scenario = (world) =>
  choosing(world, show, ({ validator }) => ({ tickets: [validator] }) as never, [0]);

const producer_require_chaining: Scenario = (world) =>
  admitting(world, tag, () => chained as never, [1]);

const producer_by_tag: Scenario = (world) =>
  admitting(world, tag, () => ({ require: [tagged("y")] }) as never, [1, 2]);

const producer_by_jwt_ticket: Scenario = (world) =>
  admitting(world, show, ({ validator }) => ({ tickets: [validator] }) as never, [0]);

const dynamic_tag_reevaluation: Scenario = async (world) => {
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  const producer = a.streams.produce({ name: "s", codec: TEXT, require: [tagged("reader")] });
  const consumer = b.streams.consume({ name: "s", codec: TEXT, require: [tagged("writer")] });
  await world.until("b does not want a", () => over(consumer, a, HERE));
  a.streams.entry.addTag("writer");
  await world.until("a does not want b", () => over(consumer, a, "NotAllowed"));
  b.streams.entry.addTag("reader");
  await heardBy(world, producer, b);
  await flows(world, producer, consumer);
  a.streams.entry.removeTag("writer");
  await world.until("b leaves a", () => over(consumer, a, HERE) && producer.consumers.length === 0);
  a.streams.entry.addTag("writer");
  await heardBy(world, producer, b);
  b.streams.entry.removeTag("reader");
  await world.until("a cuts b", () => over(consumer, a, "NotAllowed"));
  assert.equal(producer.consumers.length, 0);
  await crowd.stop();
};

const consumer_require_rtt_accepts_fast_peers: Scenario = async (world) => {
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  b.view.measured(a.view, 20);
  const producer = a.streams.produce({ name: "s", codec: TEXT });
  const consumer = b.streams.consume({ name: "s", codec: TEXT, require: [rttBelow(100)] });
  await heardBy(world, producer, b);
  await flows(world, producer, consumer);
  b.view.measured(a.view, 200);
  await world.until("a is too far away", () => over(consumer, a, HERE));
  await crowd.stop();
};

const consumer_require_rtt_rejects_slow_peers: Scenario = async (world) => {
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  b.view.measured(a.view, 200);
  const producer = a.streams.produce({ name: "s", codec: TEXT });
  const consumer = b.streams.consume({ name: "s", codec: TEXT, require: [rttBelow(100)] });
  await world.until("a is too far away", () => over(consumer, a, HERE));
  assert.equal(producer.consumers.length, 0);
  b.view.measured(a.view, 20);
  await heardBy(world, producer, b);
  await crowd.stop();
};

/** 20 ms, 200 ms, not measured yet. */
const measured = (members: readonly Member[], _: Issuing, producer: Member) => {
  producer.view.measured(members[0].view, 20);
  producer.view.measured(members[1].view, 200);
};

const producer_require_rtt_accepts_fast_peers: Scenario = (world) =>
  admitting(world, measured, () => ({ require: [rttBelow(100)] }) as never, [0, 2]);

const producer_require_rtt_rejects_slow_peers: Scenario = async (world) => {
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  const producer = a.streams.produce({ name: "s", codec: TEXT, require: [rttBelow(100)] });
  const consumer = b.streams.consume({ name: "s", codec: TEXT });
  await heardBy(world, producer, b);
  a.view.measured(b.view, 200);
  await world.until("b is too far away", () => over(consumer, a, "NotAllowed"));
  assert.equal(producer.consumers.length, 0);
  await crowd.stop();
};

export const consumerAuth = {
  require_chaining: consumer_require_chaining,
  by_tag: consumer_by_tag,
  by_jwt_ticket: consumer_by_jwt_ticket,
  dynamic_tag_reevaluation,
  require_rtt_accepts_fast_peers: consumer_require_rtt_accepts_fast_peers,
  require_rtt_rejects_slow_peers: consumer_require_rtt_rejects_slow_peers,
};

export const producerAuth = {
  require_chaining: producer_require_chaining,
  by_tag: producer_by_tag,
  by_jwt_ticket: producer_by_jwt_ticket,
  require_rtt_accepts_fast_peers: producer_require_rtt_accepts_fast_peers,
  require_rtt_rejects_slow_peers: producer_require_rtt_rejects_slow_peers,
};
