/** A server dies at every point of a round, and comes back with its disk, without, or with an old one. */
import { type Found, Trial } from "./trial.ts";

const base = { clients: 5, servers: 3 };
/** Writes of a server in two rounds, to its register and to its journal. */
const WRITES = 48;
/** Of which every fourth is tried in a test, each test beginning at another one. */
const STRIDE = 4;
/** Members by their place in the manifest: the first one founds the group and leads it. */
const WHO = { "the leader": 0, "another server": 1 };
const DISKS: readonly Found[] = ["its disk", "an empty disk", "an older disk"];

let first = 0;
for (const [who, server] of Object.entries(WHO)) {
  for (const durable of [false, true]) {
    for (const found of DISKS) {
      const from = 1 + first++ % STRIDE;
      const name = `${who} dies ${durable ? "after" : "before"} a write, returns on ${found}`;
      Deno.test(name, async () => {
        for (let nth = from; nth <= WRITES; nth += STRIDE) {
          await Trial.run({ ...base, seed: 100 + nth }, async (trial) => {
            trial.everybodySpeaks();
            await trial.crashServerAt(server, { nth, durable });
            await trial.world.universe.advance(nth * 50);
            await trial.startServer(server, found);
            trial.everybodySpeaks();
            await trial.goesOn();
            await trial.judge();
          });
        }
      });
    }
  }
}

Deno.test("all servers die at once, and return on their disks", async () => {
  for (let nth = 1; nth <= WRITES; nth += 3) {
    for (const durable of [false, true]) {
      await Trial.run({ ...base, seed: 200 + nth }, async (trial) => {
        trial.everybodySpeaks();
        await trial.crashServerAt(nth % 3, { nth, durable });
        for (const index of [0, 1, 2]) if (index !== nth % 3) trial.crashServer(index);
        await trial.world.universe.advance(1_000);
        for (const index of [0, 1, 2]) await trial.startServer(index);
        trial.everybodySpeaks();
        await trial.goesOn(20_000);
        await trial.judge();
      });
    }
  }
});

Deno.test("two of three servers die, and one returns on an empty disk", async () => {
  for (let nth = 2; nth <= WRITES; nth += 5) {
    await Trial.run({ ...base, seed: 250 + nth }, async (trial) => {
      trial.everybodySpeaks();
      await trial.crashServerAt(nth % 3, { nth, durable: true });
      const other = (nth + 1) % 3;
      trial.crashServer(other);
      await trial.world.universe.advance(nth * 40);
      await trial.startServer(other, "an empty disk");
      await trial.startServer(nth % 3);
      trial.everybodySpeaks();
      await trial.goesOn(20_000);
      await trial.judge();
    });
  }
});

Deno.test("two of three servers lose their disks: the order begins anew, the log does not", async () => {
  for (let nth = 3; nth <= WRITES; nth += 5) {
    await Trial.run({ ...base, seed: 270 + nth }, async (trial) => {
      trial.everybodySpeaks();
      await trial.crashServerAt(nth % 3, { nth, durable: true });
      const other = (nth + 2) % 3;
      trial.crashServer(other);
      await trial.world.universe.advance(nth * 40);
      await trial.startServer(other, "an empty disk");
      await trial.startServer(nth % 3, "an empty disk");
      trial.everybodySpeaks();
      await trial.goesOn(20_000);
      await trial.judge();
    });
  }
});

Deno.test("a server that does not lead dies at any time of a round", async () => {
  for (let seed = 300; seed < 320; seed++) {
    await Trial.run({ ...base, seed }, async (trial) => {
      const { universe } = trial.world, chance = universe.randomness("fault");
      for (const server of [1, 2]) {
        trial.everybodySpeaks();
        await universe.advance(600 * chance.real());
        trial.crashServer(server);
        await universe.advance(2_000 * chance.real());
        await trial.startServer(server);
        await trial.goesOn();
      }
      await trial.judge();
    });
  }
});
