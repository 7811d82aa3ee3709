/** Scenarios: tokens as tickets: who is admitted, until when, by how many issuers. */
import assert from "node:assert/strict";
import { declareStream } from "../../../src/universe/streams/declare.ts";
import { ec, okp, otherEc } from "../../ops/issuer.ts";
import { type Issuing, issuing } from "./issuing.ts";
import { connected, Crowd, flows, heardBy, type Member, over } from "./world.ts";
import { type Scenario, type StreamsWorld, TEXT } from "./world.ts";

/** For how long a ticket holds that runs out during a scenario, in milliseconds. */
const SHORT_MS = 3_000;
const LONG_MS = 600_000;

/** Consumers check producers: of those with a valid, an ended and no ticket, the first counts. */
const stream_consumer: Scenario = async (world) => {
  const issuer = await issuing(world);
  const crowd = await Crowd.of(world, "valid", "expired", "none", "consumer");
  const [valid, expired, none, c] = crowd;
  issuer.show(valid, { forMs: LONG_MS });
  issuer.show(expired, { forMs: -LONG_MS });
  const producers = [valid, expired, none].map((it) =>
    it.streams.produce({ name: "s", codec: TEXT })
  );
  const consumer = c.streams.consume({ name: "s", codec: TEXT, tickets: [issuer.validator] });
  await heardBy(world, producers[0], c);
  await world.until("others are refused", () => over(consumer, expired) && over(consumer, none));
  assert.deepEqual(producers.map((it) => it.consumers.length), [1, 0, 0]);
  await flows(world, producers[0], consumer);
  await crowd.stop();
};

/** Producers check consumers, likewise. */
const stream_producer: Scenario = async (world) => {
  const issuer = await issuing(world);
  const crowd = await Crowd.of(world, "valid", "expired", "none", "producer");
  const [valid, expired, none, p] = crowd;
  issuer.show(valid, { forMs: LONG_MS });
  issuer.show(expired, { forMs: -LONG_MS });
  const producer = p.streams.produce({ name: "s", codec: TEXT, tickets: [issuer.validator] });
  const consumers = [valid, expired, none].map((it) =>
    it.streams.consume({ name: "s", codec: TEXT })
  );
  await heardBy(world, producer, valid);
  for (const it of consumers.slice(1)) {
    await world.until("others are refused", () => over(it, p, "NotAllowed"));
  }
  assert.equal(producer.consumers.length, 1);
  await flows(world, producer, consumers[0]);
  await crowd.stop();
};

const stream_consumer_ticket_expiry: Scenario = async (world) => {
  const issuer = await issuing(world);
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  issuer.show(a, { forMs: SHORT_MS });
  const producer = a.streams.produce({ name: "s", codec: TEXT });
  const consumer = b.streams.consume({ name: "s", codec: TEXT, tickets: [issuer.validator] });
  await heardBy(world, producer, b);
  await flows(world, producer, consumer);
  await world.until("the ticket runs out", () => over(consumer, a));
  await world.until("nobody is connected", () => producer.consumers.length === 0);
  assert.equal(producer.trySend("late"), "offline");
  issuer.show(a, { forMs: LONG_MS });
  await heardBy(world, producer, b);
  await crowd.stop();
};

const stream_producer_ticket_expiry: Scenario = async (world) => {
  const issuer = await issuing(world);
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  issuer.show(b, { forMs: SHORT_MS });
  const producer = a.streams.produce({ name: "s", codec: TEXT, tickets: [issuer.validator] });
  const consumer = b.streams.consume({ name: "s", codec: TEXT });
  await heardBy(world, producer, b);
  await flows(world, producer, consumer);
  await world.until("the ticket runs out", () => over(consumer, a));
  assert.equal(producer.consumers.length, 0);
  assert.equal(producer.trySend("late"), "offline");
  issuer.show(b, { forMs: LONG_MS });
  await heardBy(world, producer, b);
  await flows(world, producer, consumer);
  await crowd.stop();
};

/** Two issuers; members with both tickets, with the first's, with the second's. */
async function two(
  world: StreamsWorld,
  members: readonly Member[],
): Promise<readonly Issuing[]> {
  const first = await issuing(world, { ticketClass: "first" });
  const second = await issuing(world, { by: okp, ticketClass: "second" });
  for (const i of [0, 1]) first.show(members[i], { forMs: LONG_MS });
  for (const i of [0, 2]) second.show(members[i], { forMs: LONG_MS });
  return [first, second];
}

const stream_consumer_multiple_validators: Scenario = async (world) => {
  const crowd = await Crowd.of(world, "both", "one", "other", "c");
  const [both, one, other, c] = crowd;
  const tickets = (await two(world, [both, one, other])).map((it) => it.validator);
  const producers = [both, one, other].map((it) => it.streams.produce({ name: "s", codec: TEXT }));
  const consumer = c.streams.consume({ name: "s", codec: TEXT, tickets });
  await heardBy(world, producers[0], c);
  await world.until("one is not enough", () => over(consumer, one) && over(consumer, other));
  assert.deepEqual(producers.map((it) => it.consumers.length), [1, 0, 0]);
  await flows(world, producers[0], consumer);
  await crowd.stop();
};

const stream_producer_multiple_validators: Scenario = async (world) => {
  const crowd = await Crowd.of(world, "both", "one", "other", "p");
  const [both, one, other, p] = crowd;
  const tickets = (await two(world, [both, one, other])).map((it) => it.validator);
  const producer = p.streams.produce({ name: "s", codec: TEXT, tickets });
  const consumers = [both, one, other].map((it) => it.streams.consume({ name: "s", codec: TEXT }));
  await heardBy(world, producer, both);
  for (const it of consumers.slice(1)) {
    await world.until("one is not enough", () => over(it, p, "NotAllowed"));
  }
  assert.equal(producer.consumers.length, 1);
  await flows(world, producer, consumers[0]);
  await crowd.stop();
};

const es256_asymmetric_tickets: Scenario = async (world) => {
  const issuer = await issuing(world);
  const forger = await issuing(world, { by: otherEc });
  const crowd = await Crowd.of(world, "honest", "forged", "borrowed", "p");
  const [honest, forged, borrowed, p] = crowd;
  issuer.show(honest, { forMs: LONG_MS });
  forger.show(forged, { forMs: LONG_MS });
  borrowed.streams.entry.setTicket("jwt", issuer.token(honest, { forMs: LONG_MS }));
  const producer = p.streams.produce({ name: "s", codec: TEXT, tickets: [issuer.validator] });
  const [mine, ...others] = [honest, forged, borrowed].map((it) =>
    it.streams.consume({ name: "s", codec: TEXT })
  );
  await heardBy(world, producer, honest);
  for (const it of others) {
    await world.until("another key is refused", () => over(it, p, "NotAllowed"));
  }
  await flows(world, producer, mine);
  await crowd.stop();
};

/** The public key of RFC 7515, A.3, as its two coordinates in hex. */
const HEX_KEY = {
  x: "7fcdce2770f6c45d4183cbee6fdb4b7b580733357be9ef13bacf6e3c7bd15445",
  y: "c7f144cd1bbd9b7e872cdfedb9eeb9f4b3695d6ea90b24ad8a4623288588e5ad",
} as const;
const [x, y] = [HEX_KEY.x, HEX_KEY.y].map((it) =>
  Uint8Array.fromHex(it).toBase64({ alphabet: "base64url", omitPadding: true })
);
const JWK = JSON.stringify({ kty: "EC", crv: "P-256", x, y });

const es256_hex_const_key: Scenario = async (world) => {
  const issuer = await issuing(world, { by: ec, key: JWK });
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  issuer.show(a, { forMs: LONG_MS });
  const producer = a.streams.produce({ name: "s", codec: TEXT });
  const consumer = b.streams.consume({ name: "s", codec: TEXT, tickets: [issuer.validator] });
  await heardBy(world, producer, b);
  await flows(world, producer, consumer);
  await crowd.stop();
};

const es256_stream_macro_hex_key: Scenario = async (world) => {
  const audience = "11".repeat(32); // the universe's id
  const issuer = await issuing(world, { by: ec, key: JWK, audience });
  const crowd = await Crowd.of(world, "a", "b", "c");
  const [a, b, c] = crowd;
  const declared = declareStream({
    name: "s",
    codec: TEXT,
    consumer: { tickets: [issuer.validator] },
  });
  issuer.show(b, { forMs: LONG_MS, audience });
  issuer.show(c, { forMs: LONG_MS });
  const producer = declared.producer(a.streams);
  const [mine, stranger] = [b, c].map((it) => declared.consumer(it.streams));
  await heardBy(world, producer, b);
  await world.until("made for another universe", () => over(stranger, a, "NotAllowed"));
  await flows(world, producer, mine);
  assert(connected(mine, a));
  await crowd.stop();
};

/** A ticket that is renewed in time keeps the stream, one that is taken back ends it. */
const renewed_and_withdrawn: Scenario = async (world) => {
  const issuer = await issuing(world);
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  issuer.show(b, { forMs: SHORT_MS });
  const producer = a.streams.produce({ name: "s", codec: TEXT, tickets: [issuer.validator] });
  const consumer = b.streams.consume({ name: "s", codec: TEXT });
  await heardBy(world, producer, b);
  const start = b.environment.clock.now();
  issuer.show(b, { forMs: LONG_MS });
  const later = b.environment.clock.now() + SHORT_MS + 2_000;
  let passed = false;
  b.environment.clock.after(later - b.environment.clock.now(), () => passed = true);
  await world.until("the first ticket has run out", () => passed);
  assert(b.environment.clock.now() - start >= SHORT_MS);
  assert.equal(producer.consumers.length, 1);
  assert(producer.consumers[0].uptime >= SHORT_MS, "it was never cut");
  await flows(world, producer, consumer);
  b.streams.entry.setTicket("jwt", undefined);
  await world.until("without a ticket it is cut", () => over(consumer, a, "NotAllowed"));
  assert.equal(producer.consumers.length, 0);
  await crowd.stop();
};

export const tickets = {
  stream_consumer,
  stream_producer,
  stream_consumer_ticket_expiry,
  stream_producer_ticket_expiry,
  stream_consumer_multiple_validators,
  stream_producer_multiple_validators,
  es256_asymmetric_tickets,
  es256_hex_const_key,
  es256_stream_macro_hex_key,
  renewed_and_withdrawn,
};
