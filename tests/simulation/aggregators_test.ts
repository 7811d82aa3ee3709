/** Several aggregators: their clients make one set a round, and the loss of one costs a round at most. */
import assert from "node:assert/strict";
import { participants } from "../../src/protocol/aggregate.ts";
import { hex } from "../../src/protocol/bytes.ts";
import type { SimulationOptions } from "../../src/roles/simulated.ts";
import { Trial } from "./trial.ts";

const base = { servers: 3, clients: 6, aggregators: 2 };

/** Who took part in the rounds that the first reader has seen since its `from`-th record. */
const sets = ({ world }: Trial, from = 0) =>
  world.readers[0].role.log.slice(from).map(({ participants }) => participants);

/** Runs for some further records. */
async function rounds(trial: Trial, count: number): Promise<void> {
  const { log } = trial.world.readers[0].role, until = log.length + count;
  await trial.until(`${count} rounds`, () => log.length >= until);
}

/** Further rounds, in which everybody speaks, have all clients in them. */
async function whole(trial: Trial, count = 4): Promise<void> {
  await rounds(trial, 2);
  const from = trial.world.rounds;
  trial.everybodySpeaks();
  await rounds(trial, count);
  for (const set of sets(trial, from)) assert.equal(set.length, trial.options.clients);
}

/** Runs a story under several seeds; clients choose by their keys, so each seed splits them otherwise. */
function under(
  seeds: readonly [first: number, count: number],
  options: Omit<SimulationOptions, "seed">,
  story: (trial: Trial) => Promise<void>,
) {
  return async () => {
    for (let seed = seeds[0]; seed < seeds[0] + seeds[1]; seed++) {
      await Trial.run({ ...options, seed }, story);
    }
  };
}

Deno.test(
  "clients of two aggregators make one set in every round",
  under([900, 3], base, async (trial) => {
    await whole(trial, 8);
    await trial.judge();
    assert.equal(trial.voids.size, 0);
  }),
);

Deno.test("clients spread over the aggregators", async () => {
  const shares = [0, 0, 0];
  for (let seed = 910; seed < 914; seed++) {
    await Trial.run({ ...base, clients: 24, aggregators: 3, seed }, async (trial) => {
      await rounds(trial, 2);
      const taken = [...trial.aggregators.values()], known = [...new Set(taken)].sort();
      assert.equal(taken.length, 24);
      for (const aggregator of taken) shares[known.indexOf(aggregator)]++;
    });
  }
  assert.ok(Math.min(...shares) >= 16, `of 96 clients: ${shares}`);
});

for (const [index, ms] of [[0, 0], [1, 60], [0, 110], [1, 140], [0, 250]]) {
  Deno.test(
    `aggregator ${index} dies ${ms} ms after a record, and its clients lose a round at most`,
    under([920 + 10 * index, 2], { ...base, clients: 12 }, async (trial) => {
      await rounds(trial, 2);
      trial.everybodySpeaks();
      await trial.world.universe.advance(ms);
      const from = trial.world.rounds;
      trial.world.crash(trial.world.aggregators[index]);
      await rounds(trial, 8);
      const missed = Array.from(
        { length: 12 },
        (_, i) => sets(trial, from).filter((set) => !set.includes(i)).length,
      );
      assert.ok(Math.max(...missed) <= 1, `rounds missed by index: ${missed}`);
      await whole(trial);
      await trial.judge();
      assert.equal(trial.voids.size, 0);
      // It comes back, and nothing is lost by that either.
      await trial.world.startAggregator(index);
      await whole(trial);
      await trial.judge();
      assert.equal(trial.voids.size, 0);
    }),
  );
}

Deno.test(
  "three clients of two aggregators are enough for a round of three",
  under([940, 6], { ...base, clients: 3 }, async (trial) => {
    await whole(trial);
    await trial.judge();
  }),
);

Deno.test(
  "two aggregators below a third: one set, through one part",
  under(
    [952, 3],
    { ...base, clients: 9, aggregators: 3, upstream: [undefined, 0, 0] },
    async (trial) => {
      await whole(trial, 6);
      assert.equal(new Set(trial.aggregators.values()).size, 3, "each has clients");
      await trial.judge();
      assert.equal(trial.voids.size, 0);
      trial.world.crash(trial.world.aggregators[2]);
      await rounds(trial, 2);
      await whole(trial);
      trial.world.crash(trial.world.aggregators[0]);
      trial.everybodySpeaks();
      await trial.world.startAggregator(0);
      await trial.goesOn(10_000);
      await whole(trial);
      await trial.judge();
    },
  ),
);

Deno.test(
  "a chain of three aggregators",
  under(
    [960, 2],
    { ...base, clients: 9, aggregators: 3, upstream: [undefined, 0, 1] },
    async (trial) => {
      await whole(trial, 6);
      await trial.judge();
      assert.equal(trial.voids.size, 0);
    },
  ),
);

Deno.test(
  "the one above dies for good: clients of the one below it go elsewhere too",
  under(
    [965, 2],
    { ...base, clients: 12, aggregators: 3, upstream: [undefined, 0] },
    async (trial) => {
      const { world } = trial, other = hex(world.aggregatorKey(2));
      await whole(trial);
      trial.everybodySpeaks();
      world.crash(world.aggregators[0]);
      await world.universe.advance(10_000);
      assert.deepEqual(new Set(trial.aggregators.values()), new Set([other]));
      const { record } = world.servers[0]!.role.member.headRecord!;
      assert.equal(participants(record.bitmap).length, 12);
      await trial.judge();
    },
  ),
);

Deno.test(
  "where the leader has no link to an aggregator, its clients go to another in the end",
  under([970, 2], { ...base, clients: 12 }, async (trial) => {
    const { universe, servers, aggregators } = trial.world;
    const leader = servers.find((server) => server!.role.member.leading)!;
    universe.cut(leader.network, aggregators[1].network);
    trial.everybodySpeaks();
    await rounds(trial, 5);
    await whole(trial);
    assert.deepEqual(
      new Set(trial.aggregators.values()),
      new Set([hex(trial.world.aggregatorKey(0))]),
    );
    await trial.judge();
    assert.equal(trial.voids.size, 0);
  }),
);

Deno.test(
  "where the leader has no link to the only aggregator, another server offers its part",
  under([980, 2], { ...base, aggregators: 1 }, async (trial) => {
    const { universe, servers, aggregators } = trial.world;
    const leader = servers.find((server) => server!.role.member.leading)!;
    universe.cut(leader.network, aggregators[0].network);
    await whole(trial);
    await trial.judge();
    assert.equal(trial.voids.size, 0);
  }),
);

Deno.test(
  "an aggregator that is cut off from all but its clients is left by them",
  under([990, 2], { ...base, clients: 12 }, async (trial) => {
    const { universe, servers, aggregators } = trial.world;
    for (const server of servers) universe.cut(server!.network, aggregators[0].network);
    trial.everybodySpeaks();
    await universe.advance(10_000);
    const { record } = servers[0]!.role.member.headRecord!;
    assert.ok(record.header.time > trial.now - 1_000, "rounds go on");
    assert.equal(participants(record.bitmap).length, 12);
    const other = hex(trial.world.aggregatorKey(1));
    assert.deepEqual(new Set(trial.aggregators.values()), new Set([other]));
    universe.heal();
    const { log } = trial.world.readers[0].role, { round } = trial;
    await trial.until("the reader is back", () => log.at(-1)!.record.header.round >= round);
    await whole(trial);
    await trial.judge();
  }),
);

Deno.test(
  "5 % loss: aggregators die in turn, and come back",
  under([995, 2], { ...base, loss: 0.05, delay: [1, 40] }, async (trial) => {
    for (let i = 0; i < 4; i++) {
      trial.everybodySpeaks();
      trial.world.crash(trial.world.aggregators[i % 2]);
      await trial.world.universe.advance(500);
      await trial.world.startAggregator(i % 2);
      await trial.goesOn(10_000);
    }
    await trial.judge();
  }),
);
