/** How streams end, and what comes after each end: pauses, attempts, no attempts. */
import assert from "node:assert/strict";
import { type Network, NetworkError } from "../../../src/universe/network.ts";
import {
  Backoff,
  FACTOR,
  FIRST_MS,
  GIVE_UP_MS,
  LONGEST_MS,
} from "../../../src/universe/streams/backoff.ts";
import { SILENT_MS } from "../../../src/universe/streams/channel.ts";
import { tagged, type TicketValidator } from "../../../src/universe/streams/options.ts";
import { REVISIT_MS } from "../../../src/universe/streams/source.ts";
import { Streams } from "../../../src/universe/streams/streams.ts";
import { simulated } from "./memory.ts";
import { connected, Crowd, flows, heardBy, type Member, over, TEXT, toward } from "./world.ts";

/** A network of which opening fails as told, and the times at which it was asked. */
function failing(member: Member, code: NetworkError["code"]): { network: Network; at: number[] } {
  const at: number[] = [];
  const open = () => {
    at.push(member.environment.clock.now());
    return Promise.reject(new NetworkError(code, code));
  };
  const { network } = member;
  return { at, network: { ...network, self: network.self, serve() {}, open } as Network };
}

/** A consumer on a node for which no stream opens. */
async function hopeless(code: NetworkError["code"]) {
  const world = simulated();
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  const { network, at } = failing(b, code);
  const { view, environment } = b;
  a.view.addStream("s");
  await world.universe.advance(100);
  const streams = new Streams({ network, catalog: view, entry: view, environment });
  const consumer = streams.consume({ name: "s", codec: TEXT });
  return { world, a, b, at, streams, consumer };
}

Deno.test("endings: pauses grow from 500 ms by half to a minute, half more or less by chance", async () => {
  const { world, at, consumer, a } = await hopeless("unreachable");
  await world.universe.advance(GIVE_UP_MS + 2 * LONGEST_MS);
  assert(over(consumer, a), "given up");
  assert.match(toward(consumer, a)?.reason ?? "", /^given up: unreachable/);
  const last = at.at(-1)! - at[0];
  assert(last >= GIVE_UP_MS && last <= GIVE_UP_MS + 1.5 * LONGEST_MS, `${last} ms`);
  let pause = FIRST_MS;
  const shares: number[] = [];
  for (let i = 1; i < at.length; i++) {
    const share = (at[i] - at[i - 1]) / pause;
    assert(share > 0.49 && share < 1.51, `attempt ${i} after ${at[i] - at[i - 1]} ms`);
    shares.push(share);
    pause = Math.min(pause * FACTOR, LONGEST_MS);
  }
  assert(at.length > 10 && at.length < 30, `${at.length} attempts`);
  assert(new Set(shares.map((it) => it.toFixed(2))).size > 5, "by chance");
  const before = at.length;
  await world.universe.advance(REVISIT_MS);
  assert(at.length > before, "it is looked at again later");
});

Deno.test("endings: a datum starts the pauses over, and news of the producer too", async () => {
  const world = simulated();
  const environment = world.environment("x", () => {});
  const backoff = new Backoff({ ...environment, random: (n) => new Uint8Array(n).fill(0) });
  assert.deepEqual([backoff.next(), backoff.next(), backoff.next()], [250, 375, 563]);
  backoff.reset();
  assert.equal(backoff.next(), 250);
  await world.universe.advance(GIVE_UP_MS);
  assert.equal(backoff.next(), undefined);
  const { at, a, world: other } = await hopeless("unreachable");
  await other.universe.advance(GIVE_UP_MS / 2);
  const before = at.length;
  a.view.addTag("moved");
  await other.universe.advance(2_000);
  assert(at.length >= before + 3, "at once, and soon after");
});

Deno.test("endings: another instance is final, and so is a node that stopped", async () => {
  for (const code of ["other-instance", "stopped", "address"] as const) {
    const { world, at, consumer, a } = await hopeless(code);
    await world.universe.advance(2 * REVISIT_MS);
    assert.equal(at.length, 1);
    assert(over(consumer, a, code === "other-instance" ? "OtherUniverse" : code));
    a.view.addTag("news");
    await world.universe.advance(1_000);
    assert.equal(at.length, 2, "its entry changed");
  }
});

Deno.test("endings: who was refused comes again when an entry that counts has changed", async () => {
  const world = simulated();
  const crowd = await Crowd.of(world, "a", "b", "c");
  const [a, b, c] = crowd;
  const producer = a.streams.produce({ name: "s", codec: TEXT, require: [tagged("in")] });
  const consumer = b.streams.consume({ name: "s", codec: TEXT });
  const refusals = () => a.said("consumer gone").length;
  await world.until("b is refused", () => over(consumer, a, "NotAllowed"));
  assert.equal(refusals(), 2, "once more after the catalogs were compared");
  assert.equal(b.view.syncs, 1);
  for (let i = 0; i < 200; i++) {
    c.view.addTag(`t${i}`);
    b.view.measured(a.view, i);
    await world.universe.advance(3_000);
  }
  assert.equal(refusals(), 2, "what concerns neither makes no attempt");
  a.view.addTag("news");
  await world.until("its entry changed", () => refusals() === 3);
  await world.until("refused as before", () => over(consumer, a, "NotAllowed"));
  b.streams.entry.addTag("out");
  await world.until("its own entry changed", () => refusals() === 4);
  await world.universe.advance(REVISIT_MS);
  assert.equal(refusals(), 4);
  b.streams.entry.addTag("in");
  await heardBy(world, producer, b);
  await flows(world, producer, consumer);
});

Deno.test("endings: a change that the producer has not heard of is brought to it", async () => {
  const world = simulated();
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  crowd.board.quiet = true;
  const producer = a.streams.produce({ name: "s", codec: TEXT, require: [tagged("in")] });
  b.view.hear(a.view);
  const consumer = b.streams.consume({ name: "s", codec: TEXT });
  await world.until("b is refused", () => over(consumer, a, "NotAllowed"));
  b.streams.entry.addTag("in");
  await heardBy(world, producer, b);
  await world.until("and b knows", () => connected(consumer, a));
});

Deno.test("endings: whoever is not known to the producer is asked to make itself known", async () => {
  const world = simulated();
  const crowd = new Crowd(world);
  const [a, b] = [await crowd.add("a"), await crowd.add("b")];
  const producer = a.streams.produce({ name: "s", codec: TEXT, require: [() => true] });
  b.view.hear(a.view);
  a.view.get = () => undefined;
  const consumer = b.streams.consume({ name: "s", codec: TEXT });
  await world.until("it is compared again and again", () => b.view.syncs > 3);
  assert(a.said("consumer gone").every(({ reason }) => reason === "Unknown"));
  delete (a.view as Partial<typeof a.view>).get;
  await heardBy(world, producer, b);
  consumer.close();
  const open = a.streams.produce({ name: "open", codec: TEXT });
  a.view.forget(b.view);
  b.view.hear(a.view);
  b.streams.consume({ name: "open", codec: TEXT });
  await heardBy(world, open, b);
  assert.equal(a.view.get(b.id), undefined, "a stream for everyone needs no entry");
});

Deno.test("endings: a stream that is announced and not there is looked at again later", async () => {
  const world = simulated();
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  crowd.board.quiet = true;
  const first = a.streams.produce({ name: "s", codec: TEXT });
  b.view.hear(a.view);
  first.close();
  const consumer = b.streams.consume({ name: "s", codec: TEXT });
  await world.until("nothing is there", () => over(consumer, a, "NotFound"));
  const second = a.streams.produce({ name: "s", codec: TEXT });
  await world.universe.advance(REVISIT_MS / 2);
  assert.equal(second.consumers.length, 0);
  await world.universe.advance(REVISIT_MS / 2 + 1_000);
  await heardBy(world, second, b);
});

Deno.test("endings: a producer that crashed is followed when it is back", async () => {
  const world = simulated();
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  const producer = a.streams.produce({ name: "s", codec: TEXT });
  const consumer = b.streams.consume({ name: "s", codec: TEXT });
  await heardBy(world, producer, b);
  world.universe.crash(a.network);
  await world.until("b notices", () => !connected(consumer, a));
  await world.universe.advance(10_000);
  const again = await crowd.add("a");
  const second = again.streams.produce({ name: "s", codec: TEXT });
  crowd.board.meetAll();
  await heardBy(world, second, b);
  await flows(world, second, consumer);
});

Deno.test("endings: a partition cuts streams, and they are back after it", async () => {
  const world = simulated();
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  const producer = a.streams.produce({ name: "s", codec: TEXT });
  const consumer = b.streams.consume({ name: "s", codec: TEXT });
  await heardBy(world, producer, b);
  world.universe.partition([[a.network], [b.network]]);
  await world.until(
    "both sides notice",
    () => !connected(consumer, a) && producer.consumers.length === 0,
  );
  await world.universe.advance(60_000);
  world.universe.heal();
  await world.until("they are connected", () => connected(consumer, a));
  await flows(world, producer, consumer);
});

Deno.test("endings: a frozen process is cut by the heartbeat, and comes back", async () => {
  const world = simulated();
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  const producer = a.streams.produce({ name: "s", codec: TEXT });
  const consumer = b.streams.consume({ name: "s", codec: TEXT });
  await heardBy(world, producer, b);
  await world.universe.advance(120_000);
  assert.equal(producer.consumers[0].uptime > 119_000, true, "beats keep a silent stream");
  world.universe.freeze(a.network);
  await world.universe.advance(15_000);
  assert(!connected(consumer, a));
  world.universe.thaw(a.network);
  await world.until("they are connected", () => connected(consumer, a));
  await flows(world, producer, consumer);
});

Deno.test("endings: beats keep a stream while its consumer is judged", async () => {
  const world = simulated();
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  b.streams.entry.setTicket("slow", Uint8Array.of(1));
  const slow: TicketValidator = {
    class: "slow",
    check: () =>
      new Promise((resolve) => {
        a.environment.clock.after(SILENT_MS + 4_000, () => resolve({ until: Infinity }));
      }),
  };
  await world.universe.advance(100);
  const producer = a.streams.produce({ name: "s", codec: TEXT, tickets: [slow] });
  const consumer = b.streams.consume({ name: "s", codec: TEXT });
  await heardBy(world, producer, b);
  assert.deepEqual(a.said("consumer gone"), []);
  await flows(world, producer, consumer);
});

Deno.test("endings: a closed consumer tries no more, whatever it waited for", async () => {
  const { world, at, consumer, streams, a } = await hopeless("unreachable");
  await world.universe.advance(1_000);
  consumer.close();
  streams.close();
  const before = at.length;
  a.view.addTag("news");
  await world.universe.advance(GIVE_UP_MS);
  assert.equal(at.length, before);
  assert(!consumer.online);
  assert.deepEqual(consumer.producers, []);
});

Deno.test("endings: producers of another instance are not dialed where one is named", async () => {
  const world = simulated();
  const crowd = await Crowd.of(world, "a", "b");
  const [a, b] = crowd;
  const { network, view, environment } = b;
  const streams = new Streams({
    network,
    catalog: view,
    entry: view,
    environment,
    instance: "aa",
  });
  const producer = a.streams.produce({ name: "s", codec: TEXT });
  const consumer = streams.consume({ name: "s", codec: TEXT });
  await world.universe.advance(10_000);
  assert.deepEqual([consumer.producers, producer.consumers], [[], []]);
});
