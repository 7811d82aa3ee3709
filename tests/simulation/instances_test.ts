/** Three instances in one universe: no link has ends in two of them, and one that stops is not missed. */
import assert from "node:assert/strict";
import { CLIENTS, NAMES, NODES, rounds, together } from "./neighbours.ts";

for (const seed of [1000, 1001]) {
  Deno.test(`three instances, begun at one peer, meet nobody of each other (seed ${seed})`, () =>
    together(seed, undefined, async ({ tap, trials }) => {
      await rounds(trials, 6);
      const ends = trials.map(({ world }) => tap.ends(world));
      assert.deepEqual(ends.map(({ size }) => size), NAMES.map(() => NODES));
      assert.equal(new Set(ends.flatMap((set) => [...set])).size, NAMES.length * NODES);
      const [{ world: first }, ...others] = trials;
      const [server] = others[0].world.servers;
      assert.ok(server!.network.census().universe > server!.network.census().instance);

      const nodes = [first.servers, first.aggregators, first.clients, first.readers].flat();
      for (const node of nodes) first.crash(node!);
      const from = others.map(({ world }) => world.rounds);
      await rounds(others, 10);
      for (const [i, trial] of others.entries()) {
        await trial.judge();
        assert.equal(trial.voids.size, 0);
        assert.equal(tap.ends(trial.world).size, NODES);
        for (const { participants, skipped } of trial.world.readers[0].role.log.slice(from[i])) {
          assert.deepEqual([participants.length, skipped], [CLIENTS, 0]);
        }
      }
    }));
}
