/** The in-memory column: the suite, and what only a simulated universe can show. No permissions. */
import assert from "node:assert/strict";
import { MemoryUniverse } from "../../src/universe/memory.ts";
import { CHAT, conformance, Subject, type World } from "./conformance.ts";
import { simulated } from "./simulated.ts";

conformance("memory", simulated);

interface Trio {
  readonly universe: MemoryUniverse;
  readonly world: World;
  readonly nodes: Subject[];
}

async function trio(options: ConstructorParameters<typeof MemoryUniverse>[0]): Promise<Trio> {
  const universe = new MemoryUniverse(options);
  const world = simulated(universe);
  const nodes: Subject[] = [];
  for (const name of ["a", "b", "c"]) {
    const bootstrap = nodes.map((node) => node.address);
    nodes.push(await new Subject(world, { name, bootstrap }).listenTo().start());
  }
  await world.until(
    "all meet",
    () =>
      nodes.every((one) =>
        nodes.every((other) => one === other || one.said("peer met", other.network.self.id))
      ),
  );
  return { universe, world, nodes };
}

/** Everything that happened, with its virtual time. */
async function trace(seed: number): Promise<string> {
  const { universe, nodes } = await trio({ seed, loss: 0.1 });
  const lines: string[] = [];
  const streams = [];
  for (const from of nodes) {
    for (const to of nodes) if (from !== to) streams.push((await from.open(to)).stream);
  }
  for (const node of nodes) {
    for (const ear of node.inbound) {
      ear.frame = (bytes) => lines.push(`${universe.timeline.now} ${node.address} ${bytes}`);
    }
  }
  for (let i = 0; i < 20; i++) {
    streams.forEach((stream, n) => stream.send(Uint8Array.of(n, ...universe.random(2))));
  }
  await universe.advance(1_000);
  universe.crash(nodes[1].network);
  await universe.advance(9_000);
  for (const node of nodes) lines.push(JSON.stringify(node.log));
  return lines.join("\n");
}

Deno.test("memory: the same seed gives the same run, another seed another", async () => {
  const first = await trace(1);
  assert(first.split("\n").length > 100);
  assert.equal(await trace(1), first);
  assert.notEqual(await trace(2), first);
});

Deno.test("memory: loss and delay keep the order of a stream, and mix streams", async () => {
  const { universe, world, nodes: [a, b] } = await trio({ seed: 3, delay: [1, 300], loss: 0.2 });
  const order: number[] = [];
  const streams = [(await a.open(b)).stream, (await a.open(b)).stream];
  b.inbound.forEach((ear) => ear.frame = ([n, i]) => order.push(n * 1_000 + i));
  for (let i = 0; i < 200; i++) {
    streams.forEach((stream, n) => stream.send(Uint8Array.of(n, i)));
    await universe.advance(20);
  }
  await world.until("all arrive", () => order.length === 400);
  for (const n of [0, 1]) {
    const own = order.filter((it) => Math.floor(it / 1_000) === n).map((it) => it % 1_000);
    assert.deepEqual(own, Array.from({ length: 200 }, (_, i) => i));
  }
  const turns = order.filter((it, i) => i > 0 && (it >= 1_000) !== (order[i - 1] >= 1_000));
  assert(turns.length > 10 && turns.length < 399, "neither in blocks nor in lockstep");
});

Deno.test("memory: a lost frame costs a retransmission", async () => {
  const times: number[] = [];
  for (const loss of [0, 0.3]) {
    const { universe, world, nodes: [a, b] } = await trio({ seed: 4, delay: [1, 2], loss });
    const { stream } = await a.open(b);
    const start = universe.clock.now();
    for (let i = 0; i < 20; i++) stream.send(new Uint8Array(1));
    await world.until("all arrive", () => b.inbound[0].frames.length === 20);
    times.push(universe.clock.now() - start);
  }
  assert(times[0] <= 3 && times[1] >= 200, `${times} ms`);
});

Deno.test("memory: a partition cuts, and heals", async () => {
  const { universe, world, nodes: [a, b, c] } = await trio({ seed: 5 });
  const { ear } = await a.open(b);
  const inside = await a.open(c);
  ear.stream.send(new Uint8Array(1));
  universe.partition([[a.network, c.network], [b.network]]);
  await world.until(
    "both sides end",
    () => ear.ends.length === 1 && b.inbound[0].ends.length === 1,
  );
  assert.equal(b.inbound[0].frames.length, 0, "what was under way is lost");
  assert.deepEqual(inside.ear.ends, []);
  await assert.rejects(a.open(b), /no answer within 5000 ms/);
  universe.heal();
  const before = a.log.length;
  await world.until(
    "they meet again",
    () =>
      a.log.slice(before).some((it) =>
        it.event === "peer met" && it.fields.peer === b.network.self.id
      ),
  );
  await a.open(b);
});

Deno.test("memory: a crash ends a process at once; its restart is a peer again", async () => {
  const { universe, world, nodes: [a, b, c] } = await trio({ seed: 6 });
  const { ear } = await a.open(b);
  let ticks = 0;
  const environment = universe.environment("d");
  const d = new Subject(world, { name: "d", environment, bootstrap: [a.address] });
  await d.start();
  await world.until("d is met", () => a.knows(d));
  const tick = () => {
    ticks++;
    environment.clock.after(10, tick);
  };
  tick();
  await universe.advance(1_000);
  universe.crash(d.network);
  universe.crash(b.network);
  const [heard, logged, ticked] = [b.inbound[0].frames.length, b.log.length, ticks];
  ear.stream.send(new Uint8Array(1));
  await world.until("a hears the end", () => ear.ends.length === 1);
  await universe.advance(30_000);
  assert.deepEqual([b.inbound[0].frames.length, b.log.length, ticks], [heard, logged, ticked]);
  assert.deepEqual(b.inbound[0].ends, []);
  assert(a.knows(b) && c.knows(b));
  const again = await new Subject(world, { name: "b", bootstrap: [c.address] }).listenTo().start();
  await world.until("the restarted one knows all", () => again.knows(a) && again.knows(c));
  (await a.open(again)).stream.send(new Uint8Array(1));
  await world.until("and hears a", () => again.inbound[0]?.frames.length === 1);
});

Deno.test("memory: a frozen peer is noticed within ten seconds, and is a peer again", async () => {
  const { universe, world, nodes: [a, b] } = await trio({ seed: 8 });
  const { ear } = await a.open(b);
  const start = universe.clock.now();
  universe.freeze(b.network);
  await world.until("a notices", () => ear.ends.length === 1);
  assert(universe.clock.now() - start <= 10_000, `${universe.clock.now() - start} ms`);
  assert(a.said("peer silent", b.network.self.id));
  universe.thaw(b.network);
  const before = a.log.length;
  await world.until(
    "they meet again",
    () => a.log.slice(before).some((it) => it.event === "peer met"),
  );
  assert(!b.said("peer silent"), "the frozen one blames nobody");
});

Deno.test("memory: a peer that nobody sees for ten minutes is forgotten by all", async () => {
  const { universe, nodes: [a, b, c] } = await trio({ seed: 9 });
  universe.crash(b.network);
  await universe.advance(500_000);
  assert(a.knows(b) && c.knows(b));
  await universe.advance(150_000);
  assert(!a.knows(b) && !c.knows(b), "they do not remind each other of it");
});

Deno.test("memory: sending costs nothing to a stream that is closed", async () => {
  const { nodes: [a, b] } = await trio({ seed: 10 });
  const { stream } = await a.open(b);
  stream.close();
  assert.equal(stream.send(new Uint8Array(CHAT.maxFrame + 1)), false);
  assert(!a.said("frame over limit"));
});
