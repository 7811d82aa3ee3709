/** Faults of every kind, at random, one after another: rounds go on after each. */
import type { SimulationOptions } from "../../src/roles/simulated.ts";
import { type Found, Trial } from "./trial.ts";

const FAULTS = 6;
/** Messages of a run that three faults in a row may end as exposed: what all clients said at once. */
const EXPOSED = 5;
const DISKS: readonly Found[] = ["its disk", "an empty disk", "an older disk"];
const UNIVERSES: Record<string, Partial<SimulationOptions>> = {
  calm: {},
  lossy: { loss: 0.03, delay: [1, 60] },
  larger: { servers: 5, loss: 0.01, delay: [1, 20] },
};

/** One fault from its beginning to its end. */
async function fault(trial: Trial, chance: { real(): number }): Promise<void> {
  const { universe, servers, aggregator } = trial.world;
  const pick = (below: number) => Math.floor(chance.real() * below);
  const server = pick(servers.length), kind = pick(6);
  const { network } = servers[server]!;
  // Most faults are short; some outlast the deadline of a round.
  const ms = chance.real() * (chance.real() < 0.3 ? 5_000 : 300);
  if (kind === 0) universe.partition([[network]]);
  else if (kind === 1) trial.crashServer(server);
  else if (kind === 2) universe.freeze(network);
  else if (kind === 3) trial.world.crash(aggregator!);
  else if (kind === 4) return await trial.restartClient(pick(5));
  else for (const index of servers.keys()) trial.crashServer(index);
  await universe.advance(ms);
  if (kind === 0) universe.heal();
  else if (kind === 1) await trial.startServer(server, DISKS[pick(3)]);
  else if (kind === 2) universe.thaw(network);
  else if (kind === 3) await trial.world.startAggregator();
  else for (const index of servers.keys()) await trial.startServer(index);
}

for (const [name, ether] of Object.entries(UNIVERSES)) {
  Deno.test(`faults of every kind, in a ${name} universe`, async () => {
    for (let seed = 800; seed < 815; seed++) {
      await Trial.run({ clients: 5, seed, ...ether }, async (trial) => {
        const { universe } = trial.world, chance = universe.randomness("faults");
        for (let i = 0; i < FAULTS; i++) {
          trial.everybodySpeaks();
          await universe.advance(500 * chance.real());
          await fault(trial, chance);
          await trial.goesOn(25_000);
        }
        await trial.judge(EXPOSED);
      });
    }
  });
}
