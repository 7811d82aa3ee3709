/**
 * A machine's clock is set while rounds go on: a little, which nobody minds; or an hour, which the
 * others do not bear in a server, and which must leave nothing behind once it is set right.
 */
import assert from "node:assert/strict";
import { MAX_SKEW_MS } from "../../src/committee/release.ts";
import { RETURN_MS, Trial } from "./trial.ts";

const base = { clients: 5, servers: 3 };
const HOUR = 3_600_000;
/** Servers by their place in the manifest: the first one founds the group and leads it. */
const WHO = { "the leader": "server 0", "another server": "server 1" };
/** How often everybody speaks while a clock stays as it is. */
const TIMES = 6;

/** Two more rounds are certified: of a header's time nothing can be told here. */
async function goesOn(trial: Trial, ms = RETURN_MS): Promise<void> {
  const { round } = trial;
  await trial.until("rounds go on", () => trial.round > round + 1, ms);
}

/** Everybody says something now and then, while rounds go on. */
async function talk(trial: Trial, times = TIMES): Promise<void> {
  for (let i = 0; i < times; i++) {
    trial.everybodySpeaks();
    await goesOn(trial);
  }
}

for (const [who, name] of Object.entries(WHO)) {
  for (const ahead of [MAX_SKEW_MS / 2, -MAX_SKEW_MS / 2]) {
    Deno.test(`clocks: ${who} is ${ahead / 1_000} s ahead, and right again: nobody minds`, async () => {
      await Trial.run({ ...base, seed: 701 }, async (trial) => {
        trial.world.universe.setClock(name, ahead);
        await talk(trial);
        trial.world.universe.setClock(name, 0);
        await talk(trial);
        await trial.judge();
        assert.deepEqual([...trial.voids], []);
      });
    });
  }

  for (const ahead of [HOUR, -HOUR]) {
    Deno.test(`clocks: ${who} is ${ahead / HOUR} h ahead: no round, until it is right again`, async () => {
      for (let seed = 710; seed < 714; seed++) {
        await Trial.run({ ...base, seed }, async (trial) => {
          const { universe } = trial.world, chance = universe.randomness("when");
          trial.everybodySpeaks();
          await universe.advance(600 * chance.real());
          universe.setClock(name, ahead);
          await trial.until("a round is void", () => trial.voids.size > 0);
          const [reason] = trial.voids.values();
          assert.match(reason, /declined: open-time/);
          const { round } = trial;
          await universe.advance(20_000);
          assert.equal(trial.round, round, "a round that some server's clock does not bear");
          universe.setClock(name, 0);
          await goesOn(trial, 2 * RETURN_MS);
          await talk(trial);
          await trial.judge();
        });
      }
    });
  }
}

Deno.test("clocks: all servers are an hour ahead, then an hour behind: rounds go on", async () => {
  await Trial.run({ ...base, seed: 720 }, async (trial) => {
    for (const ahead of [HOUR, -HOUR, 0]) {
      for (const server of [0, 1, 2]) trial.world.universe.setClock(`server ${server}`, ahead);
      await goesOn(trial, 2 * RETURN_MS);
      await talk(trial);
    }
    await trial.judge();
  });
});

Deno.test("clocks: of clients, readers and the aggregator they do not count", async () => {
  await Trial.run({ ...base, seed: 721 }, async (trial) => {
    const others = ["client 0", "client 3", "reader 0", "aggregator"];
    for (const ahead of [HOUR, -HOUR, 20 * HOUR, 0]) {
      for (const name of others) trial.world.universe.setClock(name, ahead);
      await talk(trial);
    }
    await trial.restartClient(3);
    await talk(trial);
    await trial.judge();
    assert.deepEqual([...trial.voids], []);
  });
});

Deno.test("clocks: all of them wander, each by itself, and jump", async () => {
  for (let seed = 730; seed < 736; seed++) {
    await Trial.run({ ...base, seed }, async (trial) => {
      const { universe } = trial.world, chance = universe.randomness("clocks");
      const names = ["server 0", "server 1", "server 2", "aggregator", "client 0", "reader 1"];
      for (let i = 0; i < 30; i++) {
        const name = names[Math.floor(names.length * chance.real())];
        universe.setClock(name, MAX_SKEW_MS * (chance.real() - 0.5));
        trial.everybodySpeaks();
        await goesOn(trial);
      }
      await trial.judge();
      assert.deepEqual([...trial.voids], [], `seed ${seed}`);
    });
  }
});
