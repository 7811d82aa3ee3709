/**
 * Five servers are cut in two and three, for a moment or far longer than a peer may be silent: no
 * side certifies a round that it opened alone, and rounds go on when the cut heals.
 */
import assert from "node:assert/strict";
import { SILENT_MS } from "../../src/universe/meet.ts";
import { Trial } from "./trial.ts";

const LENGTHS_MS = [20, 1_000, SILENT_MS + 1_000, 20_000];
const SEEDS = 2;
/** Pairs of servers, so that every server is once on the smaller side. */
const PAIRS = [[0, 1], [2, 3], [4, 0]];

/** Rounds opened after `since` that any server or reader holds as certified. */
function certifiedSince({ world }: Trial, since: number): number[] {
  const heads = world.servers.flatMap((server) => server!.role.member.headRecord?.record ?? []);
  const logs = world.readers.flatMap(({ role }) => role.log.map(({ record }) => record));
  return [...heads, ...logs].filter(({ header }) => header.time > since)
    .map(({ header }) => header.round);
}

for (const ms of LENGTHS_MS) {
  Deno.test(`servers parted 2 | 3 for ${ms} ms: no side finalizes, and rounds go on`, async () => {
    for (let seed = 800; seed < 800 + SEEDS; seed++) {
      await Trial.run({ clients: 5, servers: 5, seed }, async (trial) => {
        const { universe, servers, readers } = trial.world, chance = universe.randomness("fault");
        for (const pair of PAIRS) {
          trial.everybodySpeaks();
          await universe.advance(400 * chance.real());
          const cut = trial.now;
          universe.partition([
            [...pair.map((index) => servers[index]!.network), readers[1].network],
          ]);
          trial.everybodySpeaks();
          await universe.advance(ms);
          assert.deepEqual(certifiedSince(trial, cut), []);
          universe.heal();
          trial.everybodySpeaks();
          await trial.goesOn();
          assert.notDeepEqual(certifiedSince(trial, cut), []);
        }
        await trial.judge();
      });
    }
  });
}
