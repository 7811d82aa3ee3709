/** A server dies at every point of a round, and comes back with or without its disk. */
import { Trial } from "./trial.ts";

const base = { clients: 5, servers: 3 };
/** Writes of a server in two rounds: OPEN, PREPARE, PARTIAL, FINAL, certificate. */
const WRITES = 10;
/** Members by their place in the manifest. */
const WHO = { "the sequencer": 0, "another server": 1 };

for (const [who, server] of Object.entries(WHO)) {
  for (const durable of [false, true]) {
    for (const lost of [false, true]) {
      const disk = lost ? "an empty disk" : "its disk";
      const name = `${who} dies ${durable ? "after" : "before"} a write, returns on ${disk}`;
      Deno.test(name, async () => {
        for (let nth = 1; nth <= WRITES; nth++) {
          await Trial.run({ ...base, seed: 100 + nth }, async (trial) => {
            trial.everybodySpeaks();
            await trial.crashServerAt(server, { nth, durable });
            await trial.world.universe.advance(nth * 50);
            await trial.startServer(server, lost);
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
  for (let nth = 1; nth <= WRITES; nth++) {
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

Deno.test("a server other than the sequencer dies at any time of a round", async () => {
  for (let seed = 300; seed < 330; seed++) {
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
