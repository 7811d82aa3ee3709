/** One process after another dies, is slow, or is cut off: no message is lost and rounds go on. */
import assert from "node:assert/strict";
import { Trial } from "./trial.ts";

const base = { clients: 5, servers: 3 };

Deno.test("a client dies and comes back", () =>
  Trial.run({ ...base, seed: 1 }, async (trial) => {
    for (const client of [0, 3]) {
      trial.everybodySpeaks();
      await trial.restartClient(client);
      trial.everybodySpeaks();
      await trial.goesOn();
    }
    await trial.judge();
  }));

Deno.test("the aggregator dies and comes back", () =>
  Trial.run({ ...base, seed: 2 }, async (trial) => {
    for (const ms of [0, 70, 150, 1_000]) {
      trial.everybodySpeaks();
      await trial.world.universe.advance(ms);
      trial.world.crash(trial.world.aggregator!);
      await trial.world.universe.advance(ms);
      await trial.world.startAggregator();
      trial.everybodySpeaks();
      await trial.goesOn();
    }
    await trial.judge();
  }));

Deno.test("a partition parts one server from the rest, and heals", () =>
  Trial.run({ ...base, seed: 3 }, async (trial) => {
    const { universe, servers } = trial.world;
    for (const index of [1, 2, 0]) {
      trial.everybodySpeaks();
      universe.partition([[servers[index]!.network]]);
      await universe.advance(2_000);
      universe.heal();
      trial.everybodySpeaks();
      await trial.goesOn();
    }
    await trial.judge();
  }));

Deno.test("a server stands still, and goes on", () =>
  Trial.run({ ...base, seed: 4 }, async (trial) => {
    const { universe, servers } = trial.world;
    for (const index of [1, 0]) {
      for (const ms of [100, 2_000, 10_000]) {
        trial.everybodySpeaks();
        universe.freeze(servers[index]!.network);
        await universe.advance(ms);
        universe.thaw(servers[index]!.network);
        trial.everybodySpeaks();
        await trial.goesOn();
      }
    }
    await trial.judge();
  }));

Deno.test("a slow client misses the fold, and its messages land in the end", () =>
  Trial.run({ ...base, seed: 5 }, async (trial) => {
    const { universe, clients, readers } = trial.world, { network } = clients[2];
    const before = readers[0].role.log.length;
    trial.everybodySpeaks();
    for (let i = 0; i < 12; i++) {
      universe.freeze(network);
      await universe.advance(280);
      universe.thaw(network);
      await universe.advance(10);
      trial.say(2);
    }
    const { log } = readers[0].role;
    assert.ok(log.slice(before).some(({ participants }) => participants.length === 4));
    await trial.goesOn();
    await trial.judge();
  }));

Deno.test("a server returns before its death is known", async () => {
  for (let seed = 600; seed < 606; seed++) {
    await Trial.run({ ...base, seed, delay: [1, 80] }, async (trial) => {
      trial.everybodySpeaks();
      for (const server of [1, 2, 0]) {
        trial.crashServer(server);
        await trial.startServer(server);
        await trial.goesOn(10_000);
      }
      await trial.judge();
    });
  }
});

Deno.test("5 % loss: a server, the aggregator and a client die and come back", () =>
  Trial.run({ ...base, seed: 7, loss: 0.05, delay: [1, 40] }, async (trial) => {
    for (let i = 0; i < 3; i++) {
      trial.everybodySpeaks();
      trial.crashServer(1 + i % 2);
      trial.world.crash(trial.world.aggregator!);
      await trial.world.universe.advance(500);
      await trial.startServer(1 + i % 2);
      await trial.world.startAggregator();
      await trial.restartClient(i);
      await trial.goesOn(10_000);
    }
    await trial.judge();
  }));

Deno.test("links between servers drop and return at any time of a round", async () => {
  for (let seed = 700; seed < 712; seed++) {
    await Trial.run({ ...base, seed }, async (trial) => {
      const { universe, servers } = trial.world, chance = universe.randomness("fault");
      for (let i = 0; i < 8; i++) {
        trial.everybodySpeaks();
        await universe.advance(400 * chance.real());
        universe.partition([[servers[i % 3]!.network]]);
        universe.heal();
        await trial.goesOn();
      }
      await trial.judge();
    });
  }
});
