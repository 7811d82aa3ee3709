/** Readers that serve on what they verified: who follows whom, and what one that lies can do. */
import assert from "node:assert/strict";
import { hex } from "../../src/protocol/bytes.ts";
import { Zipnet } from "../../src/mod.ts";
import { signer } from "../../src/protocol/keys.ts";
import { SimulatedInstance, type SimulationOptions } from "../../src/roles/simulated.ts";
import type { Network } from "../../src/universe/network.ts";

const OPTIONS = { servers: 3, clients: 4, mirrors: 0, delay: [1, 5] } as const;

/** An instance whose readers all read. */
async function reading(options: Partial<SimulationOptions> & { readonly seed: number }) {
  const world = new SimulatedInstance({ ...OPTIONS, ...options });
  await world.start();
  await all(world, 1);
  return world;
}

const logs = ({ readers }: SimulatedInstance) => readers.map((it) => it?.role.log ?? []);

/** Runs until every reader has the record of a round, and sees that they have the same ones. */
async function all(world: SimulatedInstance, round: number, ms = 300_000): Promise<void> {
  const reached = () =>
    world.readers.length > 0 && Object.keys(world.readers).length === world.readers.length &&
    logs(world).every((log) => (log.at(-1)?.record.header.round ?? 0) >= round);
  const seed = `seed ${world.options.seed}`;
  assert.ok(
    await world.run(reached, ms),
    `${seed}: round ${round}, readers are at ${
      logs(world).map((log) => log.at(-1)?.record.header.round ?? 0)
    }`,
  );
  const story = (log: ReturnType<typeof logs>[number]) =>
    log.filter(({ record }) => record.header.round <= round)
      .map(({ record }) => `${record.header.round} ${hex(record.hash)}`).join("\n");
  const [first, ...others] = logs(world).map(story);
  for (const other of others) assert.equal(other, first, seed);
}

/** Round of the newest record that anybody has. */
const newest = (world: SimulatedInstance) =>
  Math.max(...world.servers.map((server) => server!.role.member.head.round));

const address = ({ self }: Network) => `/memory/${self.id}`;

Deno.test("100 readers spread over 5 that serve, and the servers have a few subscribers", async () => {
  const seed = 2_100, world = await reading({ seed, readers: 105, mirrors: 5 });
  await world.universe.advance(60_000);
  await all(world, newest(world) + 3);
  const counts = world.servers.map((server) => server!.role.counts);
  for (const { live, windows } of counts) {
    assert.ok(live <= 3 && windows <= 3, `seed ${seed}: ${live} and ${windows} at a server`);
  }
  const mirrors = world.readers.slice(0, 5).map(({ role: { mirror } }) => mirror!.counts);
  for (const { live, windows } of mirrors) {
    assert.ok(live >= 6 && windows >= 6, `seed ${seed}: ${live} and ${windows} at a reader`);
  }
});

/** A chain: what reader 0 serves is all that reader 1 can reach, and so on. */
function chain(world: SimulatedInstance, length: number): void {
  const nodes = world.readers.slice(0, length).map(({ network }) => network);
  const others = [...world.servers, ...world.aggregators].map((it) => it!.network);
  for (const [i, node] of nodes.entries()) {
    for (const other of others) if (i > 0) world.universe.cut(node, other);
    for (const [j, other] of nodes.entries()) {
      if (Math.abs(i - j) > 1) world.universe.cut(node, other);
    }
  }
}

Deno.test("readers in a row, each of whom reaches the one before alone, all reach the head", async () => {
  for (const seed of [2_110]) {
    const world = await reading({ seed, readers: 4, mirrors: 4 });
    chain(world, 4);
    await all(world, newest(world) + 12);
  }
});

Deno.test("two readers that follow each other are both at the head once one reaches it", async () => {
  for (const seed of [2_120, 2_121]) {
    const world = await reading({ seed, readers: 2, mirrors: 2 }), { universe } = world;
    const [one, two] = world.readers.map(({ network }) => network);
    universe.partition([[one, two]]);
    const follow = () =>
      world.readers.every(({ role: { mirror } }) => mirror!.counts.windows === 1);
    assert.ok(await universe.run(follow, 120_000), `seed ${seed}: each follows the other`);
    const round = newest(world);
    universe.heal();
    await all(world, round + 3, 120_000);
  }
});

Deno.test("a reader that knows another reader's address alone follows the instance", async () => {
  const seed = 2_130, world = await reading({ seed, readers: 1, mirrors: 2 });
  const [{ network }] = world.readers, apart = [...world.servers, ...world.aggregators];
  const secret = world.universe.randomness("secret of reader 1").bytes(32);
  const id = hex(signer(secret).key);
  world.universe.partition([[network, id], apart.map((it) => it!.network)]);
  await world.startReader(1, [address(network)]);
  const met = () => world.readers[1] !== undefined;
  assert.ok(await world.run(met, 60_000), `seed ${seed}: the lineage comes from a reader`);
  world.universe.heal();
  for (const it of apart) world.universe.cut(it!.network, world.readers[1].network);
  await all(world, newest(world) + 5);
});

Deno.test("a reader that serves dies, and those who followed it go on", async () => {
  const seed = 2_140, world = await reading({ seed, readers: 12, mirrors: 3 });
  await world.universe.advance(30_000);
  world.crash(world.readers[0]);
  world.readers.shift();
  await all(world, newest(world) + 4);
});

Deno.test("who serves from its memory says what it lacks, and a late reader has it from elsewhere", async () => {
  const seed = 2_150, world = await reading({ seed, readers: 1, mirrors: 2 });
  await all(world, 8);
  // Reader 1 begins late, and holds the last records alone.
  await world.startReader(1, undefined, 8);
  assert.ok(await world.run(() => (world.readers[1]?.role.log.length ?? 0) > 0, 60_000));
  await world.startReader(2);
  assert.ok(await world.run(() => (world.readers[2]?.role.log.length ?? 0) > 8, 60_000));
  const { log } = world.readers[2].role;
  assert.deepEqual(log.slice(0, 8).map(({ record }) => record.header.round), [
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
  ]);
  assert.ok(log.every(({ linked }) => linked));
});

Deno.test("sdk: a reader that listens is read on from; a binding that publishes serves nothing", async () => {
  const seed = 2_160, world = await reading({ seed, readers: 1 }), made: Network[] = [];
  const bind = (name: string) => {
    const { environment, network } = world.binding(name);
    return Zipnet.bind("mosaik.universe", "simulated", {
      environment,
      network: (role, secret, listen) => made[made.push(network(role, secret, listen)) - 1],
    });
  };
  const mirror = bind("mirror"), other = bind("other"), listen = ["/memory/0"];
  await world.settle(mirror.reader({ listen }));
  const reader = await world.settle(other.reader());
  const [serves, reads] = made;
  const known = () => reads.peers("reader").some(({ id }) => id === serves.self.id);
  assert.ok(await world.run(known, 60_000), `seed ${seed}: it is found`);
  // Nothing but the one that serves is within reach from now on.
  for (const it of [...world.servers, ...world.aggregators]) {
    world.universe.cut(it!.network, reads);
  }
  const records = reader.records()[Symbol.asyncIterator](), to = newest(world) + 4;
  let round = 0;
  while (round < to) round = (await world.settle(records.next())).value.round;
  await assert.rejects(mirror.submitter(), /publishes serves nothing/);
  const submits = bind("submits");
  await world.settle(submits.submitter());
  await assert.rejects(submits.reader({ listen }), /publishes serves nothing/);
  assert.ok((await world.settle(submits.reader())) !== undefined, "it reads as ever");
  for (const bound of [mirror, other, submits]) await world.settle(bound.close());
});
