/** Peers that break the rules of a stream: they are told so, named and left, and nobody else is. */
import assert from "node:assert/strict";
import type { Accept, Network, Peer, Stream } from "../../../src/universe/network.ts";
import { Seeded } from "../../../src/universe/seeded.ts";
import { BEAT_MS, SILENT_MS } from "../../../src/universe/streams/channel.ts";
import {
  acceptedFrame,
  BEAT_FRAME,
  CLOSE_REASONS,
  closeFrame,
  creditFrame,
  datumFrame,
  decodeFrame,
  subscribeFrame,
} from "../../../src/universe/streams/frames.ts";
import { DEFAULT_DATUM, kindOf, windowOf } from "../../../src/universe/streams/options.ts";
import { MAX_PENDING } from "../../../src/universe/streams/producer.ts";
import { ADMIT_MS } from "../../../src/universe/streams/source.ts";
import { Streams } from "../../../src/universe/streams/streams.ts";
import { SUBSCRIBE_MS } from "../../../src/universe/streams/subscriber.ts";
import { simulated } from "./memory.ts";
import { connected, Crowd, flows, heardBy, type Member, over, take, TEXT } from "./world.ts";

const KIND = kindOf("s", DEFAULT_DATUM);
const WINDOW = windowOf(DEFAULT_DATUM);

/** What a stranger hears on a stream that it opened or answered. */
class Heard {
  readonly types: string[] = [];
  readonly reasons: string[] = [];
  ended = false;
  readonly frame = (bytes: Uint8Array) => {
    const frame = decodeFrame(bytes);
    this.types.push(frame.type);
    if (frame.type === "close") this.reasons.push(frame.reason);
  };
  readonly closed = () => {
    this.ended = true;
  };
}

/** A producer with an honest consumer, and a stranger that dials it. */
async function besieged(seed = 7) {
  const world = simulated(seed);
  const crowd = await Crowd.of(world, "p", "honest", "stranger");
  const [p, honest, stranger] = crowd;
  const producer = p.streams.produce({ name: "s", codec: TEXT });
  const consumer = honest.streams.consume({ name: "s", codec: TEXT });
  await heardBy(world, producer, honest);
  const dial = async (...frames: Uint8Array[]) => {
    const heard = new Heard();
    const stream = await world.settle(
      stranger.network.open(p.network.self, KIND, () => heard),
    );
    for (const frame of frames) stream.send(frame);
    return { heard, stream };
  };
  return { world, p, stranger, honest, producer, consumer, dial };
}

Deno.test("strangers: a consumer that breaks the rules is told so, and named", async () => {
  const { world, p, stranger, honest, producer, consumer, dial } = await besieged();
  const subscribe = subscribeFrame(WINDOW);
  const broken: readonly (readonly Uint8Array[])[] = [
    [new Uint8Array(0)],
    [Uint8Array.of(77)],
    [creditFrame({ items: 1, bytes: 1 })],
    [datumFrame(new Uint8Array(1))],
    [acceptedFrame(WINDOW)],
    [subscribeFrame({ items: 1, bytes: WINDOW.bytes })],
    [subscribeFrame({ items: 9, bytes: 2 * DEFAULT_DATUM - 1 })],
    [subscribe, subscribe],
    [subscribe, creditFrame({ items: 1, bytes: 0 })],
    [subscribe, creditFrame({ items: 0, bytes: 0 })],
    [subscribe, datumFrame(new Uint8Array(1))],
    [subscribe.with(1, 2)],
  ];
  for (const [i, frames] of broken.entries()) {
    const { heard } = await dial(...frames);
    await world.until(`case ${i} ends`, () => heard.ended);
    assert.deepEqual(heard.reasons, ["Violation"], `case ${i}`);
    const named = p.log.filter(({ event, fields }) =>
      event === "consumer gone" && fields.peer === stranger.id
    );
    assert.equal(named.length, i + 1, `case ${i}`);
  }
  const long = await dial(new Uint8Array(11));
  await world.until("a frame over the limit ends it", () => long.heard.ended);
  assert(p.said("frame over limit").length > 0);
  await heardBy(world, producer, honest);
  await flows(world, producer, consumer);
});

Deno.test("strangers: a consumer that says nothing is left after a while", async () => {
  const { world, producer, dial, honest } = await besieged();
  const mute = await dial();
  const start = world.universe.clock.now();
  await world.until("it did not subscribe", () => mute.heard.ended);
  assert.deepEqual(mute.heard.reasons, ["Violation"]);
  assert(world.universe.clock.now() - start <= SUBSCRIBE_MS + 100);
  const silent = await dial(subscribeFrame(WINDOW));
  await world.until("it is admitted", () => producer.consumers.length === 2);
  const since = world.universe.clock.now();
  await world.until("it is silent", () => silent.heard.ended);
  const lasted = world.universe.clock.now() - since;
  assert(lasted > SILENT_MS && lasted < SILENT_MS + BEAT_MS, `${lasted} ms`);
  assert(silent.heard.types.includes("beat"), "it was beaten to");
  await heardBy(world, producer, honest);
});

Deno.test("strangers: those who are not admitted yet are bounded, in all and of one peer", async () => {
  const { world, p, stranger, producer, honest, dial } = await besieged();
  for (let i = 0; i < KIND.maxPerPeer; i++) await dial();
  await assert.rejects(dial(), { name: "NetworkError", code: "refused" });
  assert(p.said("stream refused").some(({ peer }) => peer === stranger.id));
  await heardBy(world, producer, honest);
  let accept: Accept = () => undefined;
  const network = { self: p.network.self, serve: (_: unknown, it: Accept) => void (accept = it) };
  const { view, environment } = p;
  const node = { network: network as unknown as Network, catalog: view, entry: view, environment };
  const bare = new Streams(node).produce({ name: "bare", codec: TEXT });
  const come = (peer: Peer) =>
    accept({ peer, send: () => true, limit() {}, close() {} } as unknown as Stream);
  const events = Array.from({ length: MAX_PENDING }, () => come(stranger.network.self));
  assert(events.every((it) => it !== undefined));
  assert.equal(come(honest.network.self), undefined);
  events[0]?.frame(subscribeFrame(WINDOW));
  await world.until("one is admitted", () => bare.consumers.length === 1);
  assert(come(honest.network.self));
  assert.equal(come(honest.network.self), undefined);
  await world.universe.advance(SUBSCRIBE_MS);
  assert(come(honest.network.self), "who did not subscribe is gone");
});

/** A consumer, an honest producer, and a stranger that announces the stream and says what it likes. */
async function deceived(seed = 7) {
  const world = simulated(seed);
  const crowd = await Crowd.of(world, "c", "honest", "stranger");
  const [c, honest, stranger] = crowd;
  let script: (stream: Stream) => void = () => {};
  const heards: Heard[] = [];
  stranger.network.serve(KIND, (stream) => {
    const heard = new Heard();
    heards.push(heard);
    queueMicrotask(() => script(stream));
    return heard;
  });
  stranger.view.addStream("s");
  const producer = honest.streams.produce({ name: "s", codec: TEXT });
  await world.universe.advance(100);
  const begin = (play: (stream: Stream) => void) => {
    script = play;
    return c.streams.consume({ name: "s", codec: TEXT, queueItems: 4 });
  };
  return { world, c, honest, stranger, producer, heards, begin };
}

Deno.test("strangers: a producer that breaks the rules is left for good, and named", async () => {
  const small = { items: 4, bytes: WINDOW.bytes };
  const accepted = acceptedFrame(small), datum = datumFrame(Uint8Array.of(65));
  const broken: readonly (readonly Uint8Array[])[] = [
    [datum],
    [BEAT_FRAME, datum],
    [acceptedFrame({ ...small, items: 5 })],
    [acceptedFrame({ ...small, bytes: WINDOW.bytes + 1 })],
    [acceptedFrame({ items: 1, bytes: WINDOW.bytes })],
    [acceptedFrame({ items: 4, bytes: 100 })],
    [accepted, accepted],
    [accepted, subscribeFrame(WINDOW)],
    [accepted, creditFrame({ items: 1, bytes: 1 })],
    [accepted, datum, datum, datum, datum, datum],
    [accepted, datumFrame(Uint8Array.of(0xff))],
    [accepted, closeFrame("Shutdown").with(1, CLOSE_REASONS.length)],
    [accepted, Uint8Array.of(9)],
  ];
  for (const [i, frames] of broken.entries()) {
    const { world, c, stranger, honest, producer, heards, begin } = await deceived(i);
    const consumer = begin((stream) => {
      // After the consumer has subscribed.
      stranger.environment.clock.after(100, () => {
        for (const frame of frames) stream.send(frame);
      });
    });
    await world.until(`case ${i}`, () => over(consumer, stranger, "Violation"));
    await world.universe.advance(600_000);
    assert.equal(heards.length, 1, `case ${i}: it is not dialed again`);
    assert.deepEqual(heards[0].reasons, ["Violation"], `case ${i}`);
    const warned = c.said("producer gone").filter(({ peer }) => peer === stranger.id);
    assert.deepEqual(warned.map(({ reason }) => reason), ["Violation"]);
    await heardBy(world, producer, c);
    assert(connected(consumer, honest));
    if (frames.length > 5) await take(world, consumer, 4);
    stranger.view.addTag("reformed");
    await world.until("its entry changed", () => heards.length === 2);
  }
});

Deno.test("strangers: a producer that does not answer is left, and tried again", async () => {
  const { world, stranger, heards, begin } = await deceived();
  const alive = (stream: Stream) => {
    const beat = () => {
      if (stream.send(BEAT_FRAME)) stranger.environment.clock.after(BEAT_MS, beat);
    };
    beat();
  };
  begin(alive);
  await world.universe.advance(ADMIT_MS + 5_000);
  assert(heards.length >= 2, `${heards.length} attempts`);
  assert.deepEqual(heards[0].types.filter((it) => it !== "beat"), ["subscribe", "close"]);
  assert.deepEqual(heards[0].reasons, ["Cancelled"]);
});

/** Frames at random: well-formed ones, those with a changed byte, and noise. */
function noise(chance: Seeded): Uint8Array {
  const window = { items: chance.u32() % 2_000, bytes: chance.u32() % 2_000_000 };
  const frames = [
    subscribeFrame(window),
    acceptedFrame(window),
    creditFrame({ items: chance.u32() % 3, bytes: chance.u32() % 3 }),
    datumFrame(chance.bytes(chance.u32() % 9)),
    BEAT_FRAME,
    closeFrame(CLOSE_REASONS[chance.u32() % CLOSE_REASONS.length]),
    chance.bytes(chance.u32() % 12),
  ];
  const frame = frames[chance.u32() % frames.length].slice();
  if (frame.length > 0 && chance.u32() % 3 === 0) {
    frame[chance.u32() % frame.length] ^= 1 << chance.u32() % 8;
  }
  return frame;
}

/** That nothing was thrown where it should not be. */
function unharmed(member: Member, seed: number): void {
  const failed = member.log.filter(({ event }) => event.includes("failed"));
  assert.deepEqual(failed, [], `seed ${seed}: ${member.name}`);
}

Deno.test("strangers: a producer outlives whatever consumers send", async () => {
  for (let seed = 0; seed < 30; seed++) {
    const { world, p, honest, producer, consumer, dial } = await besieged(seed);
    const chance = new Seeded(seed, "noise");
    for (let i = 0; i < 10; i++) {
      const first = chance.u32() % 2 ? [subscribeFrame(WINDOW)] : [];
      const frames = Array.from({ length: chance.u32() % 6 }, () => noise(chance));
      const { stream } = await dial(...first, ...frames.filter((it) => it.length <= 10));
      producer.trySend("to all");
      await world.universe.advance(chance.u32() % 200);
      stream.close();
    }
    await heardBy(world, producer, honest);
    for (let i = 0; i < 10; i++) await world.settle(consumer.next());
    await flows(world, producer, consumer);
    unharmed(p, seed);
  }
});

Deno.test("strangers: a consumer outlives whatever producers send", async () => {
  for (let seed = 0; seed < 30; seed++) {
    const { world, c, honest, stranger, producer, begin } = await deceived(seed);
    const chance = new Seeded(seed, "noise");
    const consumer = begin((stream) => {
      stranger.environment.clock.after(chance.u32() % 200, () => {
        if (chance.u32() % 2) stream.send(acceptedFrame({ items: 4, bytes: WINDOW.bytes }));
        for (let i = chance.u32() % 8; i > 0; i--) stream.send(noise(chance));
      });
    });
    await heardBy(world, producer, c);
    for (let i = 0; i < 20; i++) {
      stranger.view.addTag(`t${i}`);
      await world.universe.advance(500);
    }
    producer.trySend("from the honest one");
    const found = async () => {
      for await (const { datum, from } of consumer) {
        if (from.id === honest.id) return datum;
      }
    };
    assert.equal(await world.settle(found()), "from the honest one", `seed ${seed}`);
    unharmed(c, seed);
  }
});
