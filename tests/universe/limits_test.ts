/** What a node holds its peers to, on the simulated network: each limit, and who is named. */
import assert from "node:assert/strict";
import { Bucket, Buckets, Tally } from "../../src/universe/bucket.ts";
import { PREFIX } from "../../src/universe/framing.ts";
import { Guard, type Waiting } from "../../src/universe/guard.ts";
import { LIMITS, type Limits, MAX_MEMBERS, noRefusals } from "../../src/universe/limits.ts";
import { MemoryUniverse } from "../../src/universe/memory.ts";
import type { NetworkOptions } from "../../src/universe/node.ts";
import { Unfinished } from "../../src/universe/unfinished.ts";
import { CHAT, Subject, type World } from "./conformance.ts";

/** A world whose nodes have limits of their own. */
function world(limits: Partial<Limits>): World & { universe: MemoryUniverse } {
  const universe = new MemoryUniverse({ seed: 5 });
  return {
    universe,
    listen: "/memory/0",
    environment: (name, observe) => universe.environment(name, observe),
    network: (options: NetworkOptions) => universe.network({ ...options, limits }),
    transport: (options: NetworkOptions) => universe.transport(options),
    async until(what, condition) {
      assert(await universe.run(condition, 60_000), what);
    },
    settle: (promise) => universe.settle(promise),
    poke() {},
  };
}

async function pair(limits: Partial<Limits>) {
  const it = world(limits);
  const b = await new Subject(it, { name: "b" }).listenTo().start();
  const a = await new Subject(it, { name: "a", role: "client", listen: [] }).start();
  const refused = () => b.network.counts().refused;
  return { it, a, b, refused, id: a.network.self.id };
}

Deno.test("limits: a bucket gives its burst at once, and its rate after that", () => {
  const bucket = new Bucket({ perSecond: 2, burst: 3 }, 0);
  assert.deepEqual([1, 1, 1, 1].map(() => bucket.take(1, 0)), [true, true, true, false]);
  assert.deepEqual([bucket.take(1, 400), bucket.take(1, 500), bucket.take(1, 999)], [
    false,
    true,
    false,
  ]);
  assert(bucket.take(100, 60_000), "what is larger than a bucket passes when it is full");
  assert(!bucket.take(1, 60_000) && bucket.take(1, 60_500));
});

Deno.test("limits: of many keys those used last are remembered, and sums come back to nothing", () => {
  const buckets = new Buckets({ perSecond: 0, burst: 1 }, 2);
  assert(buckets.take("a", 1, 0) && buckets.take("b", 1, 0) && !buckets.take("a", 1, 0));
  assert(buckets.take("c", 1, 0) && !buckets.take("a", 1, 0) && buckets.take("b", 1, 0));
  assert.equal(buckets.size, 2);
  const tally = new Tally();
  for (const [key, amount] of [["a", 2], ["b", 3], ["a", 2]] as const) tally.add(key, amount);
  assert.deepEqual([tally.total, tally.of("a"), tally.largest()], [7, 4, "a"]);
  tally.add("a", -4);
  tally.add("b", -3);
  assert.deepEqual([tally.total, tally.largest()], [0, undefined]);
});

Deno.test("limits: who opens streams in a loop is barred and named, and comes back later", async () => {
  const { it, a, b, refused, id } = await pair({ opensPerPeer: { perSecond: 1, burst: 6 } });
  const open = () => a.open(b).then(() => "open", () => "refused");
  const outcomes: string[] = [];
  for (let i = 0; i < 8; i++) outcomes.push(await open());
  // One of the six is the meet stream that the first one brought.
  assert.deepEqual(outcomes.slice(0, 5), Array(5).fill("open"));
  assert(outcomes.slice(6).every((outcome) => outcome === "refused"), outcomes.join());
  assert(b.said("peer barred", id));
  assert(refused().opensPerPeer > 0);
  await it.universe.advance(LIMITS.barMs + 5_000);
  assert.equal(await open(), "open");
});

Deno.test("limits: a member opens as many as it likes", async () => {
  const { a, b, id } = await pair({ opensPerPeer: { perSecond: 1, burst: 2 }, streamsPerPeer: 2 });
  b.network.favour(id);
  for (let i = 0; i < CHAT.maxPerPeer; i++) await a.open(b);
  assert(!b.said("peer barred"));
});

Deno.test("limits: a peer has so many streams, of all kinds together", async () => {
  const { a, b, refused, id } = await pair({ streamsPerPeer: 4 });
  const other = { ...CHAT, name: "other" };
  b.listenTo(other);
  const kinds = [CHAT, other, CHAT];
  for (const kind of kinds) await a.open(b, kind);
  await assert.rejects(a.open(b, other), "the fourth is the meet stream");
  assert(b.said("stream refused", id));
  assert.equal(refused().streamsPerPeer, 1);
});

Deno.test("limits: who sends too many frames, or bytes, is cut and barred", async () => {
  for (
    const limits of [
      { framesPerPeer: { perSecond: 1, burst: 20 } },
      { bytesPerPeer: { perSecond: 1, burst: 2_000 } },
    ]
  ) {
    const { it, a, b, refused, id } = await pair(limits);
    const { stream, ear } = await a.open(b);
    for (let i = 0; i < 30; i++) stream.send(new Uint8Array(100));
    await it.until("it is cut", () => ear.ends.length === 1);
    assert(b.inbound[0].frames.length <= 20);
    assert(b.said("peer barred", id));
    assert(
      refused()[Object.keys(limits)[0] as keyof Limits & keyof ReturnType<typeof refused>] > 0,
    );
  }
});

Deno.test("limits: what comes on a stream that was opened to a peer is not counted", async () => {
  const { it, a, b } = await pair({ framesPerPeer: { perSecond: 1, burst: 20 } });
  const { ear } = await a.open(b);
  for (let i = 0; i < 100; i++) b.inbound[0].stream.send(new Uint8Array(10));
  await it.until("all arrive", () => ear.frames.length === 100);
});

Deno.test("limits: streams without a hello give way to those that come, their time is short", async () => {
  const { it, b, refused } = await pair({ unproven: 3, helloMs: 1_000 });
  const mute = it.transport({
    ...{ environment: it.environment("mute", () => {}), secret: new Uint8Array(32).fill(7) },
  } as NetworkOptions);
  await mute.listen([]);
  const protocol = `/zipnet/1/${"22".repeat(8)}/chat`;
  const target = { addresses: [b.address] }, signal = new AbortController().signal;
  for (let i = 0; i < 5; i++) await mute.open(target, protocol, signal);
  await it.universe.advance(100);
  assert.equal(b.network.counts().unproven, 3);
  assert.equal(refused().unproven, 2);
  await it.universe.advance(1_500);
  assert.equal(b.network.counts().unproven, 0);
  assert.equal(refused().helloMs, 3);
  assert(b.said("stream refused"));
});

/** A stream on which bytes wait. */
class Slow implements Waiting {
  readonly kind = { name: "slow" };
  readonly peer: { id: string };
  waiting = 0;
  ended = "";
  constructor(id: string, readonly guard: Guard) {
    this.peer = { id };
  }
  cut(reason: string): void {
    this.ended = reason;
    this.waiting = 0;
  }
  send(bytes: number): void {
    this.waiting += bytes;
    this.guard.sent(this);
  }
}

Deno.test("limits: of bytes that wait, the peer with most loses its fullest stream", () => {
  const said: unknown[] = [];
  const environment = new MemoryUniverse({ seed: 1 }).environment(
    "x",
    (_, event, fields) => said.push(`${event} ${fields?.peer} ${fields?.limit}`),
  );
  const guard = new Guard(environment, { waiting: 1_000, waitingPerPeer: 600 });
  const [a1, a2, b, c, member] = ["a", "a", "b", "c", "m"].map((id) => new Slow(id, guard));
  guard.favour("m");
  member.send(5_000);
  a1.send(300);
  a2.send(200);
  b.send(400);
  assert.deepEqual([guard.counts(0).waiting, said], [900, []]);
  c.send(90);
  c.send(20);
  assert.deepEqual([a1.ended !== "", a2.ended, b.ended], [true, "", ""]);
  b.waiting = 0; // its peer has read meanwhile
  a2.send(410);
  assert(a2.ended !== "", "over the limit of one peer");
  assert.deepEqual(said, ["slow reader cut a waiting", "slow reader cut a waitingPerPeer"]);
  for (const one of [a1, a2, b, c]) guard.ended(one);
  assert.equal(guard.counts(0).waiting, 0);
  assert.equal(member.ended, "");
});

Deno.test("limits: of frames that do not end, the peer with most loses its fullest link", () => {
  const environment = new MemoryUniverse({ seed: 1 }).environment("x", () => {});
  const guard = new Guard(environment, { unfinished: 1_000, unfinishedPerPeer: 600 });
  guard.favour("m");
  const unfinished = new Unfinished(environment, guard);
  const link = (id: string) => {
    const one = { id, lost: "", lose: (reason: string) => void (one.lost = reason) };
    return one;
  };
  const [a1, a2, b, member] = ["a", "a", "b", "m"].map(link);
  assert(unfinished.kept(member, 5_000) && unfinished.kept(a1, 300) && unfinished.kept(a2, 200));
  assert(unfinished.kept(b, 450) && unfinished.kept(b, -450), "a frame that ended");
  assert.equal(unfinished.total, 500);
  assert(!unfinished.kept(a1, 200), "over the limit of one peer, and it is the fullest");
  assert(a1.lost !== "" && a2.lost === "");
  assert(unfinished.kept(a2, 300) && unfinished.kept(b, 600) === false, "over the limit of all");
  assert(b.lost !== "" && member.lost === "");
  unfinished.forget(a2);
  assert.equal(unfinished.total, 0);
});

Deno.test("limits: members are few, and every limit that refuses has a counter", () => {
  const environment = new MemoryUniverse({ seed: 1 }).environment("x", () => {});
  const guard = new Guard(environment);
  for (let i = 0; i <= MAX_MEMBERS; i++) guard.favour(`m${i}`);
  assert(!guard.favours("m0") && guard.favours("m1") && guard.favours(`m${MAX_MEMBERS}`));
  const counted = Object.keys(guard.counts(0).refused).sort();
  assert.deepEqual(counted, Object.keys(noRefusals()).sort());
  const silent = ["memberConnections", "barMs", "muxed"];
  assert.deepEqual(counted, Object.keys(LIMITS).filter((it) => !silent.includes(it)).sort());
});

Deno.test("limits: bytes that pass are counted at both ends, by the kind of their stream", async () => {
  const { it, a, b } = await pair({});
  const { stream } = await a.open(b);
  stream.send(new Uint8Array(100));
  stream.send(new Uint8Array(23));
  const bytes = 100 + 23 + 2 * PREFIX;
  await it.until("both came", () => b.network.counts().traffic[CHAT.name]?.received === bytes);
  assert.deepEqual(a.network.counts().traffic[CHAT.name], { sent: bytes, received: 0 });
  assert.deepEqual(b.network.counts().traffic[CHAT.name], { sent: 0, received: bytes });
});
